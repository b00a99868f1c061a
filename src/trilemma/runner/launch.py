"""Starts a worker process, listens to it, and says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trilemma
from trilemma.runner.environment import worker_variables

Message = dict[str, Any]
WORKER_DIED = "WorkerDied"
"""The type of the error of a process that ended without a word."""
LOG_LINES = 15
GRACE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a worker ended; ``error`` is None where it did its job."""

    error: dict[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """The Python that runs a worker, and folders that it imports from before all others."""

    python: str
    sources: tuple[Path, ...] = ()


def own_interpreter() -> Interpreter:
    """Returns what this process runs on; from a checkout that is not installed, workers must find the same package."""
    parent = Path(trilemma.__file__).resolve().parents[1]
    installed = parent.name in ("site-packages", "dist-packages")
    return Interpreter(python=sys.executable, sources=() if installed else (parent,))


def run_worker(
    job: Path,
    log: Path,
    on_message: Callable[[Message], None],
    *,
    module: str = "trilemma.runner.worker",
    interpreter: Interpreter | None = None,
) -> Ended:
    """Runs one worker to its end: ``python -P -u -m MODULE JOB``, a module that serves as ``runner.worker`` does.

    It runs on this process's own Python and code unless another is given.
    Its standard input is a pipe that only this process holds: should we be killed, it closes, and the worker leaves.
    """
    interpreter = interpreter or own_interpreter()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as log_file:
        worker = subprocess.Popen(
            [interpreter.python, "-P", "-u", "-m", module, str(job)],  # -u: of one that dies, the log is whole
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env=_environment(interpreter),
            start_new_session=True,  # Ctrl-C is ours to hear; we end the worker ourselves
        )
        try:
            failure = _listen(worker, on_message)
        finally:
            _end(worker)
    return Ended(error=failure or _abnormal_end(worker.returncode, log))


def _listen(worker: subprocess.Popen[bytes], on_message: Callable[[Message], None]) -> dict[str, str] | None:
    assert worker.stdout is not None
    failure: dict[str, str] | None = None
    for line in worker.stdout:
        message: Message = json.loads(line)
        if message["kind"] == "failed":
            failure = message["error"]
        on_message(message)
    worker.wait()
    return failure


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            pipe.close()


def _abnormal_end(code: int, log: Path) -> dict[str, str] | None:
    if code == 0:
        return None
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return {"type": WORKER_DIED, "message": f"the model's process {how}.", "traceback": "\n".join(tail)}


def _environment(interpreter: Interpreter) -> dict[str, str]:
    environment = worker_variables()
    if interpreter.sources:
        paths = [*map(str, interpreter.sources), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
