"""Failures that are known and understood: which metric cannot see which distortion, and why.

A verdict that is listed here is no surprise; neither is a metric that does better. Everything else that is no success
is unexpected. The table is for N = 2,048 and above: with fewer images more changes drown in the errors, and a metric
that is blind for want of images is not excused.
"""

from __future__ import annotations

from dataclasses import dataclass

from trilemma.features.presets import MetricUse
from trilemma.scoring.calibration_verdict import Verdict

COPY_RATE = "copy_rate"


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A documented failure.

    Attributes:
        kinds: of metrics, as :func:`kind_of` names them.
        distortions: by name.
        verdicts: how it may show.
        reason: one sentence.
        network: the one whose features have this weakness, or None where it is the metric's own.
    """

    kinds: tuple[str, ...]
    distortions: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    reason: str
    network: str | None = None


_FRECHET = ("frechet_distance", "spatial_frechet_distance", "frechet_infinity")
_KERNEL = ("kernel_distance", "cmmd")
_CLASSES = ("inception_score_of_logits", "inception_score_of_factors")
_FIDELITY = ("precision", "density")
_COVER = ("recall", "coverage")
_DAMAGE = ("blur", "grain", "colour-shift", "jpeg")
_NOT_SEEN: tuple[Verdict, ...] = ("blind", "uneven", "wrong way")

EXPECTED: tuple[Expectation, ...] = (
    Expectation(
        kinds=(*_FRECHET, *_FIDELITY, *_COVER), distortions=("memorised",), verdicts=("blind", "wrong way"),
        reason="copies of the reference agree with it better than new images can: only a copy test tells them apart",
    ),
    Expectation(
        kinds=_KERNEL, distortions=("memorised",), verdicts=("blind", "wrong way"),
        reason="it compares populations, and those of copies and of new images are one",
    ),
    Expectation(
        kinds=("vendi_score", *_CLASSES), distortions=("memorised",), verdicts=_NOT_SEEN,
        reason="it knows no reference, and so no copies of it",
    ),
    Expectation(
        kinds=(COPY_RATE,),
        distortions=(*_DAMAGE, "mode-drop", "mode-invention", "duplicates"), verdicts=_NOT_SEEN,
        reason="it asks whether images are copies of the reference, and nothing else; damaged ones are so less often",
    ),
    Expectation(
        kinds=_CLASSES, distortions=(*_DAMAGE, "mode-invention"), verdicts=_NOT_SEEN,
        reason="it knows no reference: damage that leaves classes legible, or makes a class of its own, costs nothing",
    ),
    Expectation(
        kinds=("vendi_score",), distortions=(*_DAMAGE, "mode-invention"), verdicts=_NOT_SEEN,
        reason="it knows no reference: whatever makes images unlike each other is diversity to it",
    ),
    Expectation(
        kinds=("vendi_score", *_CLASSES), distortions=("duplicates",), verdicts=("blind", "uneven"),
        reason="the spectrum of features, and the classes, of a few images shown often are those of the few",
    ),
    Expectation(
        kinds=_FIDELITY, distortions=("mode-drop", "duplicates"), verdicts=_NOT_SEEN,
        reason="it asks of each image alone whether it is real; what is missing costs nothing",
    ),
    Expectation(
        kinds=_COVER, distortions=("mode-invention",), verdicts=("blind", "uneven"),
        reason="it asks whether the real images are reached; what is reached beside them costs nothing",
    ),
    Expectation(
        kinds=("recall",), distortions=_DAMAGE, verdicts=_NOT_SEEN,
        reason="balls around damaged images grow with their spread: broad noise reaches everything",
    ),
    Expectation(
        kinds=_KERNEL, distortions=("mode-drop", "duplicates"), verdicts=("blind",),
        reason="it is unbiased and its blocks scatter: a few modes, or the repeats inside a block, drown in that",
    ),
    Expectation(
        kinds=("frechet_infinity",), distortions=("duplicates",), verdicts=_NOT_SEEN,
        reason="it takes out what few distinct images add, as bias; with too few of them the line in 1/N bends below 0",
    ),
    Expectation(
        kinds=("frechet_distance", "spatial_frechet_distance"), distortions=("fewer-samples",), verdicts=("drifts",),
        reason="its expectation is that of infinitely many images plus c/N: compare at equal N",
    ),
    Expectation(
        kinds=("cmmd",), distortions=("fewer-samples",), verdicts=("drifts",),
        reason="the released estimator counts each image with itself, which adds c/N: compare at equal N",
    ),
    Expectation(
        kinds=("vendi_score", *_CLASSES), distortions=("fewer-samples",), verdicts=("drifts",),
        reason="fewer images show fewer kinds: compare at equal N",
    ),
    Expectation(
        kinds=(*_FRECHET, *_KERNEL, *_FIDELITY, *_COVER), distortions=("grain", "colour-shift"), verdicts=("uneven",),
        network="factor-net",
        reason="far from any image that it was trained on, the extractor of Scenes saturates: the plainest damage lies "
        "no farther from real images than half of it does",
    ),
)  # fmt: skip
"""In the order of search: the first that fits explains."""


def kind_of(use: MetricUse) -> str:
    """Returns what a metric is, whatever a preset calls it: its function, or the one of the four that "prdc" gives."""
    return use.name if use.function == "prdc" else use.function


def expectation(kind: str, distortion: str, network: str) -> Expectation | None:
    """Returns the documented failure of a kind of metric at a distortion, or None."""
    matching = (entry for entry in EXPECTED if kind in entry.kinds and distortion in entry.distortions)
    return next((entry for entry in matching if entry.network in (None, network)), None)
