"""Whether two runs drew the same images, and whether each drew all of them, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from trilemma.store.run import Run

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["set", "key", "status", "image_sha256"]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How many of the images that both runs drew are the same, byte by byte."""

    same: int
    total: int

    @property
    def complete(self) -> bool:
        """Whether all are, and there are some."""
        return 0 < self.total == self.same


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a model's samples cannot be relied on: the code of the reason, and a sentence for people."""

    reason: str
    message: str


class Images:
    """The sample rows of two runs; every file is read once."""

    def __init__(self, baseline: Run, candidate: Run) -> None:
        self.baseline, self.candidate = baseline, candidate
        self._rows = cache(_rows)

    def agreement(self, model: str, set_name: str | None) -> Agreement | None:
        """Returns how far the images of a set, or of all sets, agree; None where a record keeps no sample rows."""
        before, after = (_of_set(self._rows(run, model), set_name) for run in (self.baseline, self.candidate))
        if before is None or after is None:
            return None
        both = matched(before, after)
        return Agreement(same=int(alike(both).sum()), total=len(both))

    def obstacle(self, model: str) -> Obstacle | None:
        """Returns what is wrong with the sample rows of either run; None where they are whole, or are not kept."""
        for name, run in (("the baseline", self.baseline), ("the candidate", self.candidate)):
            found = _obstacle(run, model, self._rows(run, model), name)
            if found is not None:
                return found
        return None


def matched(before: pd.DataFrame, after: pd.DataFrame, by: Sequence[str] = ("set", "key")) -> pd.DataFrame:
    """Returns the sample rows of either side beside those of the other, as columns with ``_a`` and ``_b``."""
    return before.merge(after, on=list(by), how="outer", suffixes=("_a", "_b"))


def alike(both: pd.DataFrame) -> pd.Series[bool]:
    """Returns which rows of :func:`matched` are of an image that both sides have, the same byte by byte."""
    return (both["image_sha256_a"] == both["image_sha256_b"]) & both["image_sha256_a"].notna()


def _rows(run: Run, model: str) -> pd.DataFrame | None:
    return run.samples(model)[COLUMNS] if run.folder.samples(model).is_file() else None


def _of_set(rows: pd.DataFrame | None, set_name: str | None) -> pd.DataFrame | None:
    return rows if rows is None or set_name is None else rows[rows["set"] == set_name]


def _obstacle(run: Run, model: str, rows: pd.DataFrame | None, name: str) -> Obstacle | None:
    if rows is None:
        return None
    repeated = int(rows.duplicated(["set", "key"]).sum())
    if repeated:
        return Obstacle(reason="duplicate_keys", message=f"{repeated} images of {name} have a key of another")
    failed = int((rows["status"] != "ok").sum())
    planned = run.record.counts.get(model, {}).get("planned", len(rows))
    if failed or len(rows) != planned:
        done = len(rows) - failed
        return Obstacle(reason="incomplete_samples", message=f"{name} has {done:,} of {planned:,} images")
    return None
