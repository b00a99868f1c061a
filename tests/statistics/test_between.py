"""Errors between processes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trilemma.statistics.between import between_processes


def test_the_mean_is_geometric_and_a_rate_is_the_inverse_of_its_time() -> None:
    seconds = np.array([1.0, 2.0, 4.0])
    time, rate = between_processes(seconds, n=30), between_processes(1 / seconds, n=30)
    assert time.value == pytest.approx(2.0) and rate.value == pytest.approx(0.5)
    assert time.se == pytest.approx(2.0 * np.log(seconds).std(ddof=1) / math.sqrt(3))
    assert (time.se_method, time.degrees_of_freedom, time.n, time.scale) == ("processes", 2, 30, "log")
    low, high = time.interval() or (0.0, 0.0)
    assert low * high == pytest.approx(4.0) and low > 0


def test_one_process_has_no_error() -> None:
    alone = between_processes([3.0], n=10, reason="restless")
    assert alone.value == pytest.approx(3.0)
    assert (alone.se, alone.se_method, alone.interval(), alone.reason) == (None, "none", None, "restless")


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    drawn = np.exp(rng.normal(0.0, 0.02, (4_000, 3)))
    intervals = [between_processes(one, n=3).interval() or (0.0, 0.0) for one in drawn]
    covered = np.mean([low <= 1.0 <= high for low, high in intervals])
    assert 0.935 < covered < 0.965
