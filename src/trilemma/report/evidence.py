"""The raw numbers behind a score, as a clause of a sentence, beside what real images or the fastest model get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.metrics.catalog import DISTANCES
from trilemma.report.catalog import describe
from trilemma.report.names import brief
from trilemma.report.numbers import quantity

if TYPE_CHECKING:
    from trilemma.report.record import Run
    from trilemma.store.metric_rows import MetricRow

# What the score of quality is made of, and that of diversity where the truth is not known.
QUALITY = tuple((name,) for name in DISTANCES)
COVERAGES = (("coverage_unconditional", "coverage_within_prompts"), ("coverage",))
# The first group of which the record holds anything.
_BEHIND = {
    "quality": QUALITY,
    "diversity": (("modes", "within_prompt_spread"), *COVERAGES),
    "speed": (("images_per_second",),),
}
_REAL = "real"


def plain(run: Run, model: str, axis: str) -> str:
    """Returns the model's own numbers, such as ``FD-Scenes 36.8 ± 0.6``; "" where there are none."""
    return " and ".join(_clause(row) for row in _rows(run, model, axis))


def against(run: Run, model: str, axis: str) -> str:
    """Returns the numbers with what they fall short of behind them: real images, or for speed the fastest model."""
    return " and ".join(f"{_clause(row)}{_yardstick(run, row, axis)}" for row in _rows(run, model, axis))


def _yardstick(run: Run, row: MetricRow, axis: str) -> str:
    best = _fastest(run, row.metric) if axis == "speed" else _real(run, row.metric)
    if best is None or best.value is None or best.model == row.model:
        return ""
    return f" ({brief(best.model) if axis == 'speed' else 'real images'}: {_number(best)})"


def _real(run: Run, metric: str) -> MetricRow | None:
    return run.find(_REAL, metric) if _REAL in run.models and run.is_control(_REAL) else None


def _fastest(run: Run, metric: str) -> MetricRow | None:
    rows = [found for model in run.models if not run.is_control(model) and (found := run.find(model, metric))]
    return max((row for row in rows if row.value is not None), key=lambda row: row.value or 0.0, default=None)


def _rows(run: Run, model: str, axis: str) -> list[MetricRow]:
    for group in _BEHIND[axis]:
        rows = [row for metric in group if (row := run.find(model, metric)) and row.value is not None]
        if rows:
            return rows
    return []


def _clause(row: MetricRow) -> str:
    if row.unit.startswith("of "):
        return f"{_number(row)} {row.unit} {row.metric}"
    return f"{_number(row)} {row.unit}" if row.unit else f"{_lower(describe(row.metric).title)} {_number(row)}"


def _lower(title: str) -> str:
    """Returns a title as it stands inside a sentence; a name such as FID keeps its capitals."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def _number(row: MetricRow) -> str:
    assert row.value is not None
    return quantity(row.value, row.se, row.unit)
