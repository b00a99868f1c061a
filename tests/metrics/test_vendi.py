"""Vendi score: the published values, closed forms, both forms alike, and an error that is one."""

import math

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.vendi import vendi_score, vendi_score_of_matrix, vendi_value

ORDERS = (0.5, 1.0, 2.0, math.inf)


def test_the_published_values() -> None:
    samples = np.array([0, 0, 10, 10, 20, 20])
    alike_in_pairs = np.exp(-np.abs(samples[:, None] - samples))
    assert vendi_score_of_matrix(alike_in_pairs).value == pytest.approx(2.9999999959, abs=1e-9)
    three = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert vendi_score_of_matrix(three).value == pytest.approx(2.1573, abs=5e-5)


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize("copies", [5, 9])
def test_unlike_images_count_one_each_whatever_the_order(q: float, copies: int) -> None:
    x = np.repeat(np.eye(4, 6), copies, axis=0)
    assert vendi_score(x, q=q).value == pytest.approx(4)
    assert vendi_value(x, q=q) == pytest.approx(4)
    assert vendi_score(np.ones((20, 3)), q=q).value == pytest.approx(1)


@pytest.mark.parametrize("q", ORDERS)
def test_dual_and_kernel_forms_agree_in_value_and_error(q: float) -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)) + 0.5
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    dual, kernel = vendi_score(x, q=q), vendi_score_of_matrix(units @ units.T, q=q)
    assert dual.value == pytest.approx(kernel.value, rel=1e-10)
    assert dual.se == pytest.approx(kernel.se, rel=1e-8)
    assert dual.value == pytest.approx(vendi_value(x, q=q), rel=1e-10)


def test_uneven_shares_have_a_closed_form() -> None:
    shares = np.array([0.5, 0.3, 0.2])
    x = np.repeat(np.eye(3), [50, 30, 20], axis=0)
    for q in (0.5, 2.0, 3.0):
        assert vendi_score(x, q=q).value == pytest.approx(np.sum(shares**q) ** (1 / (1 - q)))
    assert vendi_score(x).value == pytest.approx(np.exp(-np.sum(shares * np.log(shares))))
    assert vendi_score(x, q=math.inf).value == pytest.approx(2)


@pytest.mark.parametrize("q", [1.0, 2.0, math.inf])
def test_its_error_agrees_with_monte_carlo(q: float) -> None:
    rng = np.random.default_rng(0)
    spectrum = np.logspace(0, -1, 8)
    estimates = [vendi_score(rng.normal(size=(200, 8)) * spectrum, q=q) for _ in range(200)]
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(np.std([e.value for e in estimates], ddof=1), rel=0.15)


def test_clusters_widen_the_error_of_repeated_images() -> None:
    x = np.random.default_rng(0).normal(size=(80, 5)) * np.logspace(0, -1, 5)
    repeated = vendi_score(np.repeat(x, 4, axis=0), np.repeat(np.arange(80), 4))
    assert repeated.value == pytest.approx(vendi_score(x).value)
    assert repeated.se == pytest.approx(vendi_score(x).se, rel=0.05)
    assert repeated.se_method == "influence_clustered"


def test_vendi_score_is_the_oracle() -> None:
    oracle = pytest.importorskip("vendi_score.vendi", reason="vendi-score is not installed")
    x = np.random.default_rng(0).normal(size=(30, 50))
    assert vendi_score(x).value == pytest.approx(oracle.score_X(x), rel=1e-9)
    many = np.random.default_rng(0).normal(size=(90, 7))
    for q in (0.5, 1, 2, "inf"):
        ours = vendi_score(many, q=math.inf if q == "inf" else float(q))
        assert ours.value == pytest.approx(oracle.score_dual(many, q=q), rel=1e-9)


def test_what_has_no_score_is_refused() -> None:
    with pytest.raises(UserError, match="zero"):
        vendi_score(np.zeros((20, 3)))
    with pytest.raises(UserError, match="order"):
        vendi_score(np.eye(3), q=-1)
    with pytest.raises(UserError, match="symmetric"):
        vendi_score_of_matrix(np.array([[1.0, 0.5], [0.1, 1.0]]))
    few = vendi_score(np.eye(19))
    assert (few.value, few.status) == (None, "skipped") and "20" in str(few.reason)
