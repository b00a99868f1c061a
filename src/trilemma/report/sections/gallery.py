"""The gallery: the same prompts and seeds across models, all images that a run keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.errors import UserError
from trilemma.report.gallery import Gallery, SharedSet, gallery, page_data
from trilemma.report.inline import as_json
from trilemma.report.inlined import Tiled, tiled

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "gallery"
TITLE = "Gallery"
SCRIPTS = ("gallery.js",)
STYLES = ("pictures.css",)
FILES = True
FIRST = 8


@dataclass(frozen=True, kw_only=True)
class FirstRows:
    """The first images of a set, inside the page: for those without the files beside it, without scripts, on paper."""

    set: str
    captions: list[str]
    pictures: dict[str, Tiled]


def content(run: Run) -> dict[str, Any] | None:
    """Returns the first rows and what the script needs to show all; None where the run kept no sheets."""
    shown = gallery(run)
    if shown is None:
        return None
    problems, data = list(shown.problems), page_data(run, shown)
    return {
        "first": [rows for one in shown.sets if (rows := _first_rows(one, shown, problems)) is not None],
        "sets": [{"name": one.name, "size": len(one.rows)} for one in shown.sets],
        "models": list(shown.sheets),
        "moved": data["influence"],
        "copies": any(of_model for one in data["sets"] for of_model in one["copies"].values()),
        "data": as_json(data),
        "problems": problems,
    }


def _first_rows(one: SharedSet, shown: Gallery, problems: list[str]) -> FirstRows | None:
    captions = one.rows["prompt"].fillna("").tolist()[:FIRST]
    pictures = {}
    for number, model in enumerate(one.by_model):
        try:
            images = shown.sheets[model].images(one.name, range(len(captions)))
        except UserError as error:
            problems.append(f"{model}, {one.name}: {error}")
        else:
            pictures[model] = tiled(f"first-{one.name}-{number}", images, len(captions))
    return FirstRows(set=one.name, captions=captions, pictures=pictures) if pictures else None
