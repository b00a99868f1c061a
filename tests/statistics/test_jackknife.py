"""The delete-a-group jackknife: exact for a mean, balanced groups, clusters kept whole."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.jackknife import group_labels, jackknife_estimate
from trilemma.statistics.standard_error import jackknife_se


def means_without_each(values: np.ndarray, labels: np.ndarray) -> list[float]:
    return [float(values[labels != group].mean()) for group in range(int(labels.max()) + 1)]


def test_groups_of_one_give_the_textbook_error_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=40)
    left_out = means_without_each(values, np.arange(40))
    assert jackknife_se(left_out) == pytest.approx(values.std(ddof=1) / np.sqrt(40))


def test_groups_are_balanced_and_repeatable() -> None:
    labels = group_labels(103, 20)
    assert set(np.bincount(labels)) == {5, 6}
    assert np.array_equal(labels, group_labels(103, 20))
    assert not np.array_equal(labels, group_labels(103, 20, seed=1))


def test_clusters_are_left_out_whole() -> None:
    clusters = np.repeat(np.arange(50), 4)
    labels = group_labels(200, 10, clusters=clusters).reshape(50, 4)
    assert (labels == labels[:, :1]).all()
    assert set(np.bincount(labels[:, 0])) == {5}


def test_error_of_a_mean_agrees_with_theory_on_average() -> None:
    rng = np.random.default_rng(0)
    labels = group_labels(400)
    errors = []
    for _ in range(200):
        values = rng.normal(size=400)
        errors.append(jackknife_se(means_without_each(values, labels)))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(1 / 20, rel=0.1)


def test_the_estimate_is_read_with_student_t() -> None:
    estimate = jackknife_estimate(1.0, np.linspace(0, 1, 20), 100)
    assert (estimate.degrees_of_freedom, estimate.se_method, estimate.n) == (19, "group_jackknife", 100)


def test_wrong_groups_are_refused() -> None:
    with pytest.raises(UserError):
        group_labels(10, 1)
    with pytest.raises(UserError):
        group_labels(10, 2, clusters=[1, 2])
