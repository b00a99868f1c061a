"""Fréchet distance: closed forms, both numerical paths, streaming, and a standard error that is one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.frechet import (
    Moments,
    distance_between_features,
    distance_between_moments,
    distance_from_features,
    frechet_distance,
    influence,
    moments,
    stream_moments,
)
from trilemma.statistics.paired import paired


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Correlated Gaussian features with a spectrum over two decades."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(d, d)) * np.logspace(0, -2, d)
    return rng.normal(size=(n, d)) @ mixing + rng.normal(size=d)


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    return Moments(count=1001, mean_D=mean, scatter_DD=covariance * 1000)


def test_diagonal_gaussians_have_a_closed_form() -> None:
    rng = np.random.default_rng(0)
    m1, m2, v1, v2 = rng.normal(size=5), rng.normal(size=5), rng.random(5), rng.random(5)
    expected = np.sum((m1 - m2) ** 2) + np.sum((np.sqrt(v1) - np.sqrt(v2)) ** 2)
    assert distance_between_moments(gaussian(m1, np.diag(v1)), gaussian(m2, np.diag(v2))) == pytest.approx(expected)


def test_two_by_two_gaussians_have_a_closed_form() -> None:
    # For 2×2 matrices tr √M = √(tr M + 2 √det M), here with M = AB.
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    product = a @ b
    trace_of_root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(a) + np.trace(b) - 2 * trace_of_root
    assert distance_between_moments(gaussian(np.zeros(2), a), gaussian(np.zeros(2), b)) == pytest.approx(expected)


@pytest.mark.parametrize("n", [400, 20])
def test_a_set_is_at_distance_zero_from_itself(n: int) -> None:
    x = features(n, 32)
    assert frechet_distance(x, moments(x)).value == pytest.approx(0, abs=1e-10 * np.trace(moments(x).covariance_DD))


@pytest.mark.parametrize("n", [10, 31, 32, 33, 200])
def test_the_path_for_few_samples_equals_the_eigenvalue_path(n: int) -> None:
    x, reference = features(n, 32), moments(features(500, 32, seed=1))
    direct = distance_between_moments(moments(x), reference)
    assert distance_from_features(x, reference) == pytest.approx(direct, rel=1e-6)


@pytest.mark.parametrize("n", [20, 400])
def test_reference_with_few_samples_agrees_with_the_mirrored_distance(n: int) -> None:
    x, few = features(n, 32), features(12, 32, seed=1)
    mirrored = distance_from_features(few, moments(x))
    assert distance_from_features(x, moments(few)) == pytest.approx(mirrored, rel=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
@settings(max_examples=25, derandomize=True)
def test_moments_do_not_depend_on_order_or_batches(seed: int, pieces: int) -> None:
    x = features(60, 6)
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(0, 60, size=pieces))
    streamed = stream_moments(np.split(x[rng.permutation(60)], cuts))
    whole = moments(x)
    assert streamed.count == 60
    np.testing.assert_allclose(streamed.mean_D, whole.mean_D, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        streamed.scatter_DD, whole.scatter_DD, rtol=0, atol=1e-10 * np.abs(whole.scatter_DD).max()
    )


def test_moments_merge_alike_in_either_order() -> None:
    a, b, c = (moments(features(n, 5, seed=n)) for n in (7, 30, 100))
    left, right = a.merge(b).merge(c), c.merge(a.merge(b))
    np.testing.assert_allclose(left.scatter_DD, right.scatter_DD, rtol=1e-10, atol=1e-12)


def test_a_large_offset_costs_no_digits() -> None:
    x, y = features(300, 8), features(300, 8, seed=1)
    near = distance_between_moments(moments(x), moments(y))
    far = distance_between_moments(stream_moments(np.split(x + 1e4, 3)), stream_moments(np.split(y + 1e4, 3)))
    assert far == pytest.approx(near, rel=1e-8)


def test_constant_features_are_at_the_distance_of_their_means() -> None:
    reference = moments(np.zeros((50, 4)))
    assert frechet_distance(np.full((50, 4), 2.0), reference).value == pytest.approx(16)


def test_influence_is_the_derivative_of_the_distance() -> None:
    x, reference = features(200, 6), moments(features(500, 6, seed=1) + 0.2)
    psi = influence(x, reference)
    assert psi.mean() == pytest.approx(0, abs=1e-10)
    # Weighting sample i by 1 + δ moves the distance by δ ψᵢ / n, with covariances divided by n.
    weights = np.ones(200)
    for i in (0, 17, 101):
        moved = []
        for step in (1e-4, -1e-4):
            weights[i] = 1 + step
            mean = np.average(x, axis=0, weights=weights)
            covariance = np.cov(x.T, aweights=weights, ddof=0) * 200 / 199
            moved.append(distance_between_moments(gaussian(mean, covariance), reference))
        weights[i] = 1
        assert (moved[0] - moved[1]) / 2e-4 * 200 == pytest.approx(psi[i], rel=0.02, abs=0.02 * np.abs(psi).max())


def test_standard_error_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    d, n, repeats = 8, 300, 400
    mixing = rng.normal(size=(d, d)) / 4 + np.eye(d)
    reference = moments(rng.normal(size=(20_000, d)))
    estimates = [frechet_distance(rng.normal(size=(n, d)) @ mixing + 0.2, reference) for _ in range(repeats)]
    spread = np.std([e.value for e in estimates], ddof=1)
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(spread, rel=0.15)


def near_real(near: float, d: int = 64) -> tuple[np.ndarray, Moments]:
    """A mixing matrix of generated features and the reference that they come near to: ``near`` 0 is the same law."""
    rng = np.random.default_rng(5)
    spectrum, many = np.logspace(0, -1.2, d), 10**9
    mixing = np.diag(spectrum) @ (np.eye(d) + near * rng.normal(size=(d, d)) / np.sqrt(d))
    return mixing, Moments(count=many, mean_D=np.zeros(d), scatter_DD=np.diag(spectrum**2) * (many - 1))


@pytest.mark.parametrize("near", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("per_dimension", [2, 4])
def test_standard_error_and_coverage_hold_near_the_minimum_too(near: float, per_dimension: int) -> None:
    # There the second order rules: uncorrected, the error is up to 1.45 times the spread.
    mixing, reference = near_real(near)
    rng = np.random.default_rng(1)
    n, repeats = per_dimension * len(mixing), 300
    estimates = [frechet_distance(rng.normal(size=(n, len(mixing))) @ mixing, reference) for _ in range(repeats)]
    values = np.array([e.value for e in estimates])
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(values.std(ddof=1), rel=0.15)
    intervals = np.array([e.interval() for e in estimates])
    covered = (intervals[:, 0] <= values.mean()) & (values.mean() <= intervals[:, 1])
    # 95 % hold 93 % or more; 3 standard errors of so few repeats are allowed for.
    assert covered.mean() >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / repeats)


def clipped(x: np.ndarray, d: int) -> np.ndarray:
    """Features that are 0 or above and skewed, as those of networks are."""
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(d, d)))[0]
    return np.maximum(x @ basis + 0.1, 0)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("near", [0.0, 0.2, 0.5])
def test_intervals_hold_where_the_distance_is_skewed_and_its_error_grows_with_it(near: float, positive: bool) -> None:
    # With few dimensions value ± t·se covers 87 to 90 %: it misses above, where the value came out low.
    d, n, repeats = 8, 32, 1000
    mixing, reference = near_real(near, d)
    rng = np.random.default_rng(1)
    if positive:
        real = clipped(rng.normal(size=(100_000, d)) * np.sqrt(np.diagonal(reference.covariance_DD)), d)
        reference = Moments(count=10**9, mean_D=real.mean(axis=0), scatter_DD=np.cov(real.T) * (10**9 - 1))
    values, intervals = [], []
    for _ in range(repeats):
        x = rng.normal(size=(n, d)) @ mixing
        estimate = frechet_distance(clipped(x, d) if positive else x, reference)
        values.append(estimate.value)
        intervals.append(estimate.interval())
    (low, high), expected = np.array(intervals).T, np.mean(values)
    slack = 3 * np.sqrt(0.93 * 0.07 / repeats)
    assert ((low <= expected) & (expected <= high)).mean() >= 0.93 - slack
    # Neither end is missed much more often than the other.
    assert (high < expected).mean() < 0.05 + slack


def test_error_of_both_sides_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    d, repeats = 8, 150
    estimates = []
    for _ in range(repeats):
        x, y = 1.3 * rng.normal(size=(200, d)) + 0.2, rng.normal(size=(100, d))
        estimates.append(frechet_distance(x, moments(y), reference_features=y))
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(np.std([e.value for e in estimates], ddof=1), rel=0.15)
    assert estimates[0].se_method == "influence_both"
    x = rng.normal(size=(200, d))
    assert estimates[0].se > 0 and frechet_distance(x, moments(y)).se_method == "influence"


@pytest.mark.parametrize(("n", "m"), [(20, 25), (20, 300), (300, 20), (300, 400)])
def test_distance_between_features_takes_the_path_that_suits_and_all_agree(n: int, m: int) -> None:
    x, y = features(n, 32).astype(np.float32), features(m, 32, seed=1).astype(np.float32)
    direct = distance_between_moments(moments(x), moments(y))
    assert distance_between_features(x, y) == pytest.approx(direct, rel=1e-6)
    assert distance_between_features(y, x) == pytest.approx(distance_between_features(x, y), rel=1e-8)


@pytest.mark.parametrize("n", [12, 200])
def test_both_paths_of_the_influence_agree(n: int) -> None:
    # Features in a subspace of 8 of 24 dimensions have the same ψ as in these 8 alone.
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(24, 8)))[0].T
    x, y = features(n, 8), features(400, 8, seed=1)
    narrow, wide = influence(x, moments(y)), influence(x @ basis, moments(y @ basis))
    np.testing.assert_allclose(wide, narrow, rtol=0, atol=1e-6 * np.abs(narrow).max())


def test_order_and_dtype_do_not_matter() -> None:
    x, reference = features(150, 12), moments(features(500, 12, seed=1))
    estimate = frechet_distance(x, reference)
    moved = frechet_distance(x[::-1], reference)
    assert moved.value == pytest.approx(estimate.value, rel=1e-10)
    assert frechet_distance(x.astype(np.float32), reference).value == pytest.approx(estimate.value, rel=1e-5)


def test_paired_standard_error_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(1)
    d, n, repeats = 6, 300, 300
    reference = moments(rng.normal(size=(20_000, d)))
    values, errors = [], []
    for _ in range(repeats):
        noise = rng.normal(size=(n, d))
        a, b = 1.2 * noise + 0.3, 1.3 * noise + 0.3 + 0.05 * rng.normal(size=(n, d))
        difference = paired(frechet_distance(a, reference), frechet_distance(b, reference))
        values.append(difference.value)
        errors.append(difference.se)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values, ddof=1), rel=0.15)


@pytest.mark.parametrize("per_dimension", [2, 8])
@pytest.mark.parametrize(("baseline", "candidate", "shared"), [(0, 0, 0.9), (0, 0.2, 0.95), (0.5, 0.5, 0.99)])
def test_paired_error_and_coverage_hold_for_like_and_for_unlike_models(
    baseline: float, candidate: float, shared: float, per_dimension: int
) -> None:
    # Of two like models near the minimum the uncorrected error is up to 1.4 times the spread.
    d, repeats = 24, 250
    (before, reference), (after, _) = near_real(baseline, d), near_real(candidate, d)
    rng = np.random.default_rng(3)
    differences, unpaired = [], []
    for _ in range(repeats):
        noise, fresh = rng.normal(size=(2, per_dimension * d, d))
        other = shared * noise + np.sqrt(1 - shared**2) * fresh
        a, b = frechet_distance(noise @ before, reference), frechet_distance(other @ after, reference)
        differences.append(paired(a, b))
        unpaired.append(a.se**2 + b.se**2)
    values = np.array([e.value for e in differences])
    stated = np.sqrt(np.mean([e.se**2 for e in differences]))
    assert stated == pytest.approx(values.std(ddof=1), rel=0.15)
    assert stated < 0.8 * np.sqrt(np.mean(unpaired))
    low, high = np.array([e.interval() for e in differences]).T
    covered = (low <= values.mean()) & (values.mean() <= high)
    assert covered.mean() >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / repeats)


def test_clusters_widen_the_error_of_repeated_samples() -> None:
    x, reference = features(100, 4), moments(features(500, 4, seed=1))
    repeated = frechet_distance(np.repeat(x, 5, axis=0), reference, np.repeat(np.arange(100), 5))
    assert repeated.se == pytest.approx(frechet_distance(x, reference).se, rel=0.05)
    assert repeated.se_method == "influence_clustered"


def test_too_few_samples_are_skipped_with_the_number() -> None:
    estimate = frechet_distance(features(5, 4), moments(features(100, 4)))
    assert (estimate.value, estimate.status) == (None, "skipped")
    assert estimate.reason is not None and "20" in estimate.reason
    assert frechet_distance(features(50, 4), moments(features(3, 4))).status == "skipped"


def test_malformed_features_are_refused() -> None:
    x = features(50, 4)
    with pytest.raises(UserError, match="not finite"):
        frechet_distance(np.where(x > x.max() - 1e-9, np.nan, x), moments(x))
    with pytest.raises(UserError, match="width"):
        frechet_distance(x[:, :3], moments(x))
    with pytest.raises(UserError, match="shape"):
        moments(x[0])
    with pytest.raises(UserError):
        stream_moments([])
