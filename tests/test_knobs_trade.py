"""What the knobs of the embedded models trade, with the committed weights: paired differences and their errors.

Truncation does what it is said to: precision up, coverage down. Guidance raises precision within prompts at first, and
coverage falls as it grows; but where it is strong, precision falls as well: over-guided images leave the manifold.
Among all real images, whatever their prompt, precision is at its ceiling without any guidance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trilemma.features.measure import Instruments
from trilemma.metrics.prdc import coverage_within, precision_within
from trilemma.protocol import load_protocol
from trilemma.registry import find_card, load
from trilemma.runner.plan import plan
from trilemma.runner.reference_sets import TRUTH_SEED
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.paired import paired
from trilemma.workspace import find_workspace

ROOT = Path(__file__).resolve().parents[1]
IMAGES, BATCH = 1024, 128  # 32 prompts, 32 images each: the protocol's own, as a sweep draws them
SIGNIFICANT, WITHIN_ERROR = 0.95, 0.997
GUIDED = ("vqar", "var", "ldm")
SETTINGS = {
    "gan": [f"gan@truncation={value:g}" for value in (1, 0.7, 0.4, 0.25)],
    **{model: [f"{model}@guidance_scale={value:g}" for value in (1, 2, 4)] for model in GUIDED},
}
Numbers = tuple[list[Estimate], list[Estimate]]


@pytest.fixture(scope="module")
def measured() -> Callable[[str], Numbers]:
    """Precision and coverage within prompts at every setting of a model, the strongest last."""
    workspace = find_workspace(ROOT)
    protocol = load_protocol(workspace.benchmarks / "scenes.toml")
    instruments = Instruments(protocol, "cpu")

    def features(name: str, seed: int) -> tuple[NDArray[Any], list[str]]:
        planned = plan(protocol, seed, IMAGES)["within_prompt"]
        generator = load(find_card(name, workspace), "cpu")
        parts = []
        for start in range(0, len(planned), BATCH):
            chosen = planned[start : start + BATCH]
            images = generator.generate([one.prompt for one in chosen], [one.seed for one in chosen])
            with torch.no_grad():
                parts.append(instruments.extractor.features(images.float() / 127.5 - 1).numpy())
        return np.concatenate(parts), [one.prompt_id for one in planned]

    real = features("real", TRUTH_SEED)

    @cache
    def numbers(model: str) -> Numbers:
        sides = [(*features(name, 0), *real) for name in SETTINGS[model]]
        return [precision_within(*one) for one in sides], [coverage_within(*one) for one in sides]

    return numbers


def change(before: Estimate, after: Estimate, level: float = SIGNIFICANT) -> tuple[float, float]:
    """The interval of the paired difference."""
    interval = paired(before, after).interval(level)
    assert interval is not None
    return interval


def never_falls(values: list[Estimate]) -> bool:
    return all(change(*pair, WITHIN_ERROR)[1] >= 0 for pair in zip(values, values[1:], strict=False))


def never_rises(values: list[Estimate]) -> bool:
    return all(change(*pair, WITHIN_ERROR)[0] <= 0 for pair in zip(values, values[1:], strict=False))


def test_truncation_trades_coverage_for_precision(measured: Callable[[str], Numbers]) -> None:
    precision, coverage = measured("gan")
    assert never_falls(precision) and change(precision[0], precision[-1])[0] > 0
    assert never_rises(coverage) and change(coverage[0], coverage[-1])[1] < 0


@pytest.mark.parametrize("model", GUIDED)
def test_guidance_raises_precision_at_first(measured: Callable[[str], Numbers], model: str) -> None:
    none, mild, _ = measured(model)[0]
    assert change(none, mild)[0] > 0


@pytest.mark.parametrize("model", GUIDED)
def test_guidance_lowers_coverage(measured: Callable[[str], Numbers], model: str) -> None:
    _, coverage = measured(model)
    assert never_rises(coverage) and change(coverage[0], coverage[-1])[1] < 0


@pytest.mark.parametrize("model", GUIDED)
def test_too_much_guidance_costs_precision_too(measured: Callable[[str], Numbers], model: str) -> None:
    """A known limit of models of this size: precision within prompts has its highest value near a scale of 2."""
    _, mild, strong = measured(model)[0]
    assert change(mild, strong)[1] < 0
