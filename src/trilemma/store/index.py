"""One line for every run of a folder, kept between commands: derived, deletable, and made anew where it is not true.

It imports nothing heavy: a list of a thousand runs takes little longer than Python's own start.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trilemma.errors import UserError
from trilemma.store.atomic import write_json_lines
from trilemma.store.record import Record, read_record
from trilemma.store.tables import RUNS

FOLDER = ".index"
_FILE = "runs-1.jsonl"  # the number is raised when the same record would give another line
_STAMP = ("size", "mtime_ns")

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The runs of a folder, oldest first, with the columns RUNS; and by name those whose record cannot be read."""

    rows: list[Row]
    damaged: dict[str, UserError]


def list_runs(runs: Path) -> Listing:
    """Returns what there is in a folder of runs; reads only the records that are new or have changed."""
    known = _read(runs / FOLDER / _FILE)
    lines: list[Row] = []
    damaged: dict[str, UserError] = {}
    for name, stamp in sorted(stamps(runs, "run.json").items()):
        line = known.get(name)
        if line is None or stamp != tuple(line[key] for key in _STAMP):
            try:
                line = _row(name, read_record(runs / name / "run.json")) | dict(zip(_STAMP, stamp, strict=True))
            except UserError as error:
                damaged[name] = error
                continue
        lines.append(line)
    if lines != list(known.values()):
        with contextlib.suppress(OSError):  # a folder that cannot be written to is listed all the same, only slower
            write_json_lines(runs / FOLDER / _FILE, lines)
    return Listing(rows=[{name: line[name] for name in RUNS} for line in lines], damaged=damaged)


def stamps(runs: Path, file: str) -> dict[str, tuple[int, int]]:
    """Returns size in bytes and time of the last change in nanoseconds of one file of every run that has it."""
    found = {}
    for name in os.listdir(runs) if runs.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = os.stat(f"{runs}/{name}/{file}")
            found[name] = (status.st_size, status.st_mtime_ns)
    return found


def _read(path: Path) -> dict[str, Row]:
    """Returns the lines by run; none where there are none, or where anything is wrong with them."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
        wanted = {*RUNS, *_STAMP}
        return {line["run_id"]: line for line in lines} if all(line.keys() == wanted for line in lines) else {}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _row(name: str, record: Record) -> Row:
    """A run goes by the name of its folder: it is what every command takes."""
    row = {
        "run_id": name,
        "seconds": _seconds(record.created, record.ended),
        "error": _error(record),
        "models": list(record.models),
        "failed_models": list(record.errors),
        **{f"images_{kind}": sum(c.get(kind, 0) for c in record.counts.values()) for kind in IMAGES},
        **{kind: getattr(record, kind) for kind in PLAIN},
        **_protocol(record),
        **_tool(record),
        **_machine(record),
    }
    return {column: row[column] for column in RUNS}


IMAGES = ("planned", "done", "failed")
PLAIN = ("created", "ended", "status", "partial", "attempts", "parent_run_id", "schema")


def _protocol(record: Record) -> Row:
    protocol = _table(record.spec.get("protocol"))
    given = {name: record.spec.get(name) for name in ("seed", "samples")}
    return {"protocol": protocol.get("name"), "protocol_version": protocol.get("version"), **given}


def _tool(record: Record) -> Row:
    tool, packages = record.tool, _table(record.env.get("packages"))
    about = {"git": tool.get("git"), "dirty": tool.get("dirty"), "tool_version": tool.get("version")}
    return about | {"python": record.env.get("python"), "torch": packages.get("torch")}


def _machine(record: Record) -> Row:
    hardware = _table(next(iter(record.keys.values()), {}).get("hardware"))
    device = _table(hardware.get("fields")).get("device", record.spec.get("device"))
    gpus = record.host.get("gpus") or [{}]
    about = {name: record.host.get(name) for name in ("cpu", "cores", "memory_gib")}
    return about | {"device": device, "hardware": hardware.get("digest"), "gpu": _table(gpus[0]).get("name")}


def _table(value: Any) -> Mapping[str, Any]:
    """What a record holds freely may be of any shape."""
    return value if isinstance(value, dict) else {}


def _seconds(created: str, ended: str | None) -> float | None:
    try:
        return round((datetime.fromisoformat(ended or "") - datetime.fromisoformat(created)).total_seconds(), 3)
    except (ValueError, TypeError):
        return None


def _error(record: Record) -> str | None:
    errors = [record.error] if record.error is not None else list(record.errors.values())
    return f"{errors[0].get('type')}: {errors[0].get('message')}" if errors else None
