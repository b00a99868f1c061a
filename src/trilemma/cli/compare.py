"""``compare``: what changed between two runs."""

from __future__ import annotations

from typing import Annotated

import typer

from trilemma.cli.options import Json, Out, Root


def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="The baseline: a run's id, its folder, or latest.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="What is compared with it.")],
    out: Out = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Prints B minus A for every model and metric with a verdict, paired image by image where that can be done.

    Numbers of different identity are not compared: they are INCOMPARABLE, and the table says which fields differ.
    Verdicts in brackets are of series that the protocol does not gate. The exit code is 3 when nothing at all could be
    compared; a regression is told, and is no failure here: that is for gate.

    Example: trilemma compare 20260102-030405-1f2e3d4c latest
    """
    from trilemma.cli.compare_runs import compare_runs

    compare_runs(run_a, run_b, out, root, json=json)
