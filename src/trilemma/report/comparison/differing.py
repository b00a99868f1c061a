"""In what the runs differ beside their numbers: only the fields that do, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trilemma.report.fields import flatten, scalar
from trilemma.report.names import brief
from trilemma.scoring.differences import ABSENT, Difference, differences

if TYPE_CHECKING:
    from trilemma.report.comparison.contents import Contents
    from trilemma.report.comparison.pair import Pair
    from trilemma.report.record import Run

ID = "differing"
TITLE = "What else differs"
STYLES = ("comparison.css",)
# In a case these say what the protocol says already.
_OF_PROTOCOL = ("model", "protocol", "protocol_version", "resolution")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
DIGITS = 12
"""So much of a digest tells it from another."""
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field that differs; ``models`` names those in which it does so, and is "" where it is the run's own."""

    name: str
    a: str
    b: str
    models: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Fields of one kind."""

    title: str
    fields: tuple[Field, ...]


def content(told: Contents) -> dict[str, Any]:
    """Returns the groups in which anything differs."""
    return {"groups": told.differing}


def groups(pair: Pair) -> list[Group]:
    """Returns the fields that differ, of the runs and of the models that both have; no group without a field."""
    a, b = _of_run(pair.a), _of_run(pair.b)
    found = [Group(title=title, fields=tuple(map(_field, differences(a[title], b[title])))) for title in a]
    found.append(Group(title="Models", fields=tuple(_of_models(pair))))
    return [group for group in found if group.fields]


def _of_run(run: Run) -> dict[str, Mapping[str, Any]]:
    record = run.record
    # Which models took part is told with the verdicts, and their revisions with the models.
    plan = {name: value for name, value in record.spec.items() if name != "models"}
    return {
        "Protocol and plan": plan,
        "Suite and command": {**record.tool, "command": " ".join(record.argv)},
        "Machine": {**record.host, "executor": record.executor},
        "Software": record.env,
        "Instruments and real images": {**record.instruments, **record.reference.get("digests", {})},
    }


def _of_models(pair: Pair) -> Iterator[Field]:
    """Yields each field once, however many models differ in it in the same way."""
    models: dict[Field, list[str]] = {}
    for model in pair.shared:
        for one in differences(_of_model(pair.a, model), _of_model(pair.b, model)):
            models.setdefault(_field(one), []).append(model)
    for field, names in models.items():
        yield replace(field, models=_named(names, pair.shared))


def _of_model(run: Run, model: str) -> dict[str, Any]:
    fields = {kind: key.get("fields", {}) for kind, key in run.record.keys.get(model, {}).items()}
    case = {name: value for name, value in fields.get("case", {}).items() if name not in _OF_PROTOCOL}
    process = run.record.models.get(model, {}).get("environment") or {}
    return {**fields, "case": case, "process": process, "weights": run.card(model).get("weights") or {}}


def _named(models: list[str], shared: list[str]) -> str:
    return "all" if len(models) == len(shared) > 1 else ", ".join(map(brief, models))


def _field(one: Difference) -> Field:
    return Field(name=one.field, a=_text(_own(one.a, one.b)), b=_text(_own(one.b, one.a)))


def _own(value: Any, other: Any) -> Any:
    """Returns what a list has and the other lacks; all of it where they differ in their order alone."""
    if not (isinstance(value, list) and isinstance(other, list)):
        return value
    same_items = all(item in other for item in value) and all(item in value for item in other)
    return value if same_items else [item for item in value if item not in other]


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    if value == ABSENT:
        return "not recorded"
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return f"{value[:DIGITS]}…"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text}" for name, text in flatten(value)) or NOTHING
    return scalar(value) or NOTHING
