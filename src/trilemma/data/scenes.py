"""Scenes: pictures whose truth is known. An image is a pure function of (split, index); nothing is stored.

*Captioned factors*: 8 shapes x 8 colours x 8 backgrounds = 512 modes. *Free factors*, which no caption tells:
position, size, angle, background tint and pattern phase, all uniform and independent of one another.
Coordinates run from 0 to 1 over the picture, x to the right and y downwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trilemma.data import shapes
from trilemma.errors import UserError

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent")
COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "pink", "white")
PATTERNS = ("stripes", "checks", "dots", "waves")
GROUNDS = ("green", "purple")
BACKGROUNDS = tuple(f"{ground} {pattern}" for ground in GROUNDS for pattern in PATTERNS)
MODES = len(SHAPES) * len(COLORS) * len(BACKGROUNDS)

FREE = ("x", "y", "size", "angle", "tint", "phase")
CIRCULAR = frozenset({"phase"})
TRAIN_IMAGES = 100_000
VERSION = 1

_OBJECT_RGB = np.array(
    [
        (225, 35, 35), (250, 140, 20), (250, 225, 40), (60, 225, 80),
        (40, 215, 230), (50, 95, 250), (250, 110, 200), (245, 245, 245),
    ],
    dtype=np.float32,
)  # fmt: skip
_GROUND_RGB = np.array([[(14, 60, 34), (36, 112, 66)], [(52, 26, 80), (96, 58, 136)]], dtype=np.float32)

_PHRASINGS = (
    "{a} {color} {shape} on {background}",
    "{background} behind {a} {color} {shape}",
    "a {shape} in {color} over {background}",
    "{color} {shape} , {background}",
    "a picture of {a} {color} {shape} on {background}",
    "there is {a} {color} {shape} over {background}",
)
_HELD_OUT_PHRASINGS = (
    "over {background} , {a} {color} {shape}",
    "a picture of {background} behind a {shape} in {color}",
)
_FIELDS = ("shape", "color", "background", *FREE, "phrasing")
_CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What N pictures show, as a structure of arrays, each of shape (N,).

    ``shape``, ``color`` and ``background`` are int64 indices into the tuples above. The free factors are float64:
    ``x``, ``y``, ``size``, ``angle`` and ``tint`` in [0, 1] over their range, ``phase`` in turns, [0, 1). Angles reach
    15 degrees to either side; circle and ring look the same at every one.
    """

    shape: NDArray[np.int64]
    color: NDArray[np.int64]
    background: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    size: NDArray[np.float64]
    angle: NDArray[np.float64]
    tint: NDArray[np.float64]
    phase: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.shape)

    @property
    def mode(self) -> NDArray[np.int64]:
        """The captioned factors as one number in [0, 512)."""
        return (self.shape * len(COLORS) + self.color) * len(BACKGROUNDS) + self.background

    def take(self, rows: NDArray[np.int64] | slice) -> Factors:
        """Returns the chosen rows."""
        return Factors(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def factors(split: str, indices: Sequence[int] | NDArray[np.int64]) -> Factors:
    """Returns the factors of the pictures ``(split, index)``.

    Raises:
        UserError: an index is negative, or lies outside the finite training split.
    """
    uniform = _uniform(split, indices)
    free = {name: uniform[name] for name in FREE}
    return Factors(
        shape=_choice(uniform["shape"], SHAPES), color=_choice(uniform["color"], COLORS),
        background=_choice(uniform["background"], BACKGROUNDS), **free,
    )  # fmt: skip


def captions(split: str, indices: Sequence[int] | NDArray[np.int64]) -> list[str]:
    """Returns one caption for each picture. The phrasings of the held-out kind never occur in the split "train"."""
    phrasings = _PHRASINGS if split == "train" else _PHRASINGS + _HELD_OUT_PHRASINGS
    known = factors(split, indices)
    chosen = np.floor(_uniform(split, indices)["phrasing"] * len(phrasings)).astype(int)
    return [
        caption(int(s), int(c), int(b), phrasings[p])
        for s, c, b, p in zip(known.shape, known.color, known.background, chosen, strict=True)
    ]


def caption(shape: int, color: int, background: int, phrasing: str = _PHRASINGS[0]) -> str:
    """Returns the caption of one mode in one phrasing."""
    article = "an" if COLORS[color][0] in "aeiou" else "a"
    return phrasing.format(a=article, color=COLORS[color], shape=SHAPES[shape], background=BACKGROUNDS[background])


def vocabulary() -> list[str]:
    """Returns every word that a caption can hold, sorted."""
    texts = [*SHAPES, *COLORS, *BACKGROUNDS, "a an", *_PHRASINGS, *_HELD_OUT_PHRASINGS]
    return sorted({word for text in texts for word in text.split() if "{" not in word})


def render(known: Factors, resolution: int = 32) -> NDArray[np.uint8]:
    """Draws the pictures with anti-aliased signed-distance functions.

    Returns:
        uint8 ``(N, resolution, resolution, 3)``, RGB.

    Raises:
        UserError: the resolution is below 8.
    """
    if resolution < 8:
        raise UserError(f"scenes need a resolution of at least 8, got {resolution}.")
    parts = [_draw(known.take(slice(i, i + _CHUNK)), resolution) for i in range(0, len(known), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, resolution, resolution, 3), np.uint8)


def images(split: str, indices: Sequence[int] | NDArray[np.int64], resolution: int = 32) -> NDArray[np.uint8]:
    """Returns the pictures ``(split, index)`` as uint8 ``(N, resolution, resolution, 3)``."""
    return render(factors(split, indices), resolution)


def has_angle(shape: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns which shapes look different when they are turned."""
    return ~np.isin(shape, [SHAPES.index("circle"), SHAPES.index("ring")])


def _choice(uniform_N: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.int64]:
    return np.floor(uniform_N * len(names)).astype(np.int64)


def _draw(known: Factors, resolution: int) -> NDArray[np.uint8]:
    centers = (np.arange(resolution, dtype=np.float32) + np.float32(0.5)) / np.float32(resolution)
    y_HW, x_HW = np.meshgrid(centers, centers, indexing="ij")
    ground_NHW3 = _draw_background(known, x_HW, y_HW, resolution)
    cover_NHW = np.zeros(ground_NHW3.shape[:3], np.float32)
    cx, cy = (0.34 + 0.32 * np.stack([known.x, known.y])).astype(np.float32)[:, :, None, None]
    radius = ((1 + known.size) / 6).astype(np.float32)[:, None, None]
    for index, name in enumerate(SHAPES):
        rows = known.shape == index
        distance = shapes.signed_distance(
            name, x_HW - cx[rows], y_HW - cy[rows], radius[rows], known.angle[rows].astype(np.float32)[:, None, None]
        )
        cover_NHW[rows] = _coverage(distance, resolution)
    color_N113 = _OBJECT_RGB[known.color][:, None, None]
    picture_NHW3 = ground_NHW3 + cover_NHW[..., None] * (color_N113 - ground_NHW3)
    return np.clip(np.rint(picture_NHW3), 0, 255).astype(np.uint8)


def _draw_background(known: Factors, x_HW: shapes.Array, y_HW: shapes.Array, resolution: int) -> NDArray[np.float32]:
    pattern, ground = known.background % len(PATTERNS), known.background // len(PATTERNS)
    light_NHW = np.zeros((len(known), *x_HW.shape), np.float32)
    for index, name in enumerate(PATTERNS):
        rows = pattern == index
        phase = known.phase[rows].astype(np.float32)[:, None, None]
        light_NHW[rows] = _coverage(shapes.pattern_distance(name, x_HW, y_HW, phase), resolution)
    dark, light = _GROUND_RGB[ground][:, 0, None, None], _GROUND_RGB[ground][:, 1, None, None]
    brightness = (0.7 + 0.6 * known.tint).astype(np.float32)[:, None, None, None]
    ground_NHW3: NDArray[np.float32] = brightness * (dark + light_NHW[..., None] * (light - dark))
    return ground_NHW3


def _coverage(distance: NDArray[np.float32], resolution: int) -> NDArray[np.float32]:
    """The share of a pixel that lies inside an edge at this signed distance (in picture widths)."""
    share: NDArray[np.float32] = np.clip(0.5 - distance * resolution, 0, 1)
    return share


def _uniform(split: str, indices: Sequence[int] | NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """One uniform in [0, 1) for each index and field, by a counter-based hash (SplitMix64, Steele et al. 2014)."""
    rows = np.asarray(indices, dtype=np.int64)
    if rows.size and (rows.min() < 0 or (split == "train" and rows.max() >= TRAIN_IMAGES)):
        raise UserError(f'scenes: an index is outside the split "{split}" ({rows.min()} to {rows.max()}).')
    key = np.frombuffer(hashlib.sha256(f"scenes/{VERSION}/{split}".encode()).digest()[:8], dtype="<u8")[0]
    state = _mix(key ^ _mix(rows.astype(np.uint64)))
    steps = {name: np.uint64((i + 1) * 0x9E3779B97F4A7C15 % 2**64) for i, name in enumerate(_FIELDS)}
    return {name: (_mix(state + step) >> np.uint64(11)).astype(np.float64) * 2.0**-53 for name, step in steps.items()}


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
