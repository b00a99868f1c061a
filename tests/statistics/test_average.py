"""The mean of several numbers: with what they share where it is known, else as if they shared nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from trilemma.statistics.average import average
from trilemma.statistics.estimate import Estimate, missing
from trilemma.statistics.means import mean_estimate

RNG = np.random.default_rng(0)
SHARED = RNG.normal(size=500)


def bare(value: float, se: float, degrees: float | None = None) -> Estimate:
    return Estimate(value=value, se=se, se_method="mean", n=100, degrees_of_freedom=degrees)


def test_independent_errors_add_in_squares() -> None:
    found = average([bare(1.0, 0.3), bare(3.0, 0.4)])
    assert (found.value, found.se, found.degrees_of_freedom) == (2.0, pytest.approx(0.25), None)


def test_degrees_of_freedom_are_satterthwaite_s() -> None:
    assert average([bare(1.0, 0.3, 9), bare(3.0, 0.3, 9)]).degrees_of_freedom == pytest.approx(18)


def test_what_numbers_share_is_counted() -> None:
    values = [SHARED, SHARED + 0.1 * RNG.normal(size=500), -SHARED]
    found = average([mean_estimate(one) for one in values])
    direct = mean_estimate(np.mean(values, axis=0))
    assert (found.value, found.se) == pytest.approx((direct.value, direct.se))
    assert found.replicates[0].values_U == pytest.approx(np.mean(values, axis=0))


def test_numbers_of_unlike_units_count_as_independent() -> None:
    one, other = mean_estimate(SHARED), mean_estimate(SHARED[:400])
    found = average([one, other])
    assert one.se is not None and other.se is not None
    assert found.replicates == () and found.se == pytest.approx(math.hypot(one.se, other.se) / 2)
    assert average([one, replace(one, replicates=())]).replicates == ()


def test_one_number_is_itself_and_one_without_value_spoils_all() -> None:
    one, none = bare(1.0, 0.1), missing("it failed", n=0)
    assert average([one]) is one
    assert average([one, none]) is none


def test_without_an_error_there_is_none() -> None:
    assert average([bare(1.0, 0.1), replace(bare(2.0, 0.1), se=None)]).se is None
