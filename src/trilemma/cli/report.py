"""``report``: writes a run's report anew."""

from __future__ import annotations

from typing import Annotated

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder

RunName = Annotated[str, typer.Argument(metavar="RUN", help='A run\'s id, its folder, or "latest".')]


def report(run: RunName, out: Out = None, root: Root = None, json: Json = False) -> None:
    """Writes report.html and report.md into a run's folder.

    Example: trilemma report latest
    """
    from trilemma.report import write_report
    from trilemma.store.run import find_run

    page = write_report(find_run(run, runs_folder(root, out)))
    if json:
        print_json({"report": str(page)})
    people().print(f"Report: {page}", soft_wrap=True, markup=False)
