"""Which function computes a number of a preset, what it needs of the two sides, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from trilemma.errors import UserError, suggest
from trilemma.features.presets import MetricUse
from trilemma.metrics.clip_score import ClipConvention, clip_score
from trilemma.metrics.cmmd import cmmd
from trilemma.metrics.frechet import frechet_distance
from trilemma.metrics.frechet_infinity import frechet_infinity
from trilemma.metrics.inception_score import inception_score_of_factors, inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.spatial_frechet import spatial_frechet_distance
from trilemma.metrics.vendi import vendi_score
from trilemma.metrics.within_prompt import within_prompt_vendi
from trilemma.scoring.comparison import Comparison
from trilemma.scoring.copies import copy_rate
from trilemma.scoring.row import Direction, Number

Needs = Literal["gaussian", "images", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A function of ``metrics`` as scores use it.

    Attributes:
        direction: which way is better.
        needs: of the real side: a fitted Gaussian will do, the images' features, or nothing.
        compute: from the two sides and the use that a preset makes of it.
        reads_prompts: whether the number depends on the prompts of the generated images.
    """

    direction: Direction
    needs: Needs
    compute: Callable[[Comparison, MetricUse], Number]
    reads_prompts: bool = False


def measure(function: str) -> Measure:
    """Returns the measure of this name; raises UserError with a suggestion when there is none."""
    if function not in MEASURES:
        raise UserError(f'there is no metric function "{function}".', hint=suggest(function, MEASURES))
    return MEASURES[function]


def clip_convention(use: MetricUse) -> ClipConvention:
    """Returns the convention of a CLIP score: it says how prompts are embedded, too."""
    return ClipConvention(**_given(use))


def _frechet(sides: Comparison, use: MetricUse) -> Number:
    reference = sides.gaussian(use.output)
    distance = spatial_frechet_distance if use.function == "spatial_frechet_distance" else frechet_distance
    estimate = distance(
        sides.generated(use.output), reference, sides.fake.groups, reference_features=sides.behind(use.output)
    )
    return Number(estimate=estimate, n_reference=reference.count)


def _frechet_infinity(sides: Comparison, use: MetricUse) -> Number:
    reference = sides.gaussian(use.output)
    estimate = frechet_infinity(sides.generated(use.output), reference, sides.fake.groups, **_given(use))
    return Number(estimate=estimate, n_reference=reference.count)


def _kernel(sides: Comparison, use: MetricUse) -> Number:
    real_MD = sides.real_features(use.output)
    estimate = kernel_distance(sides.generated(use.output), real_MD, sides.fake.groups, **_given(use))
    return Number(estimate=estimate, n_reference=len(real_MD))


def _cmmd(sides: Comparison, use: MetricUse) -> Number:
    real_MD = sides.real_features(use.output)
    estimate = cmmd(sides.generated(use.output), real_MD, sides.fake.groups, **_given(use))
    return Number(estimate=estimate, n_reference=len(real_MD))


def _score_of_logits(sides: Comparison, use: MetricUse) -> Number:
    """Runs of a fixed length, as ADM cuts them, are runs of nearly that length where N is no multiple of it."""
    given, logits_NC = _given(use), sides.generated(use.output)
    length = given.pop("images_per_split", None)
    if length is not None:
        given["splits"] = max(1, round(len(logits_NC) / length))
    return Number(
        estimate=inception_score_of_logits(logits_NC, clusters=sides.fake.groups, **given),
        parameters={"splits": given["splits"]},
    )


def _score_of_factors(sides: Comparison, use: MetricUse) -> Number:
    logits_NF = sides.generated(use.output)
    return Number(estimate=inception_score_of_factors(logits_NF, clusters=sides.fake.groups, **_given(use)))


def _prdc(sides: Comparison, use: MetricUse) -> Number:
    given = _given(use)
    sweep = sides.sweep(use.output, equal_sizes=given["equal_sizes"])
    return Number(estimate=getattr(sweep.found[given["k"], given["strict"]], use.name), n_reference=sweep.n_reference)


def _vendi(sides: Comparison, use: MetricUse) -> Number:
    return Number(estimate=vendi_score(sides.generated(use.output), sides.fake.groups, **_given(use)))


def _within_prompt_vendi(sides: Comparison, use: MetricUse) -> Number:
    if sides.fake.groups is None:
        raise UserError("no prompt has several images.")
    return Number(estimate=within_prompt_vendi(sides.generated(use.output), sides.fake.groups, **_given(use)))


def _clip_score(sides: Comparison, use: MetricUse) -> Number:
    if sides.fake.texts is None:
        raise UserError("these images have no prompts.", hint="Name a file of them: --prompts FILE.")
    images_ND, convention = sides.generated(use.output), clip_convention(use)
    return Number(estimate=clip_score(images_ND, sides.fake.texts, sides.fake.groups, convention=convention))


def _given(use: MetricUse) -> dict[str, Any]:
    return dict(use.parameters)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "frechet_distance": Measure(direction="lower", needs="gaussian", compute=_frechet),
        "spatial_frechet_distance": Measure(direction="lower", needs="gaussian", compute=_frechet),
        "frechet_infinity": Measure(direction="lower", needs="gaussian", compute=_frechet_infinity),
        "kernel_distance": Measure(direction="lower", needs="images", compute=_kernel),
        "cmmd": Measure(direction="lower", needs="images", compute=_cmmd),
        "inception_score_of_logits": Measure(direction="higher", needs="nothing", compute=_score_of_logits),
        "inception_score_of_factors": Measure(direction="higher", needs="nothing", compute=_score_of_factors),
        "prdc": Measure(direction="higher", needs="images", compute=_prdc),
        "vendi_score": Measure(direction="higher", needs="nothing", compute=_vendi),
        "within_prompt_vendi": Measure(
            direction="higher", needs="nothing", compute=_within_prompt_vendi, reads_prompts=True
        ),
        "clip_score": Measure(direction="higher", needs="nothing", compute=_clip_score, reads_prompts=True),
        "copy_test": Measure(direction="lower", needs="images", compute=copy_rate),
    }
)
"""The functions that presets name."""
