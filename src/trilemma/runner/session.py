"""One process's part of a run: its record kept true from its start, or from where it was left, to its end."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trilemma.runner.channel import describe
from trilemma.runner.continuing import new_folder, unfinished
from trilemma.runner.display import Display
from trilemma.store.atomic import remove_unfinished
from trilemma.store.digests import digests
from trilemma.store.events import add_event, now
from trilemma.store.layout import RunFolder
from trilemma.store.lock import locked
from trilemma.store.record import Record, RunStatus
from trilemma.store.run import Run


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run that is to be worked on; ``continued`` is whether an earlier process has begun it."""

    folder: RunFolder
    record: Record
    continued: bool


def open_run(runs: Path, identity: str, new: Callable[[RunFolder], Record]) -> Opened:
    """Returns the unfinished run of this identity, or a new one with the record of ``new``."""
    found = unfinished(runs, identity)
    if found is not None:
        return Opened(folder=found[0], record=found[1], continued=True)
    folder = new_folder(runs, identity)
    return Opened(folder=folder, record=new(folder), continued=False)


class Session(ABC):
    """What every run has in common, whatever its workers do."""

    def __init__(self, opened: Opened, display: Display) -> None:
        self.folder, self.record, self.continued = opened.folder, opened.record, opened.continued
        self.display = display

    @abstractmethod
    def work(self) -> None:
        """Does what is left to do, and calls :meth:`finish`."""

    def carry_out(self) -> Run:
        """Does the run and returns it.

        Raises:
            UserError: another process is at work on the same run.
            KeyboardInterrupt: after the record has been marked as cancelled.
        """
        with locked(self.folder.lock):
            self.start()
            try:
                self.work()
            except KeyboardInterrupt:
                self.finish("cancelled")
                raise
            except Exception as error:
                self.record.error = self.record.error or describe(error)
                self.finish("failed")
                raise
        return Run(self.folder.path)

    def start(self) -> None:
        """Marks the record as at work."""
        self.record.status, self.record.ended, self.record.errors, self.record.error = "started", None, {}, None
        self.record.attempts += 1
        remove_unfinished(self.folder.path)
        self.save()
        self.event("continued" if self.continued else "started", pid=os.getpid())
        if self.continued:
            self.display.say(f"Continuing {self.record.run_id}.")

    def finish(self, status: RunStatus) -> None:
        """Marks the record as ended."""
        self.record.status, self.record.ended = status, now()
        self.record.files = digests(self.folder) if status == "complete" else {}
        self.event(status)
        self.save()  # last: once it is complete, nobody would clear away what a kill leaves of a later write

    def save(self) -> None:
        """Writes the record."""
        self.record.write(self.folder.record)

    def event(self, what: str, **details: Any) -> None:
        """Adds a line to the run's events."""
        add_event(self.folder.events, what, **details)
