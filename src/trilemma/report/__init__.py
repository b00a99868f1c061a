"""From the record of a run to a page, a Markdown file and figures; nothing here measures anything."""

from __future__ import annotations

from pathlib import Path


def write_report(run_folder: Path) -> Path:
    """Writes ``report.html``, ``report.md`` and ``figures/`` into a run folder and returns the path of the page.

    A run that is unfinished, cancelled or partly failed is reported too, and stamped as such.

    Raises:
        UserError: the folder holds no readable ``run.json``.
    """
    # matplotlib and seaborn are loaded only once there is something to draw.
    from trilemma.report.write import write

    return write(run_folder)
