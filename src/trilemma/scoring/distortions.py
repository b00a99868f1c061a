"""Graded distortions of real images: what a metric must see, from hardly there to plain.

Every distortion gives as many images as there are clean ones (but "fewer-samples", which is about their number), and
its levels are nested: the noise of one level is that of the next, scaled, and a mode that is dropped stays dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trilemma.data.sources import ImageSource
from trilemma.errors import UserError, suggest
from trilemma.scoring import distortions_pixels as pixels
from trilemma.scoring.views import Change, Changed, Chosen

Rows = NDArray[np.int64]
Images = Chosen | Changed


@dataclass(frozen=True, kw_only=True)
class Material:
    """Real images, dealt into roles by ``order``: reference, clean images, held-out ones, and spare ones.

    The images of a set come in the source's order, which suits its reader; no metric depends on it.

    Attributes:
        source: all of them.
        order: int64 (S,), a permutation of the source's images: one that is sorted by class must be shuffled.
        samples: N, the size of the first three roles.
        modes: (S,) which of its modes each image of the source shows, or None where that is not known.
    """

    source: ImageSource
    order: Rows
    samples: int
    modes: NDArray[np.generic] | None = None

    def __post_init__(self) -> None:
        if len(self.order) < 3 * self.samples:
            raise UserError(
                f"calibration with {self.samples} samples needs {3 * self.samples} images: reference, clean and "
                f"held-out ones; there are {len(self.order)}.",
                where=self.source.name,
                hint=f"Give more images, or --samples {len(self.order) // 3}.",
            )

    @cached_property
    def reference(self) -> Chosen:
        """What everything is compared with."""
        return self.chosen(self.order[: self.samples])

    @cached_property
    def clean(self) -> Chosen:
        """What is distorted."""
        return self.chosen(self.pool[: self.samples])

    @cached_property
    def heldout(self) -> Chosen:
        """What the threshold of the copy test is taken from."""
        return self.chosen(self.order[2 * self.samples : 3 * self.samples])

    @property
    def pool(self) -> Rows:
        """The clean images and, after them, the spare ones, as they were dealt: the first are a fair choice."""
        return np.concatenate([self.order[self.samples : 2 * self.samples], self.order[3 * self.samples :]])

    def chosen(self, rows: Rows) -> Chosen:
        """Returns a set of the source's images, one perhaps several times."""
        return Chosen(self.source, np.sort(rows))


_Damage = Callable[[pixels.Pixels, float, np.random.Generator], pixels.Pixels]
_Apply = Callable[[Material, float, int], Images]


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """One way to be worse than real images.

    Attributes:
        name: what the user types. title: for people.
        meaning: of the strength, with its unit.
        weakest, strongest: the strengths of the first and the last level; between them steps are equal ratios.
        steady: whether the images stay as good as they were, so that a metric should not move.
        apply: makes the images; it raises UserError where the material does not suffice.
    """

    name: str
    title: str
    meaning: str
    weakest: float
    strongest: float
    apply: _Apply
    steady: bool = False

    def strengths(self, levels: int) -> list[float]:
        """Returns the strengths of so many levels, ending with the strongest, to three digits."""
        if levels < 1:
            raise UserError(f"at least one level is needed, got {levels}.", where="--levels")
        ratio = self.strongest / self.weakest
        shares = [1.0] if levels == 1 else [level / (levels - 1) for level in range(levels)]
        return [float(f"{self.weakest * ratio**share:.3g}") for share in shares]


def _of_pixels(damage: _Damage) -> _Apply:
    def apply(material: Material, strength: float, seed: int) -> Changed:
        def change(position: int, image: pixels.Pixels) -> pixels.Pixels:
            return damage(image, strength, np.random.default_rng([seed, position]))

        return Changed(material.clean, _change(change, damage.__name__, strength, seed))

    return apply


def _drop_modes(material: Material, share: float, seed: int) -> Chosen:
    """Replaces the images of a share of the modes by images of the others."""
    if material.modes is None:
        raise UserError("modes are known of Scenes and of folders with one folder for each class.")
    names = np.unique(material.modes)
    gone = np.random.default_rng(seed).permutation(names)[: round(share * len(names))]
    kept = material.pool[~np.isin(material.modes[material.pool], gone)]
    if len(kept) < material.samples:
        raise UserError(f"{material.samples} images of the modes that are left are needed; there are {len(kept)}.")
    return material.chosen(kept[: material.samples])


