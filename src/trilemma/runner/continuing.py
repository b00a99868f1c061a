"""Which run a command belongs to: its own unfinished one, or a new one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from trilemma.errors import UserError
from trilemma.identity import digest
from trilemma.store.layout import RunFolder
from trilemma.store.record import Record, read_record
from trilemma.store.run import run_ids


def unfinished(runs: Path, identity: str) -> tuple[RunFolder, Record] | None:
    """Returns the newest run of this identity unless it is complete; None where there is none to go on with."""
    for run_id in reversed(run_ids(runs)):
        folder = RunFolder(path=runs / run_id)
        record = _readable(folder)
        if record is not None and record.identity == identity:
            return None if record.status == "complete" else (folder, record)
    return None


def new_folder(runs: Path, identity: str) -> RunFolder:
    """Returns where a new run goes; its name begins with the time in UTC, so that names sort by age.

    The folder is made by the first write into it: a process that is killed earlier leaves none.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return RunFolder(path=runs / f"{stamp}-{digest([identity, time.time_ns()])[:8]}")


def _readable(folder: RunFolder) -> Record | None:
    """A record that cannot be read, or is of another version, is left as it is: nothing is continued there."""
    try:
        return read_record(folder.record)
    except UserError:
        return None
