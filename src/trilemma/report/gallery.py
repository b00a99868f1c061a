"""What the gallery shows: for each model the sheets that hold its images, for each set which image is of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from trilemma.errors import UserError
from trilemma.report.influence import Influence, influence
from trilemma.report.nearest import FOLDER, NAME, Suspect, suspects, training_images, training_split
from trilemma.store.sheets import Sheets, columns_for, find_sheets

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.record import Run


@dataclass(frozen=True, kw_only=True)
class SharedSet:
    """A set of images that models drew of the same prompts and seeds.

    Attributes:
        rows: the sample rows of the first of them: key, prompt and seed are the same for all.
        by_model: each model's sample rows.
    """

    name: str
    rows: pd.DataFrame
    by_model: dict[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The models that kept their images, and their sets; ``problems`` says what is not shown, and why."""

    sheets: dict[str, Sheets]
    sets: tuple[SharedSet, ...]
    problems: tuple[str, ...]


def gallery(run: Run) -> Gallery | None:
    """Returns the gallery of a run, None where it kept no sheets."""
    sheets, problems = _all_sheets(run)
    if not sheets:
        return None
    rows = {str(model): frame for model, frame in run.samples.groupby("model", sort=False)}
    names = dict.fromkeys(name for of_model in sheets.values() for name in of_model.index.sets)
    sets = [_shared(name, sheets, rows, problems) for name in names]
    return Gallery(sheets=sheets, sets=tuple(one for one in sets if one is not None), problems=tuple(problems))


def page_data(run: Run, shown: Gallery) -> dict[str, Any]:
    """Returns everything that the page's script needs, as JSON holds it; models and texts are referred to by number."""
    models = list(shown.sheets)
    texts = {text: number for number, text in enumerate(dict.fromkeys(_prompts(shown)))}
    moved, found = influence(run), suspects(run)
    places = {training: place for place, training in enumerate(training_images(found))}
    return {
        "models": [_model(run, model, shown.sheets[model]) for model in models],
        "texts": list(texts),
        "sets": [
            {
                "name": one.name,
                "prompts": [texts[prompt] for prompt in one.rows["prompt"].fillna("")],
                "seeds": [str(seed) for seed in one.rows["seed"]],  # beyond 2**53, where numbers lose their last digits
                "models": [models.index(model) for model in one.by_model],
                "absent": {models.index(m): _absent(rows) for m, rows in one.by_model.items()},
                "influence": _influence(one, models, moved) if moved is not None and one.name == run.main_set else {},
                "copies": _copies(one, models, found, places) if one.name == run.main_set else {},
            }
            for one in shown.sets
        ],
        "influence": None if moved is None else {"title": moved.title, "unit": moved.unit, "decimals": moved.decimals},
        "nearest": _nearest(run),
    }


def _all_sheets(run: Run) -> tuple[dict[str, Sheets], list[str]]:
    sheets: dict[str, Sheets] = {}
    problems = []
    for model in run.models:
        try:
            found = find_sheets(run.folder.sheets(model))
        except UserError as error:
            problems.append(f"{model}: {error}")
            continue
        if found is not None:
            sheets[model] = found
    return sheets, problems


def _shared(
    name: str, sheets: dict[str, Sheets], rows: dict[str, pd.DataFrame], problems: list[str]
) -> SharedSet | None:
    """A model whose rows are not those of the first, or not as many as its images, is left out."""
    by_model: dict[str, pd.DataFrame] = {}
    for model, stored in sheets.items():
        if name not in stored.index.sets or model not in rows:
            continue
        own = rows[model][rows[model]["set"] == name].reset_index(drop=True)
        first = next(iter(by_model.values()), own)
        if len(own) == stored.index.sets[name] and own["key"].equals(first["key"]):
            by_model[model] = own
        else:
            problems.append(f"{model}, {name}: the images are not those of the other models' prompts and seeds")
    return SharedSet(name=name, rows=next(iter(by_model.values())), by_model=by_model) if by_model else None


def _prompts(shown: Gallery) -> list[str]:
    return [prompt for one in shown.sets for prompt in one.rows["prompt"].fillna("")]


def _model(run: Run, model: str, stored: Sheets) -> dict[str, Any]:
    folder = stored.folder.relative_to(run.folder.path)
    address = "/".join(quote(part, safe="") for part in folder.parts)
    index = stored.index
    told = {"name": model, "control": run.is_control(model), "folder": address}
    return told | {"tile": index.tile, "columns": index.columns}


def _absent(rows: pd.DataFrame) -> dict[int, str]:
    """Returns why there is no image, by row."""
    bad = rows[rows["status"].notna() & (rows["status"] != "ok")]
    return dict(zip(bad.index.tolist(), bad["error"].fillna(bad["status"]).tolist(), strict=True))


def _influence(one: SharedSet, models: list[str], moved: Influence) -> dict[int, list[int]]:
    """Returns the values of each model in units of their last decimal."""
    values = {model: moved.by_model.get(model) for model in one.by_model}
    fitting = {m: found for m, found in values.items() if found is not None and len(found) == len(one.rows)}
    return {models.index(m): np.rint(found * 10**moved.decimals).astype(int).tolist() for m, found in fitting.items()}


def _copies(
    one: SharedSet, models: list[str], found: dict[str, list[Suspect]], places: dict[int, int]
) -> dict[int, dict[int, list[float]]]:
    """Returns for each row that is suspected the training image's number, its place on its sheets, and the distance."""
    return {
        models.index(model): {s.row: [s.training, places[s.training], round(s.distance, 2)] for s in found[model]}
        for model in one.by_model
    }


def _nearest(run: Run) -> dict[str, Any] | None:
    """Returns where the training images stand; None where they cannot be drawn."""
    if training_split(run) is None:
        return None
    side = int(run.record.spec["protocol"]["resolution"])
    return {"folder": FOLDER, "set": NAME, "tile": side, "columns": columns_for(side)}
