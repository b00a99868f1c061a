"""``run.json``: what a run was told to do, where it ran, and how it ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from trilemma.errors import UserError
from trilemma.store.atomic import write_json

SCHEMA = "trilemma.run/1"
RunStatus = Literal["started", "complete", "failed", "cancelled"]


@dataclass(kw_only=True)
class Record:
    """The contents of ``run.json``; written first with status "started", and again whenever something is known.

    Attributes:
        identity: the digest of ``spec``: the same command again finds its unfinished run by it.
        spec: protocol, models with revisions, samples, seed, device, instruments.
        partial: the sets were cut (``--samples``): not comparable with the whole protocol.
        cards: each model's card as it was. models: what each says of itself, and its status ("waiting" | "done" |
            "failed").
        keys: for each model the digests case, execution and hardware, with their fields.
        counts: for each model planned, done and failed images. errors: for each model that failed, why.
        reference: what real images gave: the anchors of the scores and the readers' accuracy on held-out images.
    """

    run_id: str
    identity: str
    created: str
    spec: dict[str, Any]
    schema: str = SCHEMA
    status: RunStatus = "started"
    ended: str | None = None
    partial: bool = False
    attempts: int = 1
    tool: dict[str, Any] = field(default_factory=dict)
    argv: list[str] = field(default_factory=list)
    env: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    instruments: dict[str, str] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Puts the record at ``path``."""
        write_json(path, asdict(self))


def read_record(path: Path) -> Record:
    """Returns the record; fields of a later minor version are ignored.

    Raises:
        UserError: no such file, not JSON, another schema, a field missing.
    """
    if not path.is_file():
        raise UserError("this is no run: it has no run.json.", where=str(path.parent))
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        schema = stored.get("schema")
    except (ValueError, AttributeError, OSError) as error:
        raise UserError(f"this record is damaged: {error}.", where=str(path)) from None
    if schema != SCHEMA:
        raise UserError(f'cannot read the schema "{schema}", only "{SCHEMA}".', where=str(path))
    known = {item.name for item in fields(Record)}
    try:
        return Record(**{name: value for name, value in stored.items() if name in known})
    except TypeError as error:
        raise UserError(f"this record is damaged: {error}.", where=str(path)) from None
