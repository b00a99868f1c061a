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
    from trilemma.store.digests import verify
    from trilemma.store.run import Run, find_run
    from trilemma.tracking.gate import facts, rules_for
    from trilemma.tracking.judge import judge
    from trilemma.workspace import find_workspace

    runs = runs_folder(root, out)
    a, b = (Run(find_run(name, runs)) for name in (run_a, run_b))
    for run in (a, b):
        verify(run, whole=False)
    series = judge([a], [b], rules_for(b, find_workspace(root)))
    if json:
        print_json(as_rows(series))
    else:
        console = people()
        console.print(verdict_table(series, f"{b.record.run_id} (candidate) against {a.record.run_id} (baseline)"))
        for model, fields in facts(a, b, [name for name in b.models if name in a.models]).items():
            console.print(f"{model}: {'; '.join(fields)}", markup=False)
    if not any(one.difference is not None or one.verdict == "EXACT_SAME" for one in series):
        raise typer.Exit(UNDECIDED_EXIT)
