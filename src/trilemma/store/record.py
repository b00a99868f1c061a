"""``run.json``: what a run was told to do, where it ran, and how it ended."""

from __future__ import annotations

import functools
import json
import types
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from trilemma.errors import UserError
from trilemma.store.atomic import write_json

SCHEMA = "trilemma.run/2"
RunStatus = Literal["started", "complete", "failed", "cancelled"]


@dataclass(kw_only=True)
class Record:
    """The contents of ``run.json``; written first with status "started", and again whenever something is known.

    Attributes:
        schema: that of the file that it was read from; what is written is always of :data:`SCHEMA`.
        identity: the digest of ``spec``: the same command again finds its unfinished run by it.
        spec: protocol, models with revisions, samples, seed, device, which images are kept; of a sweep also "sweep":
            model → knob → values.
        partial: the sets were cut (``--samples``): not comparable with the whole protocol.
        parent_run_id: the run that this one was started to confirm.
        executor: what the workers ran on: kind and number of nodes.
        cards: each model's card as it was. models: what each says of itself, what was counted, where it ran, how
            long its images took ("drawing": see runner.drawing_time), and its status ("waiting" | "done" | "failed").
        keys: for each model the digests case, execution and hardware, with their fields.
        counts: for each model planned, done and failed images. errors: for each model that failed, why.
        error: what ended the run as a whole; null where nothing did.
        seconds: what was done for all models together: "metrics", computing their numbers.
        reference: what real images gave: the anchors of the scores and the readers' accuracy on held-out images.
        files: path → sha256 of everything that numbers stand in, written when the run completes: then it never changes.
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
    parent_run_id: str | None = None
    tool: dict[str, Any] = field(default_factory=dict)
    argv: list[str] = field(default_factory=list)
    env: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    executor: dict[str, Any] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    error: dict[str, str] | None = None
    instruments: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Puts the record at ``path``."""
        write_json(path, asdict(self) | {"schema": SCHEMA})


def read_record(path: Path) -> Record:
    """Returns the record, one of an older schema as today's would say it; unknown fields are ignored.

    Raises:
        UserError: no such file, not JSON, a schema that is not known here, a field missing or of another type.
    """
    if not path.is_file():
        raise UserError("this is no run: it has no run.json.", where=str(path.parent))
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        schema = stored.get("schema")
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise UserError(f"this record is damaged: {error}.", where=str(path)) from None
    if not isinstance(schema, str) or schema not in READERS:
        hint = "A newer version of trilemma may have written it."
        raise UserError(f'cannot read the schema "{schema}", only {_known()}.', where=str(path), hint=hint)
    try:
        return Record(**_checked(READERS[schema](stored)))
    except (TypeError, AttributeError) as error:
        raise UserError(f"this record is damaged: {error}.", where=str(path)) from None


def _as_it_is(stored: dict[str, Any]) -> dict[str, Any]:
    return stored


def _from_1(stored: dict[str, Any]) -> dict[str, Any]:
    """What ended the whole run stood among the models' errors, under the name of the real images' worker."""
    errors = stored.get("errors")
    if not isinstance(errors, dict) or "reference" not in errors:
        return stored
    return stored | {"error": errors["reference"], "errors": {k: v for k, v in errors.items() if k != "reference"}}


READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"trilemma.run/1": _from_1, SCHEMA: _as_it_is}


def _known() -> str:
    return " and ".join(f'"{schema}"' for schema in READERS)


def _checked(stored: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that a record has; one of another type is a TypeError."""
    known = {name: stored[name] for name in _hints() if name in stored}
    for name, value in known.items():
        if not _fits(value, _hints()[name]):
            raise TypeError(f'"{name}" is not what it should be')
    return known


@functools.cache
def _hints() -> dict[str, Any]:
    return typing.get_type_hints(Record)


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, member) for member in arguments)
    if origin is Literal:
        return value in arguments
    if origin in (list, dict):
        items = value.values() if origin is dict and isinstance(value, dict) else value
        return isinstance(value, origin) and all(_fits(item, arguments[-1]) for item in items)
    return isinstance(value, origin) and isinstance(value, bool) == (origin is bool)
