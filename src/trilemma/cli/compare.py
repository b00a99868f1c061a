"""``compare``: what changed between two runs."""

from __future__ import annotations

from typing import Annotated

import typer

from trilemma.cli.compare_runs import compare_runs
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
from trilemma.cli.options import Device, Json, Out, Quiet, Root
from trilemma.errors import UserError


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
    """Prints B minus A for every model and metric with a verdict, paired image by image where that can be done.

    Numbers of different identity are not compared: they are INCOMPARABLE, and the table says which fields differ.
    Verdicts in brackets are of series that the protocol does not gate. The exit code is 3 when nothing at all could be
    compared; a regression is told, and is no failure here: that is for gate.

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
        compare_runs(run_a, run_b, out, root, json=json)
    elif interleave is not None and run_a is None:
        if out is not None:
            raise UserError("is for two runs; with --interleave none are read.", where="--out")
        if code := compare_checkouts(interleave, wish):
            raise typer.Exit(code)
    else:
        raise UserError("give two runs, or --interleave and no run.", hint="See: trilemma compare --help.")
