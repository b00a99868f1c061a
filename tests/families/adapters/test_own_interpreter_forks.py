"""A model in a Python of its own that has forked: its worker holds all that it had open, and yet ends with it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, main_thread

import pytest

from trilemma import registry
from trilemma.card import Card, load_card
from trilemma.families.child_process import ChildFailed

PATIENCE = 60.0
# Both hold the lock as long as they live. The worker's own end, after its sleep, is what no call may wait for.
ADAPTER = """
import fcntl, os, time

class Model:
    def generate(self, prompts, seeds):
        held = open("lock", "w")
        fcntl.flock(held, fcntl.LOCK_EX)
        if not os.fork():
            time.sleep(30)
            open("woke", "w").close()
            os._exit(0)
        open("forked", "w").close()
        THEN

def build(card, device):
    return Model()
"""
CALLER = """
import sys
from pathlib import Path
from trilemma import registry
from trilemma.card import load_card

registry.load(load_card(Path(sys.argv[1])), "cpu").generate(["a"], [1])
"""
HANGS = "time.sleep(45)"


def forking(folder: Path, then: str, timeout_seconds: float = PATIENCE) -> Card:
    (folder / "adapter.py").write_text(ADAPTER.replace("THEN", then))
    head = f'name = "forking"\nfactory = "adapter:build"\npython = "{sys.executable}"\nresolution = 4\n'
    (folder / "card.toml").write_text(f"{head}timeout_seconds = {timeout_seconds}\n")
    return load_card(folder)


def await_fork(folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (folder / "forked").exists():
        assert time.monotonic() < deadline, "the model has not forked"
        time.sleep(0.02)


@contextmanager
def interrupted_once_forked(folder: Path) -> Iterator[None]:
    """Ctrl-C, as the main thread hears it."""

    def interrupt() -> None:
        await_fork(folder)
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)

    thread = Thread(target=interrupt)
    thread.start()
    yield
    thread.join()


def await_the_end(folder: Path) -> None:
    """Returns when neither the model nor its worker lives; the worker must not have lived to its own end."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert not (folder / "woke").exists()


def test_a_call_that_takes_too_long_is_ended_with_its_workers(tmp_path: Path) -> None:
    generator = registry.load(forking(tmp_path, HANGS, timeout_seconds=2), "cpu")
    with pytest.raises(ChildFailed, match="no answer in 2 seconds"):
        generator.generate(["a"], [1])
    await_the_end(tmp_path)


@pytest.mark.parametrize(
    ("then", "said"),
    [("os._exit(3)", "ended with exit code 3"), ("os.kill(os.getpid(), 9)", "was killed by SIGKILL")],
)
def test_a_death_is_noticed_though_a_worker_lives(tmp_path: Path, then: str, said: str) -> None:
    generator = registry.load(forking(tmp_path, then), "cpu")
    with pytest.raises(ChildFailed, match=said):
        generator.generate(["a"], [1])
    await_the_end(tmp_path)


def test_a_model_that_is_done_with_ends_with_its_workers(tmp_path: Path) -> None:
    code = 'return memoryview(bytes(48)).cast("B", (1, 3, 4, 4))'
    generator = registry.load(forking(tmp_path, code), "cpu")
    assert generator.generate(["a"], [1]).shape == (1, 3, 4, 4)
    del generator
    await_the_end(tmp_path)


def test_an_interrupted_call_ends_the_model(tmp_path: Path) -> None:
    generator = registry.load(forking(tmp_path, HANGS), "cpu")
    with pytest.raises(KeyboardInterrupt), interrupted_once_forked(tmp_path):
        generator.generate(["a"], [1])
    await_the_end(tmp_path)
    with pytest.raises(ChildFailed, match="was killed by SIGKILL"):
        generator.generate(["a"], [1])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_caller_that_is_ended_leaves_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    card = forking(tmp_path, HANGS)
    caller = subprocess.Popen([sys.executable, "-c", CALLER, str(card.path)], start_new_session=True)
    try:
        await_fork(tmp_path)
        os.kill(caller.pid, how)  # the caller alone, as Ctrl-C alone reaches it
        caller.wait(PATIENCE)
        await_the_end(tmp_path)
    finally:
        caller.kill()
        caller.wait()
