"""Three sentences about every metric of the run: what it sees, what it misses, how it is gamed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from trilemma.metrics.catalog import METRICS, Metric
from trilemma.metrics.glossary import Entry, glossary
from trilemma.protocol import SCENES
from trilemma.report import prose
from trilemma.report.catalog import AXIS_TITLES
from trilemma.report.glossary import explained

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "glossary"
TITLE = "Glossary"
STYLES = ("glossary.css",)
GROUPS = {"score": "Scores", **AXIS_TITLES}
BETTER = {"lower": "Lower is better.", "higher": "Higher is better.", "none": ""}


def content(run: Run) -> dict[str, Any] | None:
    """Returns the entries by axis; None for a run that names no metric."""
    metrics, knows_truth = [METRICS[name] for name in explained(run)], prose.data_of(run) == SCENES
    entries = glossary(knows_truth=knows_truth)
    grouped = itertools.groupby(sorted(metrics, key=_group), key=_group)
    groups = [
        (list(GROUPS.values())[place], [_entry(metric, entries[metric.name]) for metric in same])
        for place, same in grouped
    ]
    return {"groups": groups, "knows_truth": knows_truth} if groups else None


def _group(metric: Metric) -> int:
    return list(GROUPS).index(metric.axis)


def _entry(metric: Metric, entry: Entry) -> dict[str, Any]:
    return {
        "name": metric.name,
        "title": metric.title,
        "description": f"{metric.description} {BETTER[metric.direction]}".rstrip(),
        "sentences": [("Sees", entry.sees), ("Misses", entry.misses), ("Gamed by", entry.gamed)],
    }
