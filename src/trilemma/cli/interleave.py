"""``compare --interleave``: another checkout against this one, timed in turn in fresh processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trilemma.cli.options import people, print_json
from trilemma.cli.text_table import MISSING, text_table
from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.card import Card
    from trilemma.protocol import Protocol
    from trilemma.runner.timing_job import Scenario
    from trilemma.tracking.timing_verdict import TimingComparison

Interleave = Annotated[
    Path | None,
    typer.Option(
        "--interleave", metavar="OTHER_CHECKOUT", help="Time that checkout (A) and this one (B).", show_default=False
    ),
]
Models = Annotated[
    str | None, typer.Option("--models", metavar="A,B", help="[the protocol's, no controls].", show_default=False)
]
Scenarios = Annotated[
    str | None,
    typer.Option("--scenario", metavar="A,B", help="single-stream, offline or both [both].", show_default=False),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="N", help="Of offline [the protocol's].", show_default=False)
]
Processes = Annotated[
    int | None, typer.Option("--processes", metavar="N", help="Fresh ones per side and case [5].", show_default=False)
]
ProtocolName = Annotated[
    str | None, typer.Option("--protocol", metavar="NAME", help="Whose prompts [scenes].", show_default=False)
]
AllowBusy = Annotated[bool, typer.Option("--allow-busy", help="Time although other processes use the CPU.")]

PROCESSES = 5
PROTOCOL = "scenes"
FAILED = ("REGRESSED", "INVALID")
UNDECIDED = ("INCONCLUSIVE", "INCOMPARABLE")
COLUMNS = ("model", "scenario", "A", "B", "change", "99 % bounds", "verdict", "n")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What was asked for on the command line; None is the default."""

    models: str | None
    scenario: str | None
    batch_size: int | None
    processes: int | None
    protocol: str | None
    device: str
    root: Path | None
    allow_busy: bool
    quiet: bool
    json: bool

    def check_unused(self) -> None:
        """Raises UserError for an option that says nothing without ``--interleave``."""
        for name in ("models", "scenario", "batch_size", "processes", "protocol"):
            if getattr(self, name) is not None:
                raise UserError("is for --interleave.", where=f"--{name.replace('_', '-')}")
        if self.device != "auto" or self.allow_busy:
            raise UserError("is for --interleave.", where="--allow-busy" if self.allow_busy else "--device")


def compare_checkouts(checkout: Path, wish: Wish) -> int:
    """Times and prints, and returns the exit code; see :func:`exit_code`."""
    comparisons = _measure(checkout, wish)
    if wish.json:
        print_json([as_document(one) for one in comparisons])
    _tell(comparisons)
    return exit_code([one.verdict for one in comparisons])


def exit_code(verdicts: Sequence[str]) -> int:
    """Returns 1 where anything is REGRESSED or INVALID, 3 where nothing at all is decided, else 0: as a gate does."""
    if any(verdict in FAILED for verdict in verdicts):
        return 1
    return 3 if all(verdict in UNDECIDED for verdict in verdicts) else 0


def as_document(one: TimingComparison) -> dict[str, Any]:
    """Returns a comparison for machines: of each process the raw nanoseconds of its timed calls."""
    document = asdict(one)
    for process in document["processes"]:
        rows = process.pop("rows")
        process["wall_ns"] = [row["wall_ns"] for row in rows if row["scenario"] == one.scenario]
    return document


def chosen_scenarios(text: str | None) -> list[Scenario]:
    """Returns the scenarios of ``--scenario``; raises UserError for one that does not exist."""
    from trilemma.runner.timing_job import SCENARIOS

    known = {name.replace("_", "-"): name for name in SCENARIOS}
    names = list(known) if text is None else [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in known:
            raise UserError(f'there is no scenario "{name}".', where="--scenario", hint=suggest(name, known))
    if not names:
        raise UserError("no scenario is named.", where="--scenario")
    return [known[name] for name in dict.fromkeys(names)]


def chosen_models(text: str | None, protocol: Protocol, root: Path | None) -> list[Card]:
    """Returns the cards of ``--models``; without it, the protocol's models that are no controls."""
    from trilemma.at_hand import competing, refuse_random
    from trilemma.registry import select
    from trilemma.workspace import find_workspace

    workspace = find_workspace(root)
    named = [name.strip() for name in text.split(",") if name.strip()] if text is not None else None
    found = select((protocol.models or competing(workspace, protocol)) if named is None else named, workspace)
    refuse_random(found)
    return [card for card in found if named is not None or not card.control]


def _measure(checkout: Path, wish: Wish) -> list[TimingComparison]:
    from trilemma.cli.scoring import bars
    from trilemma.protocols import find_protocol
    from trilemma.runner.devices import check_device
    from trilemma.tracking.case import case_of
    from trilemma.tracking.interleave import interleave
    from trilemma.tracking.judge import Rules
    from trilemma.tracking.side import other_side, own_side
    from trilemma.tracking.timing_verdict import judge
    from trilemma.workspace import find_workspace

    check_device(wish.device)
    protocol = find_protocol(wish.protocol or PROTOCOL, find_workspace(wish.root))
    scenarios = chosen_scenarios(wish.scenario)
    cards = chosen_models(wish.models, protocol, wish.root)
    if not cards:
        raise UserError("no model is named.", hint="Give some: --models gan,var.")
    sides = [(other_side(checkout, card.name), own_side(card)) for card in cards]
    measured = []
    with bars(quiet=wish.quiet) as told:
        for card, (a, b) in zip(cards, sides, strict=True):
            for scenario in scenarios:
                size = wish.batch_size if scenario == "offline" else None
                case = case_of(card.name, protocol, scenario, size, wish.device)
                processes = PROCESSES if wish.processes is None else wish.processes
                progress = partial(told, case.title)
                measured.append(interleave(case, a, b, processes, allow_busy=wish.allow_busy, told=progress))
    return judge(measured, Rules(gate=protocol.gate).uncalibrated)


def _tell(comparisons: Sequence[TimingComparison]) -> None:
    console = people()
    console.print(_table(comparisons))
    for one in comparisons:
        console.print(f"{one.model} {one.title}: {one.sentence}", markup=False, soft_wrap=True)
    for fact in dict.fromkeys(f"{one.model}: {fact}" for one in comparisons for fact in one.subject):
        console.print(f"differs: {fact}", markup=False, soft_wrap=True)


def _table(comparisons: Sequence[TimingComparison]) -> Table:
    table = text_table("B against A", COLUMNS, map(_cells, comparisons))
    table.caption = "Medians of processes, each the median of its calls. Positive: B is slower."
    table.caption_justify = "left"
    return table


def _cells(one: TimingComparison) -> tuple[str, ...]:
    from trilemma.cli.table import seconds

    times = (MISSING if value is None else seconds(value) for value in (one.a_seconds, one.b_seconds))
    sides = [sum(process.side == name for process in one.processes) for name in ("A", "B")]
    bounds = MISSING if one.lower is None else f"{_percent(one.lower)} to {_percent(one.upper)}"
    return one.model, one.title, *times, _percent(one.log_ratio), bounds, one.verdict, "+".join(map(str, sides))


def _percent(log_ratio: float | None) -> str:
    return MISSING if log_ratio is None else f"{math.expm1(log_ratio):+.1%}"
