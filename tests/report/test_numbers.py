from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.report.numbers import MINUS, at_error, bytes_text, interval, quantity, with_error


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (5.2471, 0.0234, "5.25 ± 0.02"),
        (7.4, 0.12, "7.40 ± 0.12"),
        (0.912345, 0.0063, "0.912 ± 0.006"),
        (812.3, 14.2, "812 ± 14"),
        (123456.0, 2345.0, "123,456 ± 2,345"),
        (-0.004, 0.03, "0.00 ± 0.03"),
        (-2.5, 0.3, "−2.5 ± 0.3"),
        (0.0, 0.12, "0.00 ± 0.12"),
        (3.0, 12.0, "3 ± 12"),
        (0.98, 0.0999, "0.98 ± 0.10"),
        (1.23e-4, 4.4e-5, "(1.2 ± 0.4) × 10⁻⁴"),
        (1.0, 0.0, "1 ± 0"),
        (0.0123456, None, "0.01235"),
        (2.5e-7, None, "2.5 × 10⁻⁷"),
    ],
)
def test_precision_follows_the_standard_error(value: float, se: float | None, text: str) -> None:
    assert with_error(value, se) == text


@pytest.mark.parametrize(
    ("low", "high", "se", "unit", "text"),
    [
        (35.58, 38.07, 0.63, "", "35.6 to 38.1"),
        (-0.3, 0.41, 0.18, "", "−0.30 to 0.41"),
        (3.4e-5, 2.1e-4, 4.4e-5, "", "(0.3 to 2.1) × 10⁻⁴"),
        (1.0, 2.5, None, "", "1 to 2.5"),
        (512 * 2**20, 2**30, None, "bytes", "512 MiB to 1 GiB"),
    ],
)
def test_intervals_are_cut_where_their_error_is(
    low: float, high: float, se: float | None, unit: str, text: str
) -> None:
    assert interval(low, high, se, unit) == text


def test_units_have_their_customary_form() -> None:
    assert bytes_text(512 * 2**20) == "512 MiB"
    assert bytes_text(1.5 * 2**30) == "1.5 GiB"
    assert quantity(2_412_345, None, "parameters") == "2,412,345"
    assert quantity(498, 3.2, "of 512") == "498 ± 3"


@settings(max_examples=200)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_rounding_costs_less_than_the_error(value: float, se: float) -> None:
    text = with_error(value, se).replace("−", "-").replace(",", "")
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", text)][:2]
    assert abs(numbers[0] - value) <= 0.51 * se
    assert numbers[1] == pytest.approx(se, rel=0.35)


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (9.412, 0.26, "9.4"),
        (0.20812, 0.012, "0.208"),
        (-3.2, 14.0, f"{MINUS}3"),
        (0.123456, None, "0.1235"),
        (0.5, 0.0, "0.5"),
        (1.2345e8, 4.4e6, "1.23 × 10⁸"),
    ],
)
def test_a_value_is_cut_where_its_error_begins(value: float, se: float | None, text: str) -> None:
    assert at_error(value, se) == text
