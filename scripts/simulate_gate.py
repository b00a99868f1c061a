"""What the gate promises, simulated: false alarms, power and creep, as the tables of docs/regression-tracking.md.

    python scripts/simulate_gate.py            prints the tables
    python scripts/simulate_gate.py --write    puts them into the page

All of it is seeded: the numbers change only when the rule, a margin or the simulation does. It takes half a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gate_simulation.creep import Creep, creeps
from gate_simulation.features import feature_scenarios
from gate_simulation.gates import gate_scenarios
from gate_simulation.scenario import Row
from gate_simulation.timings import interleaved_scenarios, stored_scenarios

from trilemma.statistics.decision import Verdict

PAGE = Path(__file__).resolve().parents[1] / "docs" / "regression-tracking.md"
BEGIN, END = "<!-- tables of scripts/simulate_gate.py -->\n", "<!-- end of the tables -->\n"
SEED = 20260824
VERDICTS: tuple[Verdict, ...] = ("REGRESSED", "SAME", "INCONCLUSIVE")


@dataclass(frozen=True, kw_only=True)
class CreepRow:
    """What came of a creep: for each history the first run that is REGRESSED, or None."""

    creep: Creep
    first: list[int | None]

    @property
    def caught(self) -> list[int]:
        """The runs of the histories that were caught, sorted."""
        return sorted(run for run in self.first if run is not None)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return len(self.caught) == (len(self.first) if self.creep.promise == "always" else 0)


def simulate() -> list[Row]:
    """Returns all rows of single comparisons and gates."""
    scenarios = [*interleaved_scenarios(), *stored_scenarios(), *feature_scenarios(), *gate_scenarios()]
    return [
        Row(scenario=scenario, verdicts=scenario.draw(np.random.default_rng([SEED, position])))
        for position, scenario in enumerate(scenarios)
    ]


def simulate_creep() -> list[CreepRow]:
    """Returns all rows of histories."""
    return [
        CreepRow(creep=creep, first=creep.draw(np.random.default_rng([SEED, 1, position])))
        for position, creep in enumerate(creeps())
    ]


def markdown(rows: Sequence[Row], histories: Sequence[CreepRow]) -> str:
    """Returns both tables."""
    comparisons = [
        [
            row.scenario.design,
            row.scenario.noise,
            row.scenario.change,
            *(f"{100 * row.share(verdict):.1f}" for verdict in VERDICTS),
            row.scenario.promise,
        ]
        for row in rows
    ]
    heads = (
        "Measured by",
        "Noise",
        "Planted change",
        *(f"{verdict}, %" for verdict in VERDICTS),
        "Promised: REGRESSED",
    )
    creep = [[row.creep.measure, row.creep.against, *_when(row)] for row in histories]
    creep_heads = ("Creep", "Compared with", "Caught within 30 runs, %", "First", "Half by run", "95 % by run")
    return _table(heads, comparisons) + "\n" + _table(creep_heads, creep)


def _when(row: CreepRow) -> list[str]:
    caught = row.caught
    share = f"{100 * len(caught) / len(row.first):.0f}"
    if not caught:
        return [share, "—", "—", "—"]
    return [share, *(str(caught[round(level * (len(caught) - 1))]) for level in (0.0, 0.5, 0.95))]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (" | ".join(cells) for cells in (heads, ["---"] * len(heads), *rows))
    return "".join(f"| {line} |\n" for line in lines)


def main(arguments: Sequence[str]) -> None:
    """Prints the tables, or writes them into the page."""
    tables = markdown(simulate(), simulate_creep())
    if "--write" not in arguments:
        print(tables, end="")
        return
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + tables + END + rest.split(END)[1])


if __name__ == "__main__":
    main(sys.argv[1:])
