"""How a worker speaks to its parent: JSON lines on what was its standard output."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, TextIO


class Channel:
    """The worker's end. Whatever else prints, to standard output too, goes to the log."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @classmethod
    def take_standard_output(cls) -> Channel:
        """Claims standard output for messages and sends everything that prints there to standard error."""
        stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(stream)

    def send(self, kind: str, **content: Any) -> None:
        """Sends one message."""
        self.stream.write(json.dumps({"kind": kind, **content}, ensure_ascii=False) + "\n")
        self.stream.flush()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Says how many images of how many are there."""
        self.send("progress", stage=stage, done=done, total=total)


def serve(work: Callable[[Channel], None]) -> int:
    """Does a worker's whole work, and says how it ended; returns the exit code of the process."""
    channel = Channel.take_standard_output()
    leave_with_parent()
    try:
        work(channel)
    except Exception as error:  # whatever a model's code raises is this model's failure, not the parent's
        channel.send("failed", error=describe(error))
        return 1
    channel.send("done")
    return 0


def leave_with_parent() -> None:
    """Ends this process at once when its parent is gone: the pipe at standard input then closes, even on kill -9."""

    def watch() -> None:
        # Not sys.stdin: its lock, held by this thread, would abort the interpreter at its end.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def describe(error: BaseException) -> dict[str, str]:
    """Returns an error as the record keeps it: type, message, traceback."""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
