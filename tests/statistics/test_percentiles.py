"""A percentile needs its calls."""

from __future__ import annotations

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.percentiles import calls_needed, percentile


@pytest.mark.parametrize(("share", "needed"), [(0.5, 7), (0.9, 44), (0.95, 90), (0.99, 459)])
def test_the_calls_that_a_percentile_needs(share: float, needed: int) -> None:
    assert calls_needed(share) == needed
    assert share**needed <= 0.01 < share ** (needed - 1)


@pytest.mark.parametrize(("share", "needed"), [(0.9, 44), (0.99, 459)])
def test_one_call_too_few_is_null_with_the_number_that_is_needed(share: float, needed: int) -> None:
    values = np.arange(1.0, needed + 1)
    refused = percentile(values[:-1], share)
    assert (refused.value, refused.status) == (None, "skipped")
    assert refused.reason == f"needs at least {needed} calls; there are {needed - 1}"
    assert percentile(values, share).value is not None


def test_it_is_a_value_that_occurred_and_that_the_share_does_not_exceed() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    found = percentile(values, 0.9)
    assert (found.value, found.n, found.se) == (90.0, 100, None)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        calls_needed(1.0)
