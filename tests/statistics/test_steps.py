"""Steps: found where they are planted, rarely where there are none, and never made of an accident."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.statistics.steps import FEWEST, SHORTEST, find_levels

Values = NDArray[np.float64]


def steady(kind: str, count: int, rng: np.random.Generator) -> Values:
    if kind == "normal":
        return rng.normal(size=count)
    if kind == "heavy tails":
        return rng.standard_t(3, size=count) / np.sqrt(3)
    noise = rng.normal(size=count)
    for i in range(1, count):
        noise[i] = 0.3 * noise[i - 1] + np.sqrt(1 - 0.09) * noise[i]
    return noise


def starts(values: Values, errors: list[float | None] | None = None) -> list[int]:
    return [level.start for level in find_levels(values, errors or [None] * len(values))]


@pytest.mark.parametrize(("kind", "most"), [("normal", 0.02), ("heavy tails", 0.02), ("wandering", 0.06)])
@pytest.mark.parametrize("count", [FEWEST, 20, 60, 200])
def test_a_steady_series_rarely_steps(kind: str, most: float, count: int) -> None:
    rng = np.random.default_rng(7)
    stepped = [len(starts(10 + steady(kind, count, rng))) > 1 for _ in range(500)]
    assert np.mean(stepped) <= most


@pytest.mark.parametrize(("size", "least"), [(2.0, 0.8), (3.0, 0.95), (6.0, 0.97)])
def test_a_step_is_found_where_it_is(size: float, least: float) -> None:
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        values = 10 + rng.normal(size=60)
        values[35:] += size
        edges = starts(values)
        found += len(edges) == 2 and abs(edges[1] - 35) <= 1
    assert found / 300 >= least


def test_levels_have_the_values_that_they_lie_around() -> None:
    values = np.repeat([1.0, 5.0, 3.0], 8) + np.tile([0.0, 0.1, -0.1, 0.0], 6)
    levels = find_levels(values, [0.1] * 24)
    assert [(level.start, level.stop) for level in levels] == [(0, 8), (8, 16), (16, 24)]
    assert [level.value for level in levels] == pytest.approx([1.0, 5.0, 3.0])


@pytest.mark.parametrize("length", range(1, SHORTEST))
@pytest.mark.parametrize("at", [0, 10, 24])
def test_an_accident_is_no_step(length: int, at: int) -> None:
    values = 10 + 0.1 * np.random.default_rng(0).normal(size=25)
    values[min(at, 25 - length) :][:length] += 50.0
    assert starts(values) == [0]


def test_the_last_three_runs_may_be_a_step() -> None:
    values = 10 + 0.1 * np.random.default_rng(0).normal(size=25)
    values[-3:] += 2.0
    assert starts(values) == [0, 22]


def test_what_repeats_exactly_steps_by_the_smallest_change_but_not_by_rounding() -> None:
    values = np.full(20, 2_412_345.0)
    values[12:] += 1
    assert starts(values) == [0]
    values[12:] += 2_000
    assert starts(values) == [0, 12]
    assert starts(np.zeros(20)) == [0]


def test_runs_with_large_errors_weigh_little() -> None:
    rng = np.random.default_rng(0)
    errors = [0.1] * 30 + [10.0] * 10
    values = 5.0 + rng.normal(size=40) * errors
    values[30:] += 3.0  # in the noise of the last ten
    assert starts(values, list(errors)) == [0]
    (level,) = find_levels(values, list(errors))
    assert level.value == pytest.approx(5.0, abs=0.1)
    assert starts(values, [None] * 40) == starts(values, [0.0] * 40)  # an error of zero says nothing


@pytest.mark.parametrize("count", range(FEWEST))
def test_few_runs_have_one_level(count: int) -> None:
    assert starts(np.arange(count, dtype=float) ** 3) == ([0] if count else [])
