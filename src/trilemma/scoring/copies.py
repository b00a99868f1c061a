"""The copy test of a score: FAKE's images against TRAINING's, by a threshold that REAL's held-out images set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trilemma.errors import UserError
from trilemma.features.presets import MetricUse, Preset
from trilemma.features.recipe import Normalization, Recipe, Resize
from trilemma.features.thumbnails import SIDE
from trilemma.metrics.copying import QUANTILE, SIGNIFICANCE, CopyTest, copy_test, nearest_distances
from trilemma.scoring.comparison import Comparison
from trilemma.scoring.feature_set import FeatureSet, Nearest
from trilemma.scoring.row import Number
from trilemma.statistics.estimate import Estimate, missing

THUMBNAILS = "thumbnails"
SAME = 0.5
"""RMS grey levels: two thumbnails of one picture lie nearer than this by their rounding alone (deviation 0.41)."""
SMALLEST_SHOWN = 0.0001

PIXELS = Preset(
    name="pixels",
    title="Copy test: distance to the nearest training image, by thumbnails of 16 x 16",
    recipe=Recipe(
        network="grey-levels",
        files=(),
        resize=Resize(size=SIDE, kernel="area", implementation="exact", antialias=True, quantized=True, fit="stretch"),
        normalization=Normalization(scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        outputs=(THUMBNAILS,),
    ),
    metrics=(
        MetricUse(name="copy_rate", function="copy_test", output=THUMBNAILS, parameters=(("quantile", QUANTILE),)),
    ),
)
"""The test in the form of a preset. It is none of the field's, for it needs training images beside the two sides."""


def with_copy_test(presets: Sequence[Preset], *, training: bool) -> tuple[Preset, ...]:
    """Returns the presets, and the copy test where there are training images; raises UserError where it lacks them."""
    if not training and PIXELS in presets:
        raise UserError(
            f'the preset "{PIXELS.name}" tests for copies of training images; none are given.',
            where="--preset",
            hint="Give them: --training SOURCE.",
        )
    return tuple(dict.fromkeys((*presets, PIXELS))) if training else tuple(presets)


def near(images: FeatureSet, training: FeatureSet) -> FeatureSet:
    """Returns a set of images with each one's distance to the nearest of the training images."""
    assert training.count is not None
    thumbnails_ND = images.arrays[THUMBNAILS]
    if images.digest == training.digest:  # a mistake that need not wait for the search
        distances_N = np.zeros(len(thumbnails_ND))
    else:
        distances_N = nearest_distances(thumbnails_ND, training.arrays[THUMBNAILS])
    return replace(
        images, nearest=Nearest(distances_N=distances_N, training=training.digest, training_images=training.count)
    )


def copy_rate(sides: Comparison, use: MetricUse) -> Number:
    """Returns the share of copies among the generated images, and what the test says of it."""
    generated, heldout = sides.fake.nearest, sides.real.nearest
    assert generated is not None and heldout is not None
    parameters: dict[str, Any] = dict(use.parameters)
    found = copy_test(generated.distances_N, heldout.distances_N, clusters=sides.fake.groups, **parameters)
    number = Number(estimate=found.rate, n_reference=generated.training_images)
    if found.threshold is None or found.p_value is None:
        return number
    if found.threshold < SAME:
        return replace(number, estimate=_not_held_out(heldout, found.rate.n))
    told = _told(found.threshold, found.p_value, beyond_chance=found.beyond_chance)
    return replace(number, estimate=replace(found.rate, reason=told), details=_details(found, heldout))


def _not_held_out(heldout: Nearest, n: int) -> Estimate:
    share = float(np.mean(heldout.distances_N < SAME))
    nearer = f"{share:.0%} of its images lie within {SAME} grey levels of a training image"
    return missing(f"REAL is not held out from TRAINING: {nearer}", n=n, status="withheld")


def _details(found: CopyTest, heldout: Nearest) -> dict[str, Any]:
    return {
        "threshold": found.threshold,
        "heldout_images": len(heldout.distances_N),
        "p_value": found.p_value,
        "significance": SIGNIFICANCE,
        "beyond_chance": found.beyond_chance,
    }


def _told(threshold: float, p_value: float, *, beyond_chance: bool) -> str:
    p = f"p < {SMALLEST_SHOWN}" if p_value < SMALLEST_SHOWN else f"p = {p_value:.2g}"
    verdict = "FAKE holds copies of training images, beyond chance" if beyond_chance else "no more than chance"
    within = f"within {threshold:.3g} grey levels of a training image, as {100 * QUANTILE:g} % of real images are"
    return f"{within}; {p}: {verdict}"
