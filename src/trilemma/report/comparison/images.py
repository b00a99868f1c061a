"""The images of one model in two runs, matched by set, key and seed, and how far the pixels of a pair differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trilemma.errors import UserError
from trilemma.store.sheets import Sheets, find_sheets
from trilemma.tracking.images import alike, matched

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from trilemma.report.record import Run
    from trilemma.store.pictures import Pixels

SAMPLE = ["set", "key", "seed"]
_AT_ONCE = 2**22
"""Pixel values of either side that are held at once."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What two runs drew of one model.

    Attributes:
        both: the pairs that both drew, one per set, key and seed, with the columns of the samples as ``_a`` and ``_b``,
            ``row_a`` and ``row_b`` (the place within the set) and ``same``, whether the bytes are.
        only_a, only_b: how many images only one of them has.
    """

    both: pd.DataFrame
    only_a: int
    only_b: int

    @property
    def changed(self) -> pd.DataFrame:
        """The pairs that are not the same, byte by byte."""
        return self.both[~self.both["same"]]


class Unmatched(Exception):
    """Why the images of a model cannot be held against each other."""


def match(a: Run, b: Run, model: str) -> Matched:
    """Returns the model's images in both runs; raises Unmatched where a record keeps no rows of them."""
    before, after = _drawn(a, model), _drawn(b, model)
    if without := [name for name, rows in (("A", before), ("B", after)) if rows.empty]:
        raise Unmatched(f"{' and '.join(without)} {'keep' if len(without) > 1 else 'keeps'} no record of its images")
    found = matched(before, after, SAMPLE)
    in_a, in_b = (found[f"image_sha256_{side}"].notna() for side in "ab")
    both = found.assign(same=alike(found))[in_a & in_b].reset_index(drop=True)
    return Matched(both=both, only_a=int((in_a & ~in_b).sum()), only_b=int((in_b & ~in_a).sum()))


def _drawn(run: Run, model: str) -> pd.DataFrame:
    """The rows of images that there are, each with its place in its set."""
    rows = run.samples[run.samples["model"] == model]
    rows = rows.assign(row=rows.groupby("set").cumcount(), prompt=rows["prompt"].fillna(""))
    there = rows["key"].notna() & rows["image_sha256"].notna() & (rows["status"] == "ok")
    return rows[there].drop_duplicates(SAMPLE)[[*SAMPLE, "prompt", "image_sha256", "row"]]


def sheets_of_both(a: Run, b: Run, model: str) -> tuple[Sheets, Sheets]:
    """Returns the stored images of either run; raises Unmatched where they cannot be held against each other."""
    try:
        before, after = (find_sheets(run.folder.sheets(model)) for run in (a, b))
    except UserError as error:
        raise Unmatched(str(error)) from None
    without = [name for name, sheets in (("A", before), ("B", after)) if sheets is None]
    if before is None or after is None:
        raise Unmatched(f"{' and '.join(without)} kept no image files; run --images all does")
    sides = before.index.tile, after.index.tile
    if sides[0] != sides[1]:
        raise Unmatched(f"the images of A have {sides[0]} pixels a side, those of B {sides[1]}")
    for name, run, sheets in (("A", a, before), ("B", b, after)):
        planned = run.samples[run.samples["model"] == model].groupby("set").size().to_dict()
        if planned != sheets.index.sets:
            raise Unmatched(f"the images that {name} kept are not those of its sample rows")
    return before, after


def differences(before: Sheets, after: Sheets, changed: pd.DataFrame) -> pd.DataFrame:
    """Returns the pairs with ``rms`` and ``most``: root mean square and largest difference in grey levels, 0 to 255.

    Raises:
        UserError: a sheet is missing or damaged.
    """
    ordered = changed.sort_values(["set", "row_a"], kind="stable")
    found = [moved(one, other) for one, other in _chunks(before, after, ordered)]
    both = np.concatenate(found) if found else np.empty((0, 2))
    return ordered.assign(rms=both[:, 0], most=both[:, 1])


def moved(before_NHWC: Pixels, after_NHWC: Pixels) -> NDArray[np.float64]:
    """Returns the root mean square and the largest difference of each pair, float64 ``(N, 2)``, in grey levels."""
    apart = np.abs(before_NHWC.astype(np.int16) - after_NHWC).reshape(len(before_NHWC), -1)
    rms = np.sqrt(np.square(apart, dtype=np.float64).mean(axis=1))
    return np.stack([rms, apart.max(axis=1)], axis=1)


def _chunks(before: Sheets, after: Sheets, changed: pd.DataFrame) -> Iterator[tuple[Pixels, Pixels]]:
    """In the order of the first side's rows, so that each sheet is read once."""
    size = max(1, _AT_ONCE // (3 * before.index.tile**2))
    for set_name, rows in changed.groupby("set", sort=False):
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            yield (
                before.images(str(set_name), chosen["row_a"].astype(int).tolist()),
                after.images(str(set_name), chosen["row_b"].astype(int).tolist()),
            )
