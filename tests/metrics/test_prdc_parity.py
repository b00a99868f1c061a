"""The prdc package and its published example as oracles of precision, recall, density and coverage."""

import numpy as np
import pytest

from trilemma.metrics.prdc import NAMES, expected_coverage, prdc, prdc_sweep


@pytest.mark.parametrize("k", [3, 5])
def test_all_four_equal_the_packages(k: int) -> None:
    oracle = pytest.importorskip("prdc", reason="prdc is not installed")
    rng = np.random.default_rng(0)
    x, y = 0.9 * rng.normal(size=(300, 12)) + 0.1, rng.normal(size=(300, 12))
    theirs = oracle.compute_prdc(real_features=y, fake_features=x, nearest_k=k)
    ours = prdc_sweep(x, y)[k, True]
    for name in NAMES:
        assert getattr(ours, name).value == pytest.approx(theirs[name], rel=1e-12), name


def test_the_published_example_within_sampling_noise() -> None:
    # Two draws of N(0, I) with N = 10,000, d = 1,000, k = 5; its README prints one draw of it.
    published = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 10_000, 1000), dtype=np.float32)
    ours = prdc(x, y, k=5, strict=True)
    for name, value in published.items():
        estimate = getattr(ours, name)
        # Both are draws; the reference's own draw, which the error leaves out, is as wide again.
        assert estimate.value == pytest.approx(value, abs=5 * np.sqrt(2) * estimate.se), name
    assert ours.coverage.value == pytest.approx(expected_coverage(5, 10_000, 10_000), abs=0.01)
