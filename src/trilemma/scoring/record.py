"""The JSON document that a score is: every number with its identity, what was compared, and what computed it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trilemma.errors import UserError
from trilemma.runner.environment import environment, host, tool
from trilemma.scoring.row import Floor, Row
from trilemma.scoring.score import Score

SCHEMA = "trilemma.score/1"


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """A score read back: its rows, and the whole document beside them."""

    rows: tuple[Row, ...]
    document: dict[str, Any]


def as_document(score: Score) -> dict[str, Any]:
    """Returns a score as plain data. Nothing but ``created`` differs when the same is computed again.

    Keys: ``schema``, ``created`` (UTC), ``real``, ``fake`` and ``training`` (name, kind, digest, images, ...; None
    without training images), ``options``, ``presets`` (title, and the digest of the preset as published), ``numbers``
    (rows), ``environment``.
    """
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "real": dict(score.real),
        "fake": dict(score.fake),
        "training": None if score.training is None else dict(score.training),
        "options": asdict(score.options),
        "presets": {one.name: {"title": one.title, "digest": one.digest()} for one in score.presets},
        "numbers": [row_as_plain(row) for row in score.rows],
        "environment": {"tool": tool(), **environment(), "host": host(), "device": dict(score.device)},
    }


def row_as_plain(row: Row) -> dict[str, Any]:
    """Returns a row as the document keeps it."""
    return asdict(row) | {"ci": None if row.ci is None else list(row.ci), "identity": dict(row.identity)}


def read_record(path: Path) -> ScoreRecord:
    """Returns the score in a file; fields of a later minor version are ignored.

    Raises:
        UserError: there is no such file, it is not JSON, not a score, or a number of it is damaged.
    """
    document = _document(path)
    if document.get("schema") != SCHEMA:
        raise UserError(
            f'the schema of this file is "{document.get("schema")}", not "{SCHEMA}".',
            where=str(path),
            hint="Write one with `trilemma score ... --json > FILE`.",
        )
    try:
        return ScoreRecord(rows=tuple(map(_row, document["numbers"])), document=document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"this score is damaged: {error!r}.", where=str(path)) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"this file cannot be read: {error.strerror}.", where=str(path)) from None
    except ValueError:
        raise UserError("this file is no JSON.", where=str(path)) from None
    if not isinstance(document, dict):
        raise UserError("this file holds no score.", where=str(path))
    return document


def _row(stored: dict[str, Any]) -> Row:
    known = {item.name for item in fields(Row)}
    values = {name: value for name, value in stored.items() if name in known}
    floor = {item.name: stored["floor"].get(item.name) for item in fields(Floor)}
    ci = stored["ci"]
    return Row(**values | {"floor": Floor(**floor), "ci": None if ci is None else (float(ci[0]), float(ci[1]))})
