"""FD∞: the line's intercept, less bias than FD, and a standard error that is one."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.frechet import distance_between_moments, frechet_distance
from trilemma.metrics.frechet_infinity import frechet_infinity, intercept_weights
from trilemma.metrics.moments import Moments, moments
from trilemma.statistics.jackknife import group_labels

D = 16


@pytest.mark.parametrize("cuts", [[1, 2], [1, 2, 4]])
def test_weights_find_the_intercept_of_a_line(cuts: list[int]) -> None:
    assert intercept_weights(cuts) @ (3.5 + 0.25 * np.array(cuts)) == pytest.approx(3.5)


@pytest.fixture(scope="module")
def draws() -> tuple[float, list[tuple[float, float, float]]]:
    """The population's distance, and FD, FD∞ and its error of repeated draws at N = 20 D."""
    rng = np.random.default_rng(0)
    spectrum = np.logspace(0, -1, D)
    mixing = np.diag(spectrum) @ (np.eye(D) + rng.normal(size=(D, D)) / 10)
    many = 10**9
    reference = Moments(count=many, mean_D=np.zeros(D), scatter_DD=np.diag(spectrum**2) * (many - 1))
    truth = Moments(count=many, mean_D=np.zeros(D), scatter_DD=mixing.T @ mixing * (many - 1))
    rows = []
    for _ in range(150):
        x = rng.normal(size=(20 * D, D)) @ mixing
        estimate = frechet_infinity(x, reference)
        assert estimate.value is not None and estimate.se is not None
        rows.append((frechet_distance(x, reference).value or 0, estimate.value, estimate.se))
    return distance_between_moments(truth, reference), rows


def test_it_takes_the_bias_out(draws: tuple[float, list[tuple[float, float, float]]]) -> None:
    truth, rows = draws
    fd, infinity, _ = np.array(rows).T
    noise = infinity.std() / np.sqrt(len(rows))
    assert fd.mean() - truth > 10 * noise
    assert abs(infinity.mean() - truth) < 0.1 * (fd.mean() - truth) + 3 * noise


def test_its_error_agrees_with_monte_carlo(draws: tuple[float, list[tuple[float, float, float]]]) -> None:
    _, infinity, se = np.array(draws[1]).T
    assert np.sqrt(np.mean(se**2)) == pytest.approx(infinity.std(ddof=1), rel=0.2)


@pytest.mark.parametrize(("n", "cuts"), [(5 * D, [1, 2]), (20 * D, [1, 2, 4])])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_intercept_of_the_mean_distances_of_disjoint_parts(
    n: int, cuts: list[int], clustered: bool, seed: int
) -> None:
    rng = np.random.default_rng(0)
    x, reference = rng.normal(size=(n, D)) + 0.3, moments(rng.normal(size=(500, D)))
    clusters = np.arange(n) // 2 if clustered else None
    means = []
    for cut in cuts:
        labels = group_labels(n, cut, clusters=clusters, seed=seed) if cut > 1 else np.zeros(n)
        parts = [moments(x[labels == label]) for label in range(cut)]
        means.append(np.mean([distance_between_moments(part, reference) for part in parts]))
    found = frechet_infinity(x, reference, clusters, seed=seed)
    assert found.value == pytest.approx(intercept_weights(cuts) @ means, rel=1e-12)
    assert found.se == pytest.approx(frechet_distance(x, reference, clusters).se, rel=0.0 if seed == 0 else 0.2)


def test_it_is_deterministic_and_depends_on_the_seed() -> None:
    x = np.random.default_rng(0).normal(size=(100, 4)) + 0.3
    reference = moments(np.random.default_rng(1).normal(size=(500, 4)))
    assert frechet_infinity(x, reference) == frechet_infinity(x.copy(), reference)
    assert frechet_infinity(x, reference).value != frechet_infinity(x, reference, seed=1).value


def test_too_few_are_skipped_with_the_number_and_wrong_widths_refused() -> None:
    x = np.random.default_rng(0).normal(size=(39, 10))
    few = frechet_infinity(x, moments(x))
    assert few.status == "skipped" and few.reason is not None and "40" in few.reason
    clustered = frechet_infinity(np.repeat(x, 3, axis=0), moments(x), np.arange(117) % 3)
    assert clustered.status == "skipped" and clustered.reason == "needs at least 4 clusters; there are 3"
    with pytest.raises(UserError, match="width"):
        frechet_infinity(x[:, :3], moments(x))
