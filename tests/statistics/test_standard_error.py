"""Degrees of freedom: those of Gaussian units, fewer for heavy tails, and those of a sum by Satterthwaite's formula."""

import math

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.means import mean_estimate
from trilemma.statistics.paired import paired
from trilemma.statistics.replicates import Replicates, fingerprint
from trilemma.statistics.standard_error import StandardError, combined, degrees_of_variance


def error(se: float, degrees: float) -> StandardError:
    return StandardError(se=se, degrees_of_freedom=degrees)


def test_a_sum_has_the_degrees_of_the_source_that_rules_it() -> None:
    assert combined([error(2.0, 7)]) == error(2.0, 7)
    assert combined([error(3.0, 10), error(4.0, 10)]) == error(5.0, pytest.approx(625 / (81 + 256) * 10))
    assert combined([error(3.0, 5), error(1e-6, 90)]).degrees_of_freedom == pytest.approx(5)
    assert combined([error(3.0, math.inf), error(4.0, math.inf)]) == error(5.0, math.inf)
    assert combined([error(0.0, 4), error(0.0, 9)]) == error(0.0, 4)
    assert error(2.0, 7).scaled(-3) == error(6.0, 7)


@pytest.mark.parametrize(("tails", "kurtosis"), [(30, 6 / 26), (9, 6 / 5)])
def test_degrees_are_what_the_scatter_of_the_variance_says(tails: int, kurtosis: float) -> None:
    # By definition 2 V² / Var V, with V the variance of so many draws of Student's t.
    rng = np.random.default_rng(0)
    samples = rng.standard_t(tails, size=(4000, 300))
    variances = samples.var(axis=1, ddof=1)
    scatter = 2 * variances.mean() ** 2 / variances.var()
    assert scatter == pytest.approx(2 / (kurtosis / 300 + 2 / 299), rel=0.1)
    assert np.mean([degrees_of_variance(sample) for sample in samples[:500]]) == pytest.approx(scatter, rel=0.15)


def test_degrees_lie_between_one_and_those_of_gaussian_units() -> None:
    assert degrees_of_variance(np.linspace(-1, 1, 50)) == pytest.approx(49)
    assert degrees_of_variance(np.zeros(50)) == 49
    assert degrees_of_variance(np.eye(1, 50)[0]) == pytest.approx(2 / (45.0204 / 50 + 2 / 49), rel=1e-3)
    assert degrees_of_variance(np.array([0.0, 0.0, 1.0])) >= 1


def test_a_multiple_moves_as_the_number_does() -> None:
    rng = np.random.default_rng(0)
    source = Replicates(kind="influence", values_U=rng.normal(size=60), halves_U=rng.normal(size=60), cut="halves")
    twice, back = source.scaled(-2), source.scaled(3).minus(source.scaled(2))
    assert twice.error() == error(
        pytest.approx(2 * source.error().se), pytest.approx(source.error().degrees_of_freedom)
    )
    np.testing.assert_allclose(back.values_U, source.values_U)
    np.testing.assert_allclose(back.halves_U, source.halves_U)
    with pytest.raises(UserError, match="one kind"):
        source.minus(Replicates(kind="parts", values_U=source.values_U))


def test_means_over_other_prompts_are_no_pairs() -> None:
    values = np.arange(4.0)
    before, after = (mean_estimate(values, names=names) for names in (list("abcd"), list("abce")))
    assert paired(before, before).se == 0
    with pytest.raises(UserError, match="dealt otherwise"):
        paired(before, after)
    assert fingerprint(np.array(list("abcd"))) != fingerprint(np.array(list("abdc")))
