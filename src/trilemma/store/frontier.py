"""``frontier.json``: what a sweep found, setting by setting and model by model; and the same settings as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from trilemma.errors import UserError
from trilemma.store.atomic import write_json, write_text
from trilemma.strict_toml import build

SCHEMA = "trilemma.frontier/1"
AXES = ("quality", "diversity", "speed")
BESIDE = ("precision", "coverage")
# What knobs trade: among all real images, and among those of the same prompt.
TRADED = (*BESIDE, "precision_within_prompts", "coverage_within_prompts")
State = Literal["frontier", "dominated", "no scores"]


@dataclass(frozen=True, kw_only=True)
class Number:
    """A value with its standard error and its 95 % interval, null where they are unknown; ``reason`` says why there is
    none, or what a reader must know of it.
    """

    value: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a model.

    Attributes:
        entry: its name in the run. knobs: all of the model's, by name.
        default: whether they are the card's own.
        state: "dominated" by ``dominated_by``, or on the frontier; without all three scores it is no point, and
            ``reason`` says why.
        numbers: by name the three scores, and of :data:`TRADED` what the protocol measures.
    """

    entry: str
    knobs: dict[str, float | int]
    default: bool
    state: State
    numbers: dict[str, Number]
    dominated_by: str | None = None
    reason: str | None = None

    def point(self) -> tuple[float, float, float] | None:
        """Returns quality, diversity and speed, or None where one is missing."""
        quality, diversity, speed = (self.numbers[axis].value for axis in AXES)
        return None if quality is None or diversity is None or speed is None else (quality, diversity, speed)


@dataclass(frozen=True, kw_only=True)
class Trade:
    """What a knob does while the others stay: a number along ascending values of it, and its change from end to end.

    Attributes:
        entries: the settings. steps: differences of neighbours.
        reversed: how many of the steps lead the other way than ``change`` beyond two standard errors; None where
            there is no change to lead the other way than.
    """

    knob: str
    number: str
    entries: tuple[str, ...]
    steps: tuple[Number, ...]
    change: Number
    reversed: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelFrontier:
    """All settings of one model, and how much of the cube of scores they take.

    Attributes:
        knobs: what was swept.
        hypervolume: of 1,000; settings chosen on one half of the samples and scored on the other, both ways averaged.
        of_default: of the default setting alone, over both halves.
        not_parted: what it would be if the half that chooses also scored: too large.
        whole: of the points of all samples: too large as well, and at another N.
    """

    model: str
    knobs: dict[str, tuple[float | int, ...]]
    settings: tuple[Setting, ...]
    hypervolume: Number
    of_default: float | None = None
    not_parted: float | None = None
    whole: float | None = None
    trades: tuple[Trade, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """What a sweep found. ``images_of_half`` counts prompted images, ``groups`` those of the jackknife."""

    run_id: str
    images_of_half: int
    groups: int
    models: tuple[ModelFrontier, ...]


def write_frontier(json_path: Path, csv_path: Path, frontier: Frontier) -> None:
    """Puts both files."""
    write_json(json_path, {"schema": SCHEMA} | asdict(frontier))
    write_text(csv_path, _csv(frontier))


def read_frontier(path: Path) -> Frontier:
    """Returns the frontier; raises UserError where there is none, or it cannot be read."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("this run is no sweep, or its frontier was not computed.", where=str(path)) from None
    except (OSError, ValueError) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None
    if not isinstance(stored, dict) or stored.pop("schema", None) != SCHEMA:
        raise UserError(f'only the schema "{SCHEMA}" can be read here.', where=str(path))
    return build(Frontier, _without_nulls(stored), where=str(path))


def _csv(frontier: Frontier) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [part for name in (*AXES, *TRADED) for part in (name, f"{name}_se")]
    writer.writerow(["model", "setting", "default", *names, "state", "dominated_by", "reason"])
    for model in frontier.models:
        writer.writerows(_line(model.model, setting) for setting in model.settings)
    return buffer.getvalue()


def _line(model: str, setting: Setting) -> list[str]:
    numbers = [setting.numbers[name] for name in (*AXES, *TRADED)]
    values = [part for number in numbers for part in (number.value, number.se)]
    ends = (setting.state, setting.dominated_by, setting.reason)
    return [model, setting.entry, str(setting.default).lower(), *map(_text, values), *(end or "" for end in ends)]


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_kept(value))
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _kept(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((key, _without_nulls(item)) for key, item in table.items() if item is not None)
