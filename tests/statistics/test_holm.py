"""Holm's adjustment: a worked example, and its place between no adjustment and Bonferroni's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.statistics.holm import holm

p_values = st.lists(st.floats(0, 1), max_size=8)
repeatable = settings(max_examples=100, derandomize=True)


def test_a_worked_example() -> None:
    # 4 · 0.005, 3 · 0.01, 2 · 0.03, and 0.04, which may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_none_and_one() -> None:
    assert holm([]) == []
    assert holm([0.02]) == [0.02]


@repeatable
@given(p_values)
def test_it_lies_between_no_adjustment_and_bonferronis(p: list[float]) -> None:
    for one, adjusted in zip(p, holm(p), strict=True):
        assert one <= adjusted <= min(1.0, len(p) * one)


@repeatable
@given(p_values)
def test_it_keeps_the_order(p: list[float]) -> None:
    pairs = sorted(zip(p, holm(p), strict=True))
    assert [adjusted for _, adjusted in pairs] == sorted(adjusted for _, adjusted in pairs)
