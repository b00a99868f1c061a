"""What happened in a run, in order: starts, ends, failures, continuations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trilemma.store.atomic import write_text


def now() -> str:
    """Returns the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def add_event(path: Path, event: str, **details: Any) -> None:
    """Adds one line. The few lines are written anew each time, so that a kill cannot leave half a line."""
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    line = json.dumps({"time": now(), "event": event, **details}, ensure_ascii=False)
    write_text(path, f"{before}{line}\n")
