"""The same seeds' images before and after: how many are the same, byte by byte, and the pairs that differ most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trilemma.errors import UserError
from trilemma.report.comparison.images import Unmatched, differences, match, sheets_of_both
from trilemma.report.inlined import Tiled, tiled
from trilemma.report.names import brief
from trilemma.report.numbers import with_error

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.comparison.contents import Contents
    from trilemma.report.comparison.pair import Pair
    from trilemma.store.sheets import Sheets

ID = "images"
TITLE = "Before and after"
STYLES = ("comparison.css",)
MOST_SHOWN = 24
"""Pairs of a model on the page."""
LONGEST_PROMPT = 240


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A pair of images on the page; ``rms`` and ``most``: how far it differs, in grey levels."""

    set: str
    key: str
    seed: str
    prompt: str
    rms: float
    most: int

    @property
    def apart(self) -> str:
        """The difference for people."""
        return f"RMS {with_error(self.rms)}, at most {self.most} of 255"


@dataclass(frozen=True, kw_only=True)
class ModelImages:
    """A model's images in two runs.

    Attributes:
        pairs: images of the same set, key and seed that both runs have; same: of them, byte by byte.
        slight: pairs that differ, by no more than one grey level anywhere; None where no pixels could be compared.
        why_not: why there are no numbers, or no pictures; "" where there are.
        shown: the pairs that differ most; they are the tiles of the picture, A and B by turns.
    """

    model: str
    pairs: int | None = None
    same: int = 0
    only_a: int = 0
    only_b: int = 0
    slight: int | None = None
    why_not: str = ""
    shown: tuple[Shown, ...] = ()
    picture: Tiled | None = None

    @property
    def changed(self) -> int:
        """Pairs that differ."""
        return (self.pairs or 0) - self.same


def content(told: Contents) -> dict[str, Any] | None:
    """Returns what became of the images of every model that both runs have; None where they share no model."""
    if not told.images:
        return None
    without: dict[str, list[str]] = {}
    for one in told.images:
        if one.pairs is not None and one.why_not:
            without.setdefault(one.why_not, []).append(one.model)
    return {"models": told.images, "without": without}


def of_models(pair: Pair) -> list[ModelImages]:
    """Returns every shared model's images, in the order of the page."""
    return [_of_model(pair, model, number) for number, model in enumerate(pair.shared)]


def _of_model(pair: Pair, model: str, number: int) -> ModelImages:
    try:
        found = match(pair.a, pair.b, model)
    except Unmatched as why:
        return ModelImages(model=model, why_not=str(why))
    told: dict[str, Any] = {
        "model": model, "pairs": len(found.both), "same": int(found.both["same"].sum()),
        "only_a": found.only_a, "only_b": found.only_b,
    }  # fmt: skip
    if not told["pairs"]:
        return ModelImages(**told, why_not="no image of A has the prompt and the seed of one of B")
    if found.changed.empty:
        return ModelImages(**told, slight=0)
    try:
        before, after = sheets_of_both(pair.a, pair.b, model)
        moved = differences(before, after, found.changed)
        return ModelImages(**told, **_pictures(before, after, moved, f"changed-{number}"))
    except (Unmatched, UserError) as why:
        return ModelImages(**told, why_not=str(why))


def _pictures(before: Sheets, after: Sheets, moved: pd.DataFrame, name: str) -> dict[str, Any]:
    chosen = moved.sort_values(["rms", "set", "row_a"], ascending=[False, True, True])[:MOST_SHOWN]
    tiles = [
        sheets.images(str(row["set"]), [int(place)])[0]
        for row in chosen.to_dict("records")
        for sheets, place in ((before, row["row_a"]), (after, row["row_b"]))
    ]
    return {
        "slight": int((moved["most"] <= 1).sum()),
        "shown": tuple(map(_shown, chosen.to_dict("records"))),
        "picture": tiled(name, np.stack(tiles), 2),
    }


def _shown(row: dict[Any, Any]) -> Shown:
    return Shown(
        set=str(row["set"]),
        key=str(row["key"]),
        seed=str(row["seed"]),
        prompt=brief(str(row["prompt_b"]), LONGEST_PROMPT),
        rms=float(row["rms"]),
        most=int(row["most"]),
    )
