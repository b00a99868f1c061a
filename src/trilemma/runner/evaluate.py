"""From stored arrays to numbers: every metric of one model, by the names of the catalogue. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.metrics.agreement import clip_score, mean_residual, off_manifold_rate, prompt_accuracy
from trilemma.metrics.copying import CopyTest, NearestTraining, copy_test, nearest_training
from trilemma.metrics.frechet import frechet_distance, moments
from trilemma.metrics.inception_score import inception_score_of_factors, inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.modes import count_modes, mode_kl, mode_tv, modes_covered
from trilemma.metrics.prdc import coverage_within, prdc, precision_within
from trilemma.metrics.spread import FactorSpread, factor_spread, recalibrate, within_prompt_spread
from trilemma.runner.anchors import Anchors, Arrays, NotAtHand
from trilemma.runner.per_image import CAPTIONED
from trilemma.statistics.estimate import Estimate, missing

if TYPE_CHECKING:
    import pandas as pd

K = 5  # the neighbour that a ball reaches in precision, recall, density and coverage
FACTOR_SIZES = (len(scenes.SHAPES), len(scenes.COLORS), len(scenes.BACKGROUNDS))
NO_INCEPTION = "Inception's weights are not at hand"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A number with what else it depends on.

    Attributes:
        set, role: the images that it was measured on and the role of the network that read them, where they are not
            those of the catalogue.
    """

    estimate: Estimate
    n_reference: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    set: str | None = None
    role: str | None = None


@dataclass(frozen=True, kw_only=True)
class SetData:
    """One set of a model: sample rows and arrays, row by row."""

    rows: pd.DataFrame
    arrays: Arrays

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> NDArray[Any]:
        """Returns a column of the rows."""
        return self.rows[name].to_numpy()


@dataclass(kw_only=True)
class Evaluation:
    """All numbers of one model from its images, and what the copy test found for each of those that it looked at."""

    numbers: dict[str, Measured] = field(default_factory=dict)
    copying: CopyTest | None = None
    nearest: NearestTraining | None = None

    def attempt(self, names: tuple[str, ...], compute: Callable[[], Mapping[str, Measured]]) -> None:
        """Adds what ``compute`` gives; where it cannot be had, the named metrics say why."""
        try:
            self.numbers |= compute()
        except NotAtHand as error:
            self.numbers |= {name: Measured(estimate=missing(str(error), n=0)) for name in names}
        except UserError as error:
            self.numbers |= {name: Measured(estimate=missing(str(error), n=0, status="failed")) for name in names}


def split_sets(rows: pd.DataFrame, arrays: Arrays) -> dict[str, SetData]:
    """Returns a model's sets by name."""
    sets = {}
    for name in rows["set"].unique():
        chosen = (rows["set"] == name).to_numpy()
        part = {key: array[chosen] for key, array in arrays.items()}
        sets[str(name)] = SetData(rows=rows[chosen].reset_index(drop=True), arrays=part)
    return sets


def evaluate(sets: Mapping[str, SetData], anchors: Anchors) -> Evaluation:
    """Returns every number that a model's images give. What lacks a set of images is simply not there."""
    found = Evaluation()
    if "prompted" in sets:
        _evaluate_prompted(found, sets["prompted"], anchors)
    if "unconditional" in sets:
        _evaluate_unconditional(found, sets["unconditional"], anchors)
    if "within_prompt" in sets:
        _evaluate_within(found, sets["within_prompt"], anchors)
    return found


def _evaluate_prompted(found: Evaluation, data: SetData, anchors: Anchors) -> None:
    found.attempt(("fd_scenes",), lambda: _frechet(data, anchors))
    found.attempt(("kid",), lambda: _kernel(data, anchors))
    found.attempt(("inception_score",), lambda: _score_of_classes(data))
    found.attempt(("precision", "recall", "density", "coverage"), lambda: _neighbors(data, anchors))
    found.attempt(("clip_score",), lambda: {"clip_score": Measured(estimate=clip_score(data.column("clip_score")))})
    found.attempt(("prompt_accuracy",), lambda: _accuracy(data))
    found.attempt(("residual",), lambda: {"residual": Measured(estimate=mean_residual(data.column("residual")))})
    found.attempt(("copy_rate",), lambda: copies(found, data, anchors))
    found.attempt(("fid", "is_inception"), lambda: _inception(data, anchors))


def _evaluate_unconditional(found: Evaluation, data: SetData, anchors: Anchors) -> None:
    found.attempt(("coverage_unconditional",), lambda: _coverage_unconditional(data, anchors))
    found.attempt(("off_manifold",), lambda: _off_manifold(data, anchors))
    found.attempt(("modes", "mode_tv", "mode_kl"), lambda: _modes(data, anchors))


def _evaluate_within(found: Evaluation, data: SetData, anchors: Anchors) -> None:
    spreads = tuple(f"spread_{name}" for name in scenes.FREE)
    found.attempt(("precision_within_prompts", "coverage_within_prompts"), lambda: within(data, anchors))
    found.attempt((*spreads, "within_prompt_spread"), lambda: _spreads(data, anchors))


