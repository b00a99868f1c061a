"""The peak of memory is of the program that asks, not of the one that started it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from trilemma.timing.clock import peak_rss_bytes

HELD = 400 * 2**20


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_rss_bytes()
    assert len(np.ones(before + HELD, np.uint8)) > HELD
    assert peak_rss_bytes() >= before + HELD


def test_the_peak_is_not_that_of_the_starting_process() -> None:
    held = np.ones(2 * HELD, np.uint8)
    code = "from trilemma.timing.clock import peak_rss_bytes; print(peak_rss_bytes())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2**20 < int(found.stdout) < HELD < held.nbytes
