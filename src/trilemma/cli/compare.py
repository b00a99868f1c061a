"""``compare``: what changed between two runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.runner.compare import Difference


def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="The baseline: a run's id, its folder, or latest.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="What is compared with it.")],
    out: Out = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Prints B minus A for every model and metric, paired image by image where that can be done.

    Numbers of different identity are not compared: the table says INCOMPARABLE and which fields differ. The exit code
    is 1 when nothing at all could be compared.

    Example: trilemma compare 20260102-030405-1f2e3d4c latest
    """
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
