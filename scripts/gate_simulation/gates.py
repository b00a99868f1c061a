"""A gate over many series at once: one false alarm anywhere is a false alarm of the gate."""

from __future__ import annotations

from functools import partial

from numpy.random import Generator

from gate_simulation.draws import interleaved
from gate_simulation.scenario import ALARMS, COMPARISONS, NONE, POWER, TIME_MARGIN, Promise, Scenario
from gate_simulation.timings import timing_test
from trilemma.statistics.contrasts import welch
from trilemma.statistics.decision import Verdict, decide

PROCESS_SD = 0.01
MANY = 108
"""Nine models by twelve metrics."""


def gate_scenarios() -> list[Scenario]:
    """Returns the rows of gates over 12 and over 108 series; REGRESSED there is any series, or the one that changed."""
    rows: tuple[tuple[str, str, Promise, partial[list[Verdict]]], ...] = (
        ("12 series at once, no margin", "none", ALARMS, partial(_any, series=12, margin=0.0)),
        ("12 series at once", "none", ALARMS, partial(_any, series=12)),
        ("12 series at once", "one by 2 × margin", POWER, partial(_one, series=12)),
        (f"{MANY} series at once", "one by 2 × margin", NONE, partial(_one, series=MANY)),
    )
    return [
        Scenario(design=f"gate, {design}", noise="processes 1 %", change=change, draw=draw, promise=promise)
        for design, change, promise, draw in rows
    ]


def _any(rng: Generator, *, series: int, margin: float = TIME_MARGIN) -> list[Verdict]:
    found = _gates(rng, series, 0.0, margin)
    return [
        "REGRESSED" if "REGRESSED" in gate else "SAME" if set(gate) == {"SAME"} else "INCONCLUSIVE" for gate in found
    ]


def _one(rng: Generator, *, series: int) -> list[Verdict]:
    return [gate[0] for gate in _gates(rng, series, 2 * TIME_MARGIN, TIME_MARGIN)]


def _gates(rng: Generator, series: int, change_of_first: float, margin: float) -> list[list[Verdict]]:
    """The verdicts (comparisons, series) of independent series, the first of which changed."""
    found: list[list[Verdict]] = []
    for _ in range(COMPARISONS):
        sides = zip(*interleaved(rng, series, change=0.0, process_sd=PROCESS_SD), strict=True)
        contrasts = [welch(a, b + change_of_first * (i == 0)) for i, (a, b) in enumerate(sides)]
        found.append([one.verdict for one in decide([timing_test(contrast, margin) for contrast in contrasts])])
    return found
