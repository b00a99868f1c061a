"""From the record of a run to a page, a Markdown file and figures; nothing here measures anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trilemma.workspace import Workspace

# matplotlib and seaborn are loaded only once there is something to draw.


def write_report(run_folder: Path) -> Path:
    """Writes ``report.html``, ``report.md``, ``report.json`` and ``figures/`` into a run folder; returns the page.

    A run that is unfinished, cancelled or partly failed is reported too, and stamped as such.

    Raises:
        UserError: the folder holds no readable ``run.json``.
    """
    from trilemma.report.write import write

    return write(run_folder)


def write_comparison(a: Path, b: Path, workspace: Workspace) -> Path:
    """Writes ``compare-A.html``, ``.md`` and ``.json`` into the folder of run ``b`` and returns the path of the page.

    Raises:
        UserError: a record is damaged, or has no numbers yet.
    """
    from trilemma.report.comparison.write import write

    return write(a, b, workspace)
