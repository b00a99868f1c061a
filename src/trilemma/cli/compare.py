"""``compare``: what changed between two runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.interleave import (
    AllowBusy,
    BatchSize,
    Interleave,
    Models,
    Processes,
    ProtocolName,
    Scenarios,
    Wish,
    compare_checkouts,
)
from trilemma.cli.options import Device, Json, Out, Quiet, Root, people, print_json, runs_folder
from trilemma.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.runner.compare import Difference


def compare(
    run_a: Annotated[
        str | None,
        typer.Argument(metavar="RUN_A", help="The baseline: a run's id, its folder, or latest.", show_default=False),
    ] = None,
    run_b: Annotated[
        str | None, typer.Argument(metavar="RUN_B", help="What is compared with it.", show_default=False)
    ] = None,
    interleave: Interleave = None,
    models: Models = None,
    scenario: Scenarios = None,
    batch_size: BatchSize = None,
    processes: Processes = None,
    protocol: ProtocolName = None,
    device: Device = "auto",
    allow_busy: AllowBusy = False,
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Prints B minus A for every model and metric, paired image by image where that can be done.

    Numbers of different identity are not compared: the table says INCOMPARABLE and which fields differ. The exit code
    is 1 when nothing at all could be compared.

    With --interleave, no runs are read: models of another checkout (A) and of this one (B) are timed in turn, each time
    in a fresh process; nothing else should run meanwhile. The exit code is then 1 where a verdict is REGRESSED or
    INVALID, and 3 where none could be decided.

    Example: trilemma compare 20260102-030405-1f2e3d4c latest

    Example: trilemma compare --interleave ../trilemma-main --models gan
    """
    wish = Wish(
        models=models,
        scenario=scenario,
        batch_size=batch_size,
        processes=processes,
        protocol=protocol,
        device=device,
        root=root,
        allow_busy=allow_busy,
        quiet=quiet,
        json=json,
    )
    if run_a is not None and run_b is not None and interleave is None:
        wish.check_unused()
        _compare_runs(run_a, run_b, out, root, json=json)
    elif interleave is not None and run_a is None:
        if code := compare_checkouts(interleave, wish):
            raise typer.Exit(code)
    else:
        raise UserError("give two runs, or --interleave and no run.", hint="See: trilemma compare --help.")


def _compare_runs(run_a: str, run_b: str, out: Path | None, root: Path | None, *, json: bool) -> None:
    from trilemma.runner.compare import compare as differences_of
    from trilemma.store.run import Run, find_run

    runs = runs_folder(root, out)
    differences = differences_of(Run(find_run(run_a, runs)), Run(find_run(run_b, runs)))
    if json:
        print_json([asdict(difference) for difference in differences])
    else:
        people().print(_table(differences))
    if not any(difference.verdict == "ok" for difference in differences):
        raise typer.Exit(1)


def _table(differences: list[Difference]) -> Table:
    from rich.table import Table

    table = Table(title="B minus A", title_justify="left", caption="± is one standard error.", caption_justify="left")
    for heading in ("model", "metric", "A", "B", "difference", "pairing", "note"):
        table.add_column(heading, overflow="fold")
    for one in sorted(differences, key=lambda difference: difference.verdict == "ok"):
        table.add_row(one.model, one.metric, *_cells(one))
    return table


def _cells(one: Difference) -> tuple[str, ...]:
    from trilemma.report.numbers import with_error

    a, b = ("–" if value is None else with_error(value) for value in (one.a, one.b))
    difference = "–" if one.difference is None else with_error(one.difference, one.se)
    note = one.reason or "" if one.verdict == "ok" else f"{one.verdict}: {one.reason}"
    return a, b, difference, one.pairing or "", note
