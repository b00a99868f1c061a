"""The hypervolume's times and errors, on made-up settings: which calls choose, and what is known of an error."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from trilemma.errors import UserError
from trilemma.runner.cross_fit import WITHOUT_ERROR, Halved, Unit, cross_fitted_volume
from trilemma.runner.halves import Raw, times_of
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.jackknife import GROUPS
from trilemma.statistics.standard_error import StandardError


def timings(**seconds: list[float]) -> pd.DataFrame:
    """Calls of batch sizes ``b1``, ``b4`` ..., in the order of the clock."""
    sizes = {int(name[1:]): calls for name, calls in seconds.items()}
    rows = [
        {"scenario": "offline", "status": "ok", "batch_size": size, "n_images": size, "wall_ns": one * 1e9}
        for size, calls in sizes.items()
        for one in calls
    ]
    late = {"scenario": "offline", "status": "skipped", "batch_size": 64, "n_images": 0, "wall_ns": None}
    return pd.DataFrame([*rows, late])


def test_each_half_of_the_calls_is_timed_at_the_batch_that_the_other_chooses() -> None:
    """Odd and even calls find different batches the best; the best by all calls would score its own luck."""
    found = times_of(timings(b1=[0.10, 0.14, 0.10, 0.14], b4=[0.48, 0.44, 0.48, 0.44]))
    assert found.halves == (pytest.approx(0.48 / 4), pytest.approx(0.14))
    assert found.error is not None and found.error.degrees_of_freedom == 3


def test_a_call_that_is_alone_at_its_size_is_in_both_halves() -> None:
    found = times_of(timings(b1=[0.2], b4=[0.4]))
    assert found.halves == (pytest.approx(0.1), pytest.approx(0.1)) and found.error is None
    mixed = times_of(timings(b1=[0.2, 0.3], b4=[0.4]))
    assert mixed.halves == (pytest.approx(0.1), pytest.approx(0.1))


def test_without_calls_there_are_no_times() -> None:
    with pytest.raises(UserError, match="no batch was timed"):
        times_of(timings())


def estimate(value: float, se: float | None, degrees: float | None = None) -> Estimate:
    return Estimate(value=value, se=se, se_method="mean", n=10, degrees_of_freedom=degrees)


def unit(**changes: Estimate) -> Unit:
    reduced = changes.get("reduced", estimate(200.0, 1.0, 30.0))
    floor = changes.get("floor", estimate(5.0, 0.01, 19.0))
    reference = changes.get("reference", estimate(0.001, 1e-6, 9.0))
    return Unit(reduced=(reduced, reduced), floor=(floor, floor), reference=reference)


def setting(se: float, degrees: float) -> Halved:
    """One whose samples are known without an error, so that all there is comes from the others."""
    raw = Raw(distance=20.0, diversity=6.0, seconds=0.01)
    return Halved(
        halves=(raw, raw),
        left_out=((raw, raw),) * GROUPS,
        time_error=StandardError(se=se, degrees_of_freedom=degrees),
        images=(100, 100),
    )


@pytest.mark.parametrize("degrees", [2.0, 7.0])
def test_a_time_brings_the_degrees_of_freedom_of_its_error(degrees: float) -> None:
    exact = unit(reduced=estimate(200.0, 0.0), floor=estimate(5.0, 0.0), reference=estimate(0.001, 0.0))
    found = cross_fitted_volume([setting(0.001, degrees)], exact)
    assert found.se is not None and found.se > 0
    assert found.degrees_of_freedom == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("changed", "degrees"),
    [
        ({"reduced": estimate(200.0, 40.0, 5.0)}, 5.0),
        ({"floor": estimate(5.0, 1.0, 19.0)}, 19.0),
        ({"reference": estimate(0.001, 1e-4, 4.0)}, 4.0),
    ],
)
def test_so_does_each_anchor(changed: dict[str, Estimate], degrees: float) -> None:
    exact = {"reduced": estimate(200.0, 0.0), "floor": estimate(5.0, 0.0), "reference": estimate(0.001, 0.0)}
    found = cross_fitted_volume([setting(0.0, 3.0)], unit(**exact | changed))
    assert found.degrees_of_freedom == pytest.approx(degrees)


def test_where_any_part_of_the_error_is_unknown_there_is_none_and_it_is_said() -> None:
    whole = cross_fitted_volume([setting(0.001, 3.0)], unit())
    assert whole.se is not None and whole.reason is None
    unknown = [unit(**{name: estimate(value, None)}) for name, value in (("reduced", 200.0), ("floor", 5.0))]
    found = [cross_fitted_volume([setting(0.001, 3.0)], one) for one in unknown]
    found += [cross_fitted_volume([replace(setting(0.001, 3.0), time_error=None)], unit())]
    for one in found:
        assert one.value == pytest.approx(whole.value) and (one.se, one.reason) == (None, WITHOUT_ERROR)
        assert one.interval() is None


def test_the_error_of_a_time_is_what_it_moves_the_volume_by() -> None:
    exact = unit(reduced=estimate(200.0, 0.0), floor=estimate(5.0, 0.0), reference=estimate(0.001, 0.0))
    found = cross_fitted_volume([setting(0.001, 3.0)], exact)
    quality, speed = 10 * math.log(200 / 20) / math.log(200 / 5), 10 * (1 - 1 / 3)
    moved = 10 / (3 * math.log(10)) * 0.1  # of the speed score, by a tenth of the time
    assert found.value == pytest.approx(quality * 6.0 * speed, rel=0.01)
    assert found.se == pytest.approx(quality * 6.0 * moved, rel=0.1)
