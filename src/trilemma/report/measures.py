"""What each axis can be measured by: its score, and every metric of that axis which the run holds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.report.catalog import describe, rank
from trilemma.report.scales import SCORE, Scale, scale_of
from trilemma.report.tables import AXES, keyed_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trilemma.report.record import Run
    from trilemma.store.metric_rows import MetricRow

CORNERS = ("quality", "diversity", "speed")
# Loading and memory are costs too, but not of an image.
SPEED = (
    "score_speed", "images_per_second", "score_speed_batch1", "latency_batch1", "evaluations_per_image",
    "flops_per_image",
)  # fmt: skip
_SCORES = {name: axis for axis, name in AXES.items()}
SCORE_LABELS = {
    "score_quality": "Quality score",
    "score_diversity": "Diversity score",
    "score_speed": "Speed score",
    "score_speed_batch1": "Speed score at batch 1",
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One way to measure an axis, with what each model got; a model without a number is absent.

    ``group`` names what the number was read by: the extractor's role and identity, or "" where there was none.
    """

    axis: str
    metric: str
    label: str
    group: str
    lower: bool
    scale: Scale
    rows: Mapping[str, MetricRow]

    def value(self, model: str) -> float:
        """Returns the model's value, turned round where lower is better, so that more is better."""
        value = self.rows[model].value
        assert value is not None
        return -value if self.lower else value

    def apart(self, one: str, other: str) -> bool:
        """Whether two models' values differ by more than twice the standard error of their difference."""
        variance = sum((self.rows[model].se or 0.0) ** 2 for model in (one, other))
        return abs(self.value(one) - self.value(other)) > 2 * math.sqrt(variance)


def measures(run: Run) -> dict[str, list[Measure]]:
    """Returns for each corner what it can be measured by, the score first; those without any number are left out."""
    found: dict[str, list[Measure]] = {axis: [] for axis in CORNERS}
    keyed = keyed_rows(run.rows)
    sets = Counter((metric, variant) for metric, _, variant in keyed)
    for key in sorted(keyed, key=lambda key: (key[0] not in _SCORES, rank(key[0]))):
        axis = _corner(key[0])
        rows = {model: row for model, row in keyed[key].items() if row.value is not None}
        if axis and rows and next(iter(rows.values())).direction != "none":
            found[axis].append(_measure(axis, key, rows, several=sets[key[0], key[2]] > 1))
    return found


def _corner(metric: str) -> str | None:
    if metric in SPEED:
        return "speed"
    axis = _SCORES.get(metric) or describe(metric).axis
    return axis if axis in ("quality", "diversity") else None


def _measure(axis: str, key: tuple[str, str, str], rows: dict[str, MetricRow], *, several: bool) -> Measure:
    metric, images, variant = key
    first = next(iter(rows.values()))
    values = [row.value for row in rows.values() if row.value is not None]
    bounds = [bound for row in rows.values() if row.ci for bound in row.ci]
    title = SCORE_LABELS.get(metric) or describe(metric).title
    detail = ", ".join(part for part in (images.replace("_", " ") if several else "", variant) if part)
    return Measure(
        axis=axis,
        metric=metric,
        label=f"{title} ({detail})" if detail else title,
        group="" if metric in _SCORES else (first.extractor or ""),
        lower=first.direction == "lower",
        scale=SCORE if metric in _SCORES else scale_of(values, bounds),
        rows=rows,
    )