def _invent_modes(material: Material, share: float, seed: int) -> Changed:
    """Turns a share of the images into their negatives."""
    changed_N = _some(material.samples, share, seed)

    def change(position: int, image: pixels.Pixels) -> pixels.Pixels:
        return pixels.negative(image) if changed_N[position] else image

    return Changed(material.clean, _change(change, "negatives of a share", share, seed))


def _duplicate(material: Material, copies: float, seed: int) -> Chosen:
    """Shows the first images several times each, and the others not at all."""
    count = round(copies)
    distinct = material.pool[: math.ceil(material.samples / count)]
    return material.chosen(np.tile(distinct, count)[: material.samples])


def _memorise(material: Material, share: float, seed: int) -> Chosen:
    """Replaces a share of the images by images of the reference, each at most once."""
    copied_N = _some(material.samples, share, seed)
    return material.chosen(np.where(copied_N, material.reference.rows, material.clean.rows))


def _fewer(material: Material, divisor: float, seed: int) -> Chosen:
    return material.chosen(material.pool[: max(1, round(material.samples / divisor))])


def _some(count: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Chooses a share of ``count`` positions, bool (count,): those of a smaller share are among them."""
    rank_N = np.random.default_rng(seed).permutation(count)
    chosen_N: NDArray[np.bool_] = rank_N < round(share * count)
    return chosen_N


def _change(apply: Callable[[int, pixels.Pixels], pixels.Pixels], name: str, strength: float, seed: int) -> Change:
    return Change(apply=apply, identity=(name, pixels.VERSION, strength, seed))


_SHARE = "share of the images"

_ALL = (
    Distortion(
        name="blur", title="Blur", meaning="standard deviation of a Gaussian, as a share of the shorter side",
        weakest=1 / 80, strongest=1 / 16, apply=_of_pixels(pixels.blur),
    ),
    Distortion(
        name="grain", title="Grain", meaning="standard deviation of Gaussian noise, grey levels",
        weakest=2, strongest=32, apply=_of_pixels(pixels.grain),
    ),
    Distortion(
        name="colour-shift", title="Colour shift", meaning="grey levels added to red and taken from blue",
        weakest=2, strongest=32, apply=_of_pixels(pixels.warm),
    ),
    Distortion(
        name="jpeg", title="JPEG", meaning="quality of the encoder",
        weakest=80, strongest=5, apply=_of_pixels(pixels.jpeg),
    ),
    Distortion(
        name="mode-drop", title="Mode drop", meaning="share of the modes that are dropped",
        weakest=0.1, strongest=0.8, apply=_drop_modes,
    ),
    Distortion(
        name="mode-invention", title="Mode invention", meaning=f"{_SHARE} that are negatives",
        weakest=0.05, strongest=0.4, apply=_invent_modes,
    ),
    Distortion(
        name="duplicates", title="Duplicates", meaning="times that each image is shown",
        weakest=2, strongest=16, apply=_duplicate,
    ),
    Distortion(
        name="memorised", title="Memorised copies", meaning=f"{_SHARE} that are copies of reference images",
        weakest=0.1, strongest=0.8, apply=_memorise,
    ),
    Distortion(
        name="fewer-samples", title="Fewer samples", meaning="what N is divided by",
        weakest=math.sqrt(2), strongest=4, apply=_fewer, steady=True,
    ),
)  # fmt: skip

DISTORTIONS: Mapping[str, Distortion] = MappingProxyType({entry.name: entry for entry in _ALL})
"""All distortions by name, in the order in which tables show them."""


def named_distortions(names: str | None) -> tuple[Distortion, ...]:
    """Returns the distortions of a list with commas, each once, in the order of the tables; all for None.

    Raises:
        UserError: there is no such distortion (it suggests the nearest), or none is named.
    """
    wanted = set(DISTORTIONS) if names is None else {name.strip() for name in names.split(",") if name.strip()}
    for name in sorted(wanted - DISTORTIONS.keys()):
        raise UserError(f'there is no distortion "{name}".', where="--distortions", hint=suggest(name, DISTORTIONS))
    if not wanted:
        raise UserError("no distortion is named.", where="--distortions", hint=f"Known: {', '.join(DISTORTIONS)}.")
    return tuple(entry for name, entry in DISTORTIONS.items() if name in wanted)
