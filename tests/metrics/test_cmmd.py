"""CMMD: both estimators against whole kernel matrices, blocks, the released code's formula, and its error."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics import cmmd as module
from trilemma.metrics.cmmd import cmmd


def embeddings(n: int, seed: int, shift: float = 0.0, d: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32) + np.float32(shift) * np.arange(d) / d


def whole_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = (a / np.linalg.norm(a.astype(np.float64), axis=1, keepdims=True) for a in (x, y))
    return np.exp(-(np.linalg.norm(x[:, None] - y[None], axis=-1) ** 2) / (2 * 10**2))


@pytest.mark.parametrize("block", [7, 2048])
def test_both_estimators_equal_whole_kernel_matrices(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    x, y = embeddings(50, 0, 1), embeddings(60, 1)
    xx, yy, xy = whole_kernel(x, x), whole_kernel(y, y), whole_kernel(x, y)
    released = 1000 * (xx.mean() + yy.mean() - 2 * xy.mean())
    off_x, off_y = ((k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy))
    assert cmmd(x, y).value == pytest.approx(released, rel=1e-9)
    assert cmmd(x, y, unbiased=True).value == pytest.approx(1000 * (off_x + off_y - 2 * xy.mean()), rel=1e-9)


def test_one_of_them_is_unbiased_and_the_other_is_never_negative() -> None:
    pairs = [(embeddings(60, seed), embeddings(80, 1000 + seed)) for seed in range(150)]
    unbiased = np.array([cmmd(x, y, unbiased=True).value for x, y in pairs])
    released = np.array([cmmd(x, y).value for x, y in pairs])
    assert abs(unbiased.mean()) < 3 * unbiased.std() / np.sqrt(150)
    assert (unbiased < 0).any() and (released > 0).all()


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_its_error_agrees_with_monte_carlo(shift: float) -> None:
    estimates = [cmmd(embeddings(80, s, shift), embeddings(120, 1000 + s), unbiased=True) for s in range(150)]
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(np.std([e.value for e in estimates], ddof=1), rel=0.2)


def test_a_set_is_at_distance_zero_from_itself_and_scale_does_not_matter() -> None:
    x = embeddings(60, 0)
    assert cmmd(x, x).value == pytest.approx(0, abs=1e-10)
    y = embeddings(60, 1, 1)
    assert cmmd(7 * x, y).value == pytest.approx(cmmd(x, y).value, rel=1e-5)


def test_clusters_widen_the_error_of_repeated_images() -> None:
    x, y = embeddings(100, 0, 1), embeddings(1500, 1)
    repeated = cmmd(np.repeat(x, 4, axis=0), y, np.repeat(np.arange(100), 4))
    apart = cmmd(np.repeat(x, 4, axis=0), y)
    assert repeated.se_method == "group_jackknife_clustered"
    assert repeated.se is not None and apart.se is not None and repeated.se > 1.3 * apart.se


def test_little_data_is_skipped_and_bad_data_refused() -> None:
    x = embeddings(60, 0)
    few = cmmd(x[:39], x)
    assert few.status == "skipped" and few.reason is not None and "40" in few.reason
    assert cmmd(x, x[:39]).status == "skipped"
    assert cmmd(x, x, np.arange(60) // 6).status == "skipped"
    with pytest.raises(UserError, match="zero"):
        cmmd(np.zeros((60, 12)), x)
    with pytest.raises(UserError, match="width"):
        cmmd(x[:, :5], x)
