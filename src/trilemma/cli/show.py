"""``show``: a run's table."""

from __future__ import annotations

from typing import Annotated

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder

RunName = Annotated[str, typer.Argument(metavar="RUN", help='A run\'s id, its folder, or "latest".')]


def show(
    run: RunName,
    out: Out = None,
    root: Root = None,
    all_metrics: Annotated[bool, typer.Option("--all", help="Every metric, not only the scores' own.")] = False,
    json: Json = False,
) -> None:
    """Prints a run's table.

    Example: trilemma show latest --all
    """
    from trilemma.cli.table import metric_table, run_as_json, summary_table
    from trilemma.store.run import Run, find_run

    found = Run(find_run(run, runs_folder(root, out)))
    if json:
        print_json(run_as_json(found))
        return
    console = people()
    console.print(f"{found.record.run_id}: {found.record.status}", markup=False)
    console.print(metric_table(found) if all_metrics else summary_table(found))
    for model, error in found.record.errors.items():
        console.print(f"{model} failed: {error['type']}: {error['message']}", markup=False)
