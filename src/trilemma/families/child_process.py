"""The parent's end of ``child/serve.py``: starts it, asks it, and says what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from weakref import finalize

from trilemma.families.child.serve import HEADER

SCRIPT = Path(__file__).parent / "child" / "serve.py"
LAST_LINES = 15
GRACE_SECONDS = 5.0

Message = dict[str, Any]


class ChildFailed(RuntimeError):
    """A model in a Python of its own raised, died, or took too long. The cause holds its own words."""


class ChildWords(Exception):
    """What the child said last: its traceback, or what it printed before it died."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Child:
    """One process that serves a generator. What it forks (the workers of a pool, say) is of its group and ends with it.

    Args:
        python: the interpreter's path. folder: where it works. environment: its variables.
        timeout_seconds: the longest that it may take for an answer; then it is killed.
    """

    def __init__(self, python: str, *, folder: Path, environment: Mapping[str, str], timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._python = python
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [python, str(SCRIPT)], stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=dict(environment),
            start_new_session=True,  # a group of its own, to be ended whole; Ctrl-C reaches us alone
        )  # fmt: skip
        self._printed: deque[str] = deque(maxlen=LAST_LINES)
        assert self._process.stderr is not None
        self._echo = threading.Thread(target=_echo, args=(self._process.stderr, self._printed), daemon=True)
        self._echo.start()
        watch = threading.Thread(target=_end_group, args=(self._process,), daemon=True)
        watch.start()
        finalize(self, _end, self._process, (watch, self._echo))

    def ask(self, request: Message) -> tuple[Message, bytearray]:
        """Returns the answer to a request, and its data.

        Raises:
            ChildFailed: the model raised (its traceback is the cause), or its process died or took too long.
        """
        late = threading.Event()
        timer = threading.Timer(self._timeout_seconds, _kill, (self._process, late))
        timer.start()
        try:
            answer, data = self._exchange(request)
        except (EOFError, BrokenPipeError):
            raise self._gone(late.is_set()) from ChildWords("".join(self._printed))
        except BaseException:  # Ctrl-C: the answer that still comes must not be taken for the next one
            self._process.kill()
            raise
        finally:
            timer.cancel()
        if (error := answer.get("error")) is not None:
            raise _raised(error)
        return answer, data

    def _exchange(self, request: Message) -> tuple[Message, bytearray]:
        assert self._process.stdin is not None and self._process.stdout is not None
        text = json.dumps(request).encode()
        self._process.stdin.write(HEADER.pack(len(text), 0) + text)
        self._process.stdin.flush()
        length, size = HEADER.unpack(_read(self._process.stdout, HEADER.size))
        answer: Message = json.loads(_read(self._process.stdout, length))
        return answer, _read(self._process.stdout, size)

    def _gone(self, late: bool) -> ChildFailed:
        code = self._process.wait()
        self._echo.join(GRACE_SECONDS)
        if late:
            return ChildFailed(f"the model gave no answer in {self._timeout_seconds:g} seconds, and was ended.")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return ChildFailed(f"the model's own Python, {self._python}, {how}.")


class ModelRaised(ChildFailed):
    """The model raised an error. ``kind`` is its type's name, ``module`` what could not be imported, if that was it."""

    def __init__(self, kind: str, message: str, module: str | None) -> None:
        super().__init__(f"{kind}: {message} (in the model's own Python)")
        self.kind, self.module = kind, module


def _raised(error: Mapping[str, Any]) -> ModelRaised:
    raised = ModelRaised(error["type"], error["message"], error["module"])
    raised.__cause__ = ChildWords(error["traceback"])
    return raised


def _read(stream: IO[bytes], size: int) -> bytearray:
    """Exactly so many bytes, writable, so that a tensor can be made of them without a copy."""
    data = bytearray(size)
    view, done = memoryview(data), 0
    readinto: Callable[[memoryview], int] = stream.readinto  # type: ignore[attr-defined]
    while done < size:
        count = readinto(view[done:])
        if not count:
            raise EOFError
        done += count
    return data


def _echo(stream: IO[bytes], kept: deque[str]) -> None:
    """Passes on what the child prints, and keeps its last lines."""
    for line in stream:
        text = line.decode("utf-8", "replace")
        kept.append(text)
        sys.stderr.write(text)


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Waits for the process, then ends what it has forked: that holds its pipes, which would never come to an end.

    As long as anything is left of a group, its number is given to no other.
    """
    process.wait()
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # nothing is left; macOS says it in the other way
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes], threads: tuple[threading.Thread, ...]) -> None:
    """The end of its requests is what a child waits for."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # of what could not be written to one that died
        process.stdin.close()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for thread in threads:
        thread.join(GRACE_SECONDS)
