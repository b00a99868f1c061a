"""torch-fidelity as the oracle: the same features give the same numbers, to rounding.

Tolerances: relative 1e-8 for the distances and the Inception score (its eigenvalues of a product of matrices are not
symmetric, ours are), exact for precision and recall. Conventions that differ and are ours elsewhere: disjoint blocks in
place of overlapping subsets (KID), one split (Inception score), k = 5 (precision and recall; the oracle's is 3).
"""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from trilemma.metrics.frechet import distance_from_features, frechet_distance, moments
from trilemma.metrics.inception_score import inception_score
from trilemma.metrics.kernel import mmd2_unbiased
from trilemma.metrics.prdc import prdc

N, D = 300, 24


@pytest.fixture(scope="module")
def generated() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)) @ (np.eye(D) + rng.normal(size=(D, D)) / 8) + 0.1


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N, D))


def test_frechet_distance(generated: np.ndarray, real: np.ndarray) -> None:
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (generated, real)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(generated, moments(real)).value == pytest.approx(theirs, rel=1e-8)


def test_frechet_distance_with_fewer_samples_than_dimensions(generated: np.ndarray, real: np.ndarray) -> None:
    # Rank-deficient products cost their eigenvalues half of the digits: 1e-5 is theirs, not ours.
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (generated[:12], real)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert distance_from_features(generated[:12], moments(real)) == pytest.approx(theirs, rel=1e-5)


def test_kernel_distance_of_one_subset_of_all_samples(generated: np.ndarray, real: np.ndarray) -> None:
    theirs = kid_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), kid_subsets=1, kid_subset_size=N, verbose=False
    )["kernel_inception_distance_mean"]
    assert mmd2_unbiased(generated, real) == pytest.approx(theirs, rel=1e-8)


def test_kernel_distance_of_their_subsets(generated: np.ndarray, real: np.ndarray) -> None:
    theirs = kid_features_to_metric(
        torch.from_numpy(generated),
        torch.from_numpy(real),
        kid_subsets=5,
        kid_subset_size=50,
        rng_seed=7,
        verbose=False,
    )["kernel_inception_distance_mean"]
    rng = np.random.RandomState(7)
    ours = [
        mmd2_unbiased(generated[rng.choice(N, 50, replace=False)], real[rng.choice(N, 50, replace=False)])
        for _ in range(5)
    ]
    assert np.mean(ours) == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("splits", [1, 5])
def test_inception_score(splits: int) -> None:
    logits = torch.from_numpy(2 * np.random.default_rng(0).normal(size=(N + 3, 10)))
    theirs = isc_features_to_metric(logits, splits=splits, shuffle=False)["inception_score_mean"]
    ours = inception_score(logits.softmax(dim=1).numpy(), splits=splits, shuffle=False)
    assert ours.value == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall(generated: np.ndarray, real: np.ndarray, k: int) -> None:
    theirs = prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=k, verbose=False
    )
    ours = prdc(generated, real, k=k)
    assert 0.1 < theirs["precision"] < 0.95
    # Theirs are averages in float32.
    assert ours.precision.value == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours.recall.value == pytest.approx(theirs["recall"], abs=1e-6)
