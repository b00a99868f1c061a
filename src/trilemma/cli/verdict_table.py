"""Verdicts as a table on the screen, failures first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trilemma.report.verdicts import COLUMNS, cells
from trilemma.tracking.judged import FAILING, PASSING, Judged, failures_first

if TYPE_CHECKING:
    from rich.table import Table


def verdict_table(series: Sequence[Judged], title: str) -> Table:
    """Returns one line per series; verdicts in brackets are of series that are not gated."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.caption, table.caption_justify = "Difference: candidate − baseline, ± one standard error.", "left"
    for name in COLUMNS:
        numeric = name in ("baseline", "candidate", "difference", "margin")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for one in failures_first(series):
        verdict, *rest = map(escape, cells(one))
        table.add_row(f"[{_style(one)}]{verdict}[/]", *rest)
    return table


def _style(one: Judged) -> str:
    if not one.gated:
        return "dim"
    if one.verdict in FAILING:
        return "bold red"
    return "green" if one.verdict in PASSING else "yellow"
