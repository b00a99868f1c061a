"""Modes: exact small cases, the expectation of real images by simulation, the ends of the score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.modes import (
    ModeCounts,
    count_modes,
    expected_tv,
    mode_kl,
    mode_score,
    mode_tv,
    modes_covered,
    residual_threshold,
)


def counted(modes: np.ndarray, off: np.ndarray | None = None, n_modes: int = 512) -> ModeCounts:
    return count_modes(modes, np.zeros(len(modes), dtype=bool) if off is None else off, n_modes=n_modes)


def test_even_modes_are_at_distance_zero() -> None:
    even = counted(np.repeat(np.arange(8), 50), n_modes=8)
    assert modes_covered(even).value == 8
    assert mode_tv(even).value == pytest.approx(0)
    assert mode_kl(even).value == pytest.approx(0)


def test_one_mode_is_at_the_far_end() -> None:
    one = counted(np.zeros(100, dtype=int), n_modes=8)
    assert modes_covered(one).value == 1
    assert mode_tv(one).value == pytest.approx(1 - 1 / 8)
    assert mode_kl(one).value == pytest.approx(np.log(8))


def test_half_the_modes() -> None:
    half = counted(np.arange(400) % 4, n_modes=8)
    assert mode_tv(half).value == pytest.approx(0.5)
    assert mode_kl(half).value == pytest.approx(np.log(2))


def test_images_off_the_manifold_fill_their_own_bin() -> None:
    counts = counted(np.arange(400) % 8, np.arange(400) < 100, n_modes=8)
    on = np.bincount(np.arange(100, 400) % 8, minlength=8) / 400
    assert mode_tv(counts).value == pytest.approx(0.5 * (np.abs(on - 1 / 8).sum() + 0.25))
    assert mode_kl(counts).value == pytest.approx(0, abs=1e-3)
    nothing = counted(np.arange(400) % 8, np.ones(400, dtype=bool), n_modes=8)
    assert mode_tv(nothing).value == pytest.approx(1)
    assert modes_covered(nothing).value == 0
    assert mode_kl(nothing).status == "skipped"


@pytest.mark.parametrize(("n", "n_modes", "off_rate"), [(300, 20, 0.0), (2048, 512, 0.01)])
def test_expected_tv_agrees_with_simulation(n: int, n_modes: int, off_rate: float) -> None:
    p = np.append(np.full(n_modes, (1 - off_rate) / n_modes), off_rate)
    draws = np.random.default_rng(0).multinomial(n, p, size=2000) / n
    simulated = 0.5 * (np.abs(draws[:, :-1] - 1 / n_modes).sum(axis=1) + draws[:, -1])
    expected = expected_tv(n, n_modes=n_modes, off_rate=off_rate)
    assert expected == pytest.approx(simulated.mean(), abs=4 * simulated.std() / np.sqrt(2000))


def test_real_images_score_one_and_a_single_mode_zero() -> None:
    rng = np.random.default_rng(0)
    real = [mode_tv(counted(rng.integers(0, 512, 1024), rng.random(1024) < 0.01)) for _ in range(50)]
    scores = [mode_score(tv, expected_tv(1024)).value for tv in real]
    assert np.mean(scores) == pytest.approx(1, abs=0.01)
    assert mode_score(mode_tv(counted(np.zeros(1024, dtype=int))), expected_tv(1024)).value == pytest.approx(
        0, abs=0.01
    )


def test_dropping_modes_lowers_the_score() -> None:
    rng = np.random.default_rng(0)
    scores = [
        mode_score(mode_tv(counted(rng.integers(0, kept, 2048))), expected_tv(2048)).value for kept in (512, 384, 128)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[2] > 0.5


def test_errors_are_not_smaller_than_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(64, 0.5))
    counts = [counted(rng.choice(64, 1024, p=p), n_modes=64) for _ in range(200)]
    for statistic in (mode_tv, mode_kl):
        estimates = [statistic(c) for c in counts]
        stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
        assert 0.85 < stated / np.std([e.value for e in estimates], ddof=1) < 1.4


def test_the_score_carries_the_error_over() -> None:
    tv = mode_tv(counted(np.random.default_rng(0).integers(0, 100, 400)))
    score = mode_score(tv, 0.2)
    assert score.se == pytest.approx(tv.se / 0.8)
    assert score.degrees_of_freedom == 19


@given(st.lists(st.integers(0, 7), min_size=40, max_size=80), st.integers(0, 2**32 - 1))
@settings(max_examples=30, derandomize=True)
def test_bounds_and_order(modes: list[int], seed: int) -> None:
    array = np.array(modes)
    tv, kl = mode_tv(counted(array, n_modes=8)).value, mode_kl(counted(array, n_modes=8)).value
    assert 0 <= tv <= 1 - 1 / 8 + 1e-12
    assert -1e-12 <= kl <= np.log(8) + 1e-12
    shuffled = np.random.default_rng(seed).permutation(array)
    assert mode_tv(counted(shuffled, n_modes=8)).value == pytest.approx(tv)


def test_residual_threshold_is_the_99th_percentile() -> None:
    assert residual_threshold(np.arange(101.0)) == pytest.approx(99)


def test_bad_data_is_refused_and_little_skipped() -> None:
    with pytest.raises(UserError, match="span"):
        counted(np.array([512]))
    with pytest.raises(UserError):
        count_modes([1, 2], [True])
    with pytest.raises(UserError):
        expected_tv(0)
    few = mode_tv(counted(np.arange(39)))
    assert few.status == "skipped" and few.reason is not None and "40" in few.reason
    assert mode_score(few, 0.2) == few
    assert counted(np.arange(0)).n == 0
