"""What there is to say of one point in a history, for the table and the figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.report.numbers import MINUS, with_error

if TYPE_CHECKING:
    from trilemma.tracking.history import History, Step

ADVISORY = "Steps are advisory: no verdict rests on them."
BETTER = {"lower": "lower is better", "higher": "higher is better", "none": ""}


def title(history: History) -> str:
    """Returns the series' name, and what its metric is called."""
    name, unit = history.metric.title, history.metric.unit
    return f"{history.name}: {name}" + (f", {unit}" if unit and unit.lower() not in name.lower() else "")


def change(step: Step) -> str:
    """Returns how far a series stepped: in percent where a share says something, else the difference."""
    if step.relative is None:
        difference = with_error(step.after - step.before)
        return difference if difference.startswith(MINUS) else f"+{difference}"
    percent = 100 * step.relative
    return f"{percent:+.{1 if abs(percent) >= 0.1 else 3}f} %".replace("-", MINUS)


def marks(history: History, place: int) -> list[str]:
    """Returns what is to be noted at a point, one text each; nothing at most points."""
    point = history.points[place]
    texts = [f"baseline {name}" for name in point.baselines]
    texts += point.changes
    if place in history.step_at:
        texts.append(f"step {change(history.step_at[place])} (advisory)")
    if point.line is None:
        reason = f": {point.seen.reason}" if point.seen.reason else ""
        texts.append(f"{point.seen.status}{reason}")
    return texts
