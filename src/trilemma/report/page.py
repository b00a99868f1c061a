"""The page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.report import gives_up, prose, shell, tables
from trilemma.report.glossary import explained
from trilemma.report.sections import SECTIONS

if TYPE_CHECKING:
    from trilemma.report.record import Run


def html(run: Run) -> str:
    """Returns the whole page."""
    told = {
        "controls": [model for model in run.models if run.is_control(model)],
        "random_weights": [model for model in run.models if run.is_random(model)],
        "explained": explained(run),
    }
    head = shell.Head(
        title=prose.protocol_title(run),
        runs=[("run", run.record.run_id)],
        skip="the scores",
        headline=gives_up.headline(run, tables.scores(run)),
        statements=[prose.statement(run)],
        stamps=prose.stamps(run),
    )
    return shell.page(head, list(shell.sections_of(SECTIONS, run, told)))
