"""What the suite itself costs: each model's time from the first call to the stored files, against its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.report.numbers import with_error
from trilemma.report.tables import NOT_MEASURED

if TYPE_CHECKING:
    from trilemma.report.record import Run

COLUMNS = ("Generate", "Measure", "Rest", "Whole", "Overhead", "Attempts")
CAPTION = (
    "Seconds from a model's first call to its stored files. Generate: its own calls, transfer to the host included. "
    "Measure: the networks that measure the images. Overhead: the whole over the sum of both. Loading, timing and "
    "counting come before, and are not in it; of a run that was killed, all attempts are, without what was lost."
)
PARTS = ("generate_seconds", "measure_seconds", "wall_seconds")


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """One model's line: a text for each of :data:`COLUMNS`; or none, and the reason."""

    model: str
    cells: tuple[str, ...]
    reason: str = ""


def overheads(run: Run) -> list[Overhead]:
    """Returns a line for every model of which the record says anything; an older record says nothing of any."""
    told = {model: run.record.models[model].get("drawing") for model in run.models}
    return [_line(model, drawing) for model, drawing in told.items() if drawing]


def closing(run: Run) -> str:
    """Returns what the run's own work on all models together took; nothing where the record does not say."""
    seconds = run.record.seconds.get("metrics")
    return f"After all models, computing the numbers took {with_error(seconds)} s." if seconds else ""


def _line(model: str, drawing: dict[str, Any]) -> Overhead:
    generate, measure, whole = (drawing.get(name) for name in PARTS)
    if generate is None or measure is None or whole is None or generate + measure <= 0:
        reason = str(drawing.get("reason") or "the record does not say why")
        return Overhead(model=model, cells=(NOT_MEASURED,) * len(COLUMNS), reason=reason)
    parts = (generate, measure, whole - generate - measure, whole)
    overhead = f"{whole / (generate + measure):.3f}"
    return Overhead(model=model, cells=(*map(with_error, parts), overhead, str(drawing.get("attempts"))))
