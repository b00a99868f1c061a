"""Within-prompt spread: closed forms on the line and on the circle, a brute-force optimum, the ends of the score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.spread import (
    expected_distance,
    factor_spread,
    point_distance,
    recalibrate,
    wasserstein_circular,
    wasserstein_linear,
    within_prompt_spread,
)
from trilemma.statistics.distributions import binomial_probabilities
from trilemma.statistics.estimate import Estimate

PROMPTS = np.repeat(np.arange(20), 32)


def row(*values: float) -> np.ndarray:
    return np.array([values])


@pytest.mark.parametrize("x", [0.0, 0.3, 0.5, 1.0])
def test_a_point_on_the_line_has_a_closed_form(x: float) -> None:
    assert wasserstein_linear(row(x, x, x))[0] == pytest.approx(x**2 / 2 + (1 - x) ** 2 / 2)


@pytest.mark.parametrize("x", [0.0, 0.3, 0.5, 0.99])
def test_a_point_on_the_circle_is_a_quarter_turn_away(x: float) -> None:
    assert wasserstein_circular(row(x))[0] == pytest.approx(0.25)
    assert wasserstein_circular(row(x, x, x))[0] == pytest.approx(0.25)


@pytest.mark.parametrize("n", [1, 2, 5, 32])
def test_evenly_spaced_values_are_at_a_quarter_of_their_spacing(n: int) -> None:
    even = (np.arange(n)[None] + 0.5) / n
    assert wasserstein_linear(even)[0] == pytest.approx(1 / (4 * n))
    assert wasserstein_circular(even + 0.123)[0] == pytest.approx(1 / (4 * n))


def test_opposite_points_on_the_circle() -> None:
    # Each of m opposite points serves an arc of 1/m: a mean distance of 1/(4m).
    assert wasserstein_circular(row(0.1, 0.6, 0.1, 0.6))[0] == pytest.approx(1 / 8)


def test_circular_distance_is_the_minimum_over_shifts() -> None:
    rng = np.random.default_rng(0)
    grid = (np.arange(20_000) + 0.5) / 20_000
    for n in (1, 3, 8):
        values = np.sort(rng.random(n) ** 2)
        level = np.searchsorted(values, grid, side="right") / n - grid
        brute = min(np.abs(level - shift).mean() for shift in np.linspace(-1, 1, 801))
        assert wasserstein_circular(values[None])[0] == pytest.approx(brute, abs=5e-4)
        assert wasserstein_linear(values[None])[0] == pytest.approx(np.abs(level).mean(), abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1))
@settings(max_examples=60, derandomize=True)
def test_bounds_symmetries_and_order(values: list[float], turn: float) -> None:
    x = np.array([values])
    linear, circular = wasserstein_linear(x)[0], wasserstein_circular(x)[0]
    assert -1e-12 <= circular <= min(linear, 0.25) + 1e-9
    assert linear <= 0.5 + 1e-12
    assert wasserstein_linear(1 - x)[0] == pytest.approx(linear, abs=1e-9)
    assert wasserstein_linear(x[:, ::-1])[0] == pytest.approx(linear, abs=1e-12)
    assert wasserstein_circular(x + turn)[0] == pytest.approx(circular, abs=1e-9)
    assert wasserstein_circular(-x)[0] == pytest.approx(circular, abs=1e-9)


def test_rows_are_measured_apart() -> None:
    x = np.random.default_rng(0).random((6, 9))
    for measure in (wasserstein_linear, wasserstein_circular):
        np.testing.assert_allclose(measure(x), [measure(r[None])[0] for r in x])


def test_expected_distances_have_closed_forms_at_one_draw() -> None:
    assert expected_distance(1, False) == pytest.approx(1 / 3, rel=0.01)
    assert expected_distance(1, True) == pytest.approx(1 / 4)
    assert point_distance(False) == pytest.approx(1 / 3)
    assert point_distance(True) == pytest.approx(1 / 4)


def test_expected_distance_on_the_line_agrees_with_the_binomial_integral() -> None:
    # E ∫ |F(t) − t| dt = ∫ E |X/n − t| dt with X ~ Binomial(n, t).
    n, grid = 16, (np.arange(400) + 0.5) / 400
    exact = np.mean([binomial_probabilities(n, t) @ np.abs(np.arange(n + 1) / n - t) for t in grid])
    assert expected_distance(n, False) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("circular", [False, True])
def test_true_draws_score_one_and_a_point_zero(circular: bool) -> None:
    rng = np.random.default_rng(0)
    true = factor_spread(rng.random(640), PROMPTS, circular=circular)
    point = factor_spread(rng.random(20)[PROMPTS], PROMPTS, circular=circular)
    half = factor_spread(rng.random(640) / 2, PROMPTS, circular=circular)
    assert abs(true.score.value - 1) < 4 * true.score.se
    assert point.score.value == pytest.approx(0, abs=max(4 * point.score.se, 1e-9))
    assert point.score.value < half.score.value < true.score.value
    assert true.distance.value == pytest.approx(true.expected, abs=4 * true.distance.se)


def test_spread_between_prompts_does_not_count() -> None:
    rng = np.random.default_rng(0)
    between = np.repeat(rng.random(20), 32)
    assert between.std() > 0.2
    assert factor_spread(between, PROMPTS, circular=True).score.value == pytest.approx(0, abs=1e-9)


def test_excluded_images_take_no_part() -> None:
    rng = np.random.default_rng(0)
    values, excluded = rng.random(640), rng.random(640) < 0.3
    spoilt = np.where(excluded, np.nan, values)
    masked = factor_spread(spoilt, PROMPTS, circular=True, exclude=excluded)
    plain = factor_spread(values[~excluded], PROMPTS[~excluded], circular=True)
    assert masked.score == plain.score
    assert masked.score.n == int((~excluded).sum())


def test_a_prompt_with_few_images_left_takes_no_part() -> None:
    values = np.random.default_rng(0).random(640)
    excluded = (PROMPTS == 3) & (np.arange(640) % 32 >= 5)
    spread = factor_spread(values, PROMPTS, circular=False, exclude=excluded)
    assert len(spread.prompts_P) == 19 and "3" not in spread.prompts_P


def test_the_mean_over_factors_takes_a_prompts_factors_together() -> None:
    rng = np.random.default_rng(0)
    values = 0.5 * rng.random(640) + 0.5 * rng.random(20)[PROMPTS]
    one = factor_spread(values, PROMPTS, circular=False)
    twice = within_prompt_spread({"x": one, "y": one})
    assert twice.value == pytest.approx(one.score.value)
    assert twice.se == pytest.approx(one.score.se)
    other = factor_spread(rng.random(640), PROMPTS, circular=False)
    both = within_prompt_spread({"x": one, "y": other})
    assert both.value == pytest.approx((one.score.value + other.score.value) / 2)


def test_prompts_that_lack_a_factor_still_count_for_the_others() -> None:
    rng = np.random.default_rng(0)
    x, angle = rng.random(640), rng.random(640)
    whole = factor_spread(x, PROMPTS, circular=False)
    partial = factor_spread(angle, PROMPTS, circular=True, exclude=PROMPTS < 8)
    combined = within_prompt_spread({"x": whole, "angle": partial})
    assert combined.value == pytest.approx((whole.score.value + partial.score.value) / 2)
    assert combined.degrees_of_freedom == 19
    assert within_prompt_spread({"angle": partial}).se == pytest.approx(partial.score.se, rel=0.05)


def test_errors_agree_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(30), 12)

    def once() -> Estimate:
        values = 0.4 * rng.random(30)[prompts] + 0.5 * rng.random(360)
        return within_prompt_spread({"a": factor_spread(values, prompts, circular=False)})

    estimates = [once() for _ in range(200)]
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(np.std([e.value for e in estimates], ddof=1), rel=0.15)


def test_recalibration_makes_real_readings_uniform_and_keeps_a_collapse() -> None:
    rng = np.random.default_rng(0)
    shrunk = 0.5 + 0.6 * (rng.random(5000) - 0.5)
    read = 0.5 + 0.6 * (rng.random(640) - 0.5)
    raw = factor_spread(read, PROMPTS, circular=False)
    fixed = factor_spread(recalibrate(read, shrunk), PROMPTS, circular=False)
    assert raw.score.value < 0.9
    assert fixed.score.value == pytest.approx(1, abs=4 * fixed.score.se + 0.02)
    assert (recalibrate(np.full(3, 0.5), np.array([0.2, 0.4, 0.6, 0.8])) == 0.5).all()


def test_little_data_is_skipped_and_bad_data_refused() -> None:
    one = factor_spread(np.zeros(32), np.zeros(32, dtype=int), circular=False)
    assert one.score.status == "skipped" and one.score.reason is not None and "2 prompts" in one.score.reason
    missing = within_prompt_spread(
        {"x": factor_spread(np.random.default_rng(0).random(640), PROMPTS, circular=False), "angle": one}
    )
    assert missing.value is None and missing.reason is not None and missing.reason.startswith("angle")
    assert within_prompt_spread({}).status == "skipped"
    with pytest.raises(UserError, match="length"):
        factor_spread(np.zeros(3), PROMPTS, circular=False)
    with pytest.raises(UserError, match="not finite"):
        factor_spread(np.full(640, np.nan), PROMPTS, circular=False)
    with pytest.raises(UserError):
        recalibrate([0.5], [])
