"""The peak of memory is of the program that asks, not of the one that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trilemma.timing import clock
from trilemma.timing.clock import peak_rss_bytes

HELD = 400 * 2**20


def in_a_child(code: str) -> list[int]:
    code = "from trilemma.timing.clock import peak_rss_bytes\n" + code
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(word) for word in found.stdout.split()]


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before, after = in_a_child(f"print(peak_rss_bytes()); len(b'1' * {HELD}); print(peak_rss_bytes())")
    assert after >= before + 0.9 * HELD


def test_the_peak_is_not_that_of_the_starting_process() -> None:
    held = np.ones(2 * HELD, np.uint8)
    (peak,) = in_a_child("print(peak_rss_bytes())")
    assert 2**20 < peak < HELD < held.nbytes


@pytest.mark.parametrize("told", [None, b"Name:\tabc\xd0\nVmRSS:\t 1 kB\n"])
def test_a_system_that_does_not_tell_it_is_asked_otherwise(
    told: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is not None:
        (tmp_path / "status").write_bytes(told)
    monkeypatch.setattr(clock, "_STATUS", tmp_path / "status")
    assert peak_rss_bytes() > 2**20
