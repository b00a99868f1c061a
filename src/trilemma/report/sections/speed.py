"""Images per second against the batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import tables
from trilemma.report.drawing import inline_svg
from trilemma.report.figures import sweep_figure
from trilemma.report.numbers import count, with_error

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from trilemma.report.record import Run


ID = "speed"
TITLE = "Speed"


def content(run: Run) -> dict[str, Any]:
    """Returns the figure of the batch sweep and its table; both are empty where none was timed."""
    sweep = tables.sweep(run)
    return {"sweep": _sweep(sweep), "sweep_table": _sweep_table(sweep)}


def _sweep(sweep: pd.DataFrame) -> Markup | None:
    from markupsafe import Markup

    if sweep.empty:
        return None
    description = "Images per second against batch size, one line per model; the numbers stand in the table below."
    return Markup(inline_svg(sweep_figure(sweep), "sweep", description))  # ElementTree escaped it


def _sweep_table(sweep: pd.DataFrame) -> dict[str, Any]:
    if sweep.empty:
        return {"sizes": [], "rows": []}
    medians = tables.sweep_medians(sweep)
    rows = [
        (str(model), [tables.NOT_MEASURED if value != value else with_error(value) for value in values])
        for model, values in zip(medians.index, medians.to_numpy(), strict=True)
    ]
    return {"sizes": [count(int(size)) for size in medians.columns], "rows": rows}
