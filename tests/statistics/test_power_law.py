from __future__ import annotations

import numpy as np
import pytest

from trilemma.statistics.power_law import exponent


def test_a_power_law_is_found_exactly() -> None:
    sizes = np.array([1.0, 4.0, 16.0, 64.0])
    found = exponent(sizes, 3.0 * sizes**0.7)
    assert found is not None and found.se is not None
    assert found.value == pytest.approx(0.7) and found.se == pytest.approx(0.0, abs=1e-12)


def test_the_error_is_that_of_a_regression() -> None:
    rng = np.random.default_rng(0)
    sizes = 2.0 ** np.arange(8)
    slopes = [exponent(sizes, sizes**1.3 * np.exp(0.2 * rng.normal(size=8))) for _ in range(400)]
    values = np.array([found.value for found in slopes if found is not None])
    errors = np.array([found.se for found in slopes if found is not None])
    assert values.mean() == pytest.approx(1.3, abs=0.02)
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.15)


def test_two_points_have_no_error_and_one_has_no_line() -> None:
    found = exponent([1, 10], [2, 20])
    assert found is not None and found.value == pytest.approx(1.0) and found.se is None
    assert exponent([4], [2]) is None and exponent([], []) is None
    assert exponent([4, 4], [2, 3]) is None
