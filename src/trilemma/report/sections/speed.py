"""Images per second against the batch size, and every timed call behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import tables, timed_calls
from trilemma.report.drawing import inline_svg
from trilemma.report.figures import sweep_figure
from trilemma.report.numbers import count, with_error
from trilemma.report.timed_calls_figure import call_figures

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from trilemma.report.record import Run


ID = "speed"
TITLE = "Speed"


def content(run: Run) -> dict[str, Any]:
    """Returns the figures of the batch sweep and of the calls, with their tables; without timing the reason."""
    sweep, calls = tables.sweep(run), timed_calls.calls(run)
    windows = timed_calls.windows(run, calls)
    return {
        "sweep": _sweep(sweep),
        "sweep_table": _sweep_table(sweep),
        "absence": timed_calls.absence(run),
        "calls": [_calls(figure, number) for number, figure in enumerate(call_figures(calls, windows), start=1)],
        "number": len(calls),
        "header": timed_calls.HEADER,
        "caption": timed_calls.CAPTION,
        "windows": timed_calls.lines(windows),
    }


def _sweep(sweep: pd.DataFrame) -> Markup | None:
    from markupsafe import Markup

    if sweep.empty:
        return None
    description = "Images per second against batch size, one line per model; the numbers stand in the table below."
    return Markup(inline_svg(sweep_figure(sweep), "sweep", description))  # ElementTree escaped it


def _calls(figure: Any, number: int) -> Markup:
    from markupsafe import Markup

    description = "Milliseconds per image of every timed call, one panel per model; the table below holds the windows."
    return Markup(inline_svg(figure, f"calls-{number}", description))  # ElementTree escaped it


def _sweep_table(sweep: pd.DataFrame) -> dict[str, Any]:
    if sweep.empty:
        return {"sizes": [], "rows": []}
    medians = tables.sweep_medians(sweep)
    rows = [
        (str(model), [tables.NOT_MEASURED if value != value else with_error(value) for value in values])
        for model, values in zip(medians.index, medians.to_numpy(), strict=True)
    ]
    return {"sizes": [count(int(size)) for size in medians.columns], "rows": rows}
