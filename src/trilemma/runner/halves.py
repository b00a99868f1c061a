"""One entry's images and calls, dealt to halves and groups: what its three scores are on any part of them.

Every set's sample keys are dealt into 2 × 20 cells, whole prompts at a time, by a permutation that depends on their
number alone: the same cells for every setting, so that a group left out is the same noise left out everywhere. All that
the scores are made of adds up over cells: moments, counts of modes, prompts' spreads. Timed calls are dealt in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.metrics.covariance_roots import Factored
from trilemma.metrics.frechet import MINIMUM_SAMPLES, Moments, distance_between_moments, moments
from trilemma.metrics.modes import count_modes, expected_tv, mode_score, total_variation
from trilemma.metrics.scores import diversity_score, quality_score, speed_score
from trilemma.runner.anchors import Anchors
from trilemma.runner.evaluate import SetData, modes_of, spreads_of
from trilemma.runner.speed import best_batch
from trilemma.statistics.estimate import exact
from trilemma.statistics.jackknife import GROUPS, group_labels
from trilemma.statistics.standard_error import StandardError

if TYPE_CHECKING:
    import pandas as pd

HALVES = 2
CELLS = HALVES * GROUPS


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The anchors of the scores: distances of the control `reduced` and of real images at the size of a half, and
    seconds of one pass of the reference decoder.
    """

    reduced: float
    floor: float
    reference_seconds: float


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What three scores are made of before they are anchored: a distance, a diversity score, seconds per image."""

    distance: float
    diversity: float
    seconds: float

    def point(self, scale: Scale) -> tuple[float, float, float]:
        """Returns the scores, each clipped to [0, 10]."""
        scores = (
            quality_score(exact(self.distance, 1), exact(scale.reduced, 1), exact(scale.floor, 1)),
            speed_score(exact(self.seconds, 1), exact(scale.reference_seconds, 1)),
        )
        quality, speed = (_known(score.value, score.unclipped.reason) for score in scores)
        return quality, self.diversity, speed


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What adds up over the cells of one entry.

    Attributes:
        moments_C: of the features of prompted images, one for each cell.
        counts_CB: images without prompts by mode, int64 (cells, modes + 1).
        spreads: by free factor the prompts' scores and the cells that they are in.
    """

    moments_C: tuple[Moments, ...]
    counts_CB: NDArray[np.int64]
    spreads: Mapping[str, tuple[NDArray[np.float64], NDArray[np.int64]]]

    def images(self, cells_C: NDArray[np.bool_]) -> int:
        """Returns how many prompted images lie in the chosen cells."""
        return sum(part.count for part, chosen in zip(self.moments_C, cells_C, strict=True) if chosen)

    def distance(self, cells_C: NDArray[np.bool_], reference: Factored) -> float:
        """Returns the Fréchet distance of the images in the chosen cells."""
        if self.images(cells_C) < MINIMUM_SAMPLES:
            raise UserError(f"a half has fewer than {MINIMUM_SAMPLES} images with prompts")
        chosen = [part for part, wanted in zip(self.moments_C, cells_C, strict=True) if wanted]
        total = chosen[0]
        for part in chosen[1:]:
            total = total.merge(part)
        return distance_between_moments(total, reference)

    def diversity(self, cells_C: NDArray[np.bool_], size: int) -> float:
        """Returns the diversity score of the chosen cells; real images' modes are those of ``size`` images."""
        counts_B = self.counts_CB[cells_C].sum(axis=0)
        if not counts_B.any():
            raise UserError("a half has no image without a prompt")
        modes = mode_score(exact(total_variation(counts_B), 1), expected_tv(size))
        spreads = [_mean(name, scores_P[cells_C[cells_P]]) for name, (scores_P, cells_P) in self.spreads.items()]
        score = diversity_score(modes, exact(float(np.mean(spreads)), 1))
        return _known(score.value, score.unclipped.reason)


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds per image on either half of the calls, and the standard error of all of them; None of a single call."""

    halves: tuple[float, float]
    error: StandardError | None


def pieces(sets: Mapping[str, SetData], anchors: Anchors) -> Pieces:
    """Returns what the sets of an entry give; one of the three that is not there raises UserError."""
    for name in ("prompted", "unconditional", "within_prompt"):
        if name not in sets:
            raise UserError(f'there is no set "{name}"')
    prompted, free, within = sets["prompted"], sets["unconditional"], sets["within_prompt"]
    cells_N, features_ND = deal(prompted), prompted.arrays["features"]
    found = spreads_of(within, anchors)
    prompt_cells = dict(zip(within.column("prompt_id"), deal(within), strict=True))
    return Pieces(
        moments_C=tuple(moments(features_ND[cells_N == cell]) for cell in range(CELLS)),
        counts_CB=count_modes(
            *modes_of(free, anchors), n_modes=scenes.MODES, groups=CELLS, labels_N=deal(free)
        ).counts_GB,
        spreads={
            name: (factor.scores_P, np.array([prompt_cells[prompt] for prompt in factor.prompts_P], dtype=np.int64))
            for name, factor in found.items()
        },
    )


def deal(data: SetData) -> NDArray[np.int64]:
    """Returns each row's cell, int64 (N,): whole prompts together, rows alone where all share the empty prompt."""
    prompts = data.column("prompt_id")
    units = prompts if len(set(prompts)) > 1 else data.column("key")
    return group_labels(len(data), CELLS, clusters=units.astype(np.str_))


def cells_of(half: int, without: int | None = None) -> NDArray[np.bool_]:
    """Returns which cells make up a half, bool (40,), less those of one of the 20 groups."""
    groups_C, halves_C = np.divmod(np.arange(CELLS), HALVES)
    chosen_C: NDArray[np.bool_] = halves_C == half
    return chosen_C if without is None else chosen_C & (groups_C != without)


def times_of(timings: pd.DataFrame) -> Times:
    """Returns what an entry's calls give: on each half of them, at the batch that is best on the other half.

    The calls of each batch size are dealt in turn; one that is alone at its size is in both halves.
    """
    best = best_batch(timings, "offline")
    if best is None:
        raise UserError("no batch was timed")
    error, count = best.seconds_per_image.se, len(best.rows)
    first, second = _dealt(timings[(timings["scenario"] == "offline") & (timings["status"] == "ok")])
    return Times(
        halves=(_at_best_of(second, first), _at_best_of(first, second)),
        error=None if error is None else StandardError(se=error, degrees_of_freedom=count - 1),
    )


def _dealt(timed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    sizes = timed.groupby("batch_size")["batch_size"]
    places, alone = sizes.cumcount(), sizes.transform("size") == 1
    return timed[(places % 2 == 0) | alone], timed[(places % 2 == 1) | alone]


def _at_best_of(chooses: pd.DataFrame, scores: pd.DataFrame) -> float:
    best = best_batch(chooses, "offline")
    assert best is not None, "every size is in both halves"
    rows = scores[scores["batch_size"] == best.batch_size]
    return float((rows["wall_ns"] / rows["n_images"]).mean()) / 1e9


def _mean(name: str, scores_P: NDArray[np.float64]) -> float:
    """Of one prompt too: a half with one alone has none once its group is left out, and is refused there."""
    if len(scores_P) == 0:
        raise UserError(f"too few prompts tell the spread of {name}: each half needs 2")
    return float(scores_P.mean())


def _known(value: float | None, reason: str | None) -> float:
    if value is None:
        raise UserError(reason or "a score has no value")
    return value
