"""``compare RUN_A RUN_B``: every series of two finished runs with its verdict."""

from __future__ import annotations

from pathlib import Path

import typer

from trilemma.cli.options import people, print_json, runs_folder

UNDECIDED_EXIT = 3


def compare_runs(run_a: str, run_b: str, out: Path | None, root: Path | None, *, json: bool) -> None:
    """Prints the verdicts; raises typer.Exit(3) where nothing at all could be compared."""
    from trilemma.cli.verdict_table import verdict_table
    from trilemma.report.verdicts import as_rows
    from trilemma.store.run import find_run
    from trilemma.tracking.two_runs import compare_two
    from trilemma.workspace import find_workspace

    runs = runs_folder(root, out)
    found = compare_two(find_run(run_a, runs), find_run(run_b, runs), find_workspace(root))
    if json:
        print_json(as_rows(found.series))
    else:
        console = people()
        title = f"{found.b.record.run_id} (candidate) against {found.a.record.run_id} (baseline)"
        console.print(verdict_table(found.series, title))
        for model, fields in found.facts.items():
            console.print(f"{model}: {'; '.join(fields)}", markup=False)
    if not found.compared:
        raise typer.Exit(UNDECIDED_EXIT)
