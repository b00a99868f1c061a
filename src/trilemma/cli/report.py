"""``report``: writes a run's report anew, or the page of two runs."""

from __future__ import annotations

from typing import Annotated

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder
from trilemma.errors import UserError

RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN [RUN_B]", help='A run\'s id, its folder, or "latest"; of two the first is the baseline.'
    ),
]


def report(run: RunNames, out: Out = None, root: Root = None, json: Json = False) -> None:
    """Writes report.html and report.md into a run's folder; of two runs, their comparison into the second one's.

    The comparison is compare-RUN.html, with the same as Markdown and as JSON: the verdicts of compare, what differs
    beside the numbers, and the same seeds' images before and after.

    Example: trilemma report latest

    Example: trilemma report 20260102-030405-1f2e3d4c latest
    """
    from trilemma.report import write_comparison, write_report
    from trilemma.store.run import find_run
    from trilemma.workspace import find_workspace

    if len(run) > 2:
        raise UserError(f"takes one run, or two to compare; these are {len(run)}.", where="RUN")
    runs = runs_folder(root, out)
    found = [find_run(name, runs) for name in run]
    page = write_report(found[0]) if len(found) == 1 else write_comparison(found[0], found[1], find_workspace(root))
    if json:
        print_json({"report": str(page)})
    people().print(f"Report: {page}", soft_wrap=True, markup=False)