def _frechet(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    distance = frechet_distance(data.arrays["features"], anchors.moments)
    return {"fd_scenes": against_reference(distance, anchors)}


def _kernel(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    distance = kernel_distance(data.arrays["features"], anchors.arrays("reference")["features"])
    return {"kid": against_reference(distance, anchors)}


def against_reference(estimate: Estimate, anchors: Anchors) -> Measured:
    """Returns a number that real images have a part in."""
    digest = anchors.digests["reference"][:16]
    return Measured(estimate=estimate, n_reference=anchors.moments.count, params={"reference": digest})


def _score_of_classes(data: SetData) -> dict[str, Measured]:
    score = inception_score_of_factors(data.arrays["logits"], FACTOR_SIZES)
    return {"inception_score": Measured(estimate=score, params={"splits": 1, "classes": "shape*color*background"})}


def _neighbors(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    found = prdc(data.arrays["features"], anchors.arrays("reference")["features"], k=K)
    params = {"k": K, "reference": anchors.digests["reference"][:16]}
    return {
        name: Measured(estimate=getattr(found, name), n_reference=len(data), params=params)
        for name in ("precision", "recall", "density", "coverage")
    }


def _accuracy(data: SetData) -> dict[str, Measured]:
    read = np.stack([data.column(f"read_{name}") for name in CAPTIONED], axis=1)
    target = np.stack([data.column(f"target_{name}") for name in CAPTIONED], axis=1)
    return {"prompt_accuracy": Measured(estimate=prompt_accuracy(read, target))}


def copies(found: Evaluation, data: SetData, anchors: Anchors) -> dict[str, Measured]:
    """Returns the copy rate, and keeps the copy test and what it found for each image in ``found``."""
    training = anchors.arrays("training")["thumbnails"]
    found.nearest = nearest_training(data.arrays["thumbnails"], training)
    found.copying = copy_test(found.nearest.distances_N, anchors.heldout_distances)
    params = {
        "threshold": found.copying.threshold,
        "p_value": found.copying.p_value,
        "beyond_chance": found.copying.beyond_chance,
        "reference": anchors.digests["training"][:16],
    }
    return {"copy_rate": Measured(estimate=found.copying.rate, n_reference=len(training), params=params)}


def _inception(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    """FID and IS, where the instruments gave Inception's features and logits (without its bias) for both sides."""
    reference = anchors.arrays("reference")
    if "inception" not in data.arrays or "inception" not in reference:
        nothing = Measured(estimate=missing(NO_INCEPTION, n=len(data)))
        return {"fid": nothing, "is_inception": nothing}
    distance = frechet_distance(data.arrays["inception"], moments(reference["inception"]))
    score = inception_score_of_logits(data.arrays["inception_logits"])
    return {"fid": against_reference(distance, anchors), "is_inception": Measured(estimate=score)}


def _coverage_unconditional(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    coverage = prdc(data.arrays["features"], anchors.arrays("reference")["features"], k=K).coverage
    params = {"k": K, "reference": anchors.digests["reference"][:16]}
    return {"coverage_unconditional": Measured(estimate=coverage, n_reference=len(data), params=params)}


def _off_manifold(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    threshold = anchors.residual_threshold
    rate = off_manifold_rate(data.column("residual"), threshold)
    return {"off_manifold": Measured(estimate=rate, params={"threshold": threshold})}


def modes_of(data: SetData, anchors: Anchors) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns each image's mode, int64 (N,) in [0, 512), and whether it lies off the manifold."""
    shape, color, background = (data.column(f"read_{name}") for name in CAPTIONED)
    modes_N: NDArray[np.int64] = (shape * len(scenes.COLORS) + color) * len(scenes.BACKGROUNDS) + background
    off_N: NDArray[np.bool_] = data.column("residual") > anchors.residual_threshold
    return modes_N, off_N


def _modes(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    counts = count_modes(*modes_of(data, anchors), n_modes=scenes.MODES)
    params = {"threshold": anchors.residual_threshold}
    numbers = {"modes": modes_covered(counts), "mode_tv": mode_tv(counts), "mode_kl": mode_kl(counts)}
    return {name: Measured(estimate=estimate, params=params) for name, estimate in numbers.items()}


def within(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    """Returns precision and coverage inside each prompt, averaged."""
    real = anchors.arrays("within")["features"]
    sides = (data.arrays["features"], data.column("prompt_id"), real, np.array(anchors.within_prompts))
    params = {"k": K, "reference": anchors.digests["within"][:16]}
    numbers = {"precision": precision_within(*sides, k=K), "coverage": coverage_within(*sides, k=K)}
    return {
        f"{name}_within_prompts": Measured(estimate=estimate, n_reference=len(data), params=params)
        for name, estimate in numbers.items()
    }


def spreads_of(data: SetData, anchors: Anchors) -> dict[str, FactorSpread]:
    """Returns the spread within prompts of every free factor."""
    return {name: _spread(name, data, anchors.arrays("reference")) for name in scenes.FREE}


def _spreads(data: SetData, anchors: Anchors) -> dict[str, Measured]:
    factors = spreads_of(data, anchors)
    measured = {f"spread_{name}": Measured(estimate=factor.score) for name, factor in factors.items()}
    return {**measured, "within_prompt_spread": Measured(estimate=within_prompt_spread(factors))}


def _spread(name: str, data: SetData, real: Arrays) -> FactorSpread:
    """The angle of a circle or a ring is undefined, in the model's images as in the real ones."""
    undefined, undefined_real = (
        ~scenes.has_angle(shape) if name == "angle" else np.zeros(len(shape), np.bool_)
        for shape in (data.column("read_shape"), real["read_shape"])
    )
    values = recalibrate(data.column(f"read_{name}"), real[f"read_{name}"][~undefined_real])
    return factor_spread(values, data.column("prompt_id"), circular=name in scenes.CIRCULAR, exclude=undefined)
