"""Which published numbers a run's can stand beside, and whether its own lie where the source accepts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.comparable import Band, Comparable
from trilemma.errors import UserError
from trilemma.report.catalog import describe
from trilemma.report.numbers import quantity
from trilemma.strict_toml import build

if TYPE_CHECKING:
    from trilemma.report.record import Run
    from trilemma.store.metric_rows import MetricRow

CAPTION = "Bands that the source of the published numbers accepts. Better than accepted is outside as well."
PARTIAL = "the sets were cut"


@dataclass(frozen=True, kw_only=True)
class BandLine:
    """One number of a model against its band, in words."""

    model: str
    metric: str
    value: str
    band: str
    verdict: str


def told(run: Run) -> Comparable | None:
    """Returns what the run's protocol says; None where it says nothing, or what only a newer version understands."""
    protocol = run.record.spec.get("protocol")
    table = protocol.get("comparable") if isinstance(protocol, dict) else None
    try:
        return None if table is None else build(Comparable, table, where="comparable")
    except UserError:
        return None


def sentence(run: Run) -> str:
    """Returns the sentence for people; "" where the protocol says nothing."""
    found = told(run)
    return "" if found is None else found.sentence


def band_lines(run: Run) -> list[BandLine]:
    """Returns a line for every band and every model that is no control; none for a protocol without bands."""
    found = told(run)
    bands = {} if found is None else found.bands
    models = [model for model in run.models if not run.is_control(model)]
    return [_line(run, model, metric, band) for metric, band in bands.items() for model in models]


def _line(run: Run, model: str, metric: str, band: Band) -> BandLine:
    row = run.find(model, metric)
    return BandLine(
        model=model,
        metric=describe(metric).title,
        value="–" if row is None or row.value is None else quantity(row.value, row.se, row.unit),
        band=f"{band.low:g} to {band.high:g}",
        verdict=_verdict(run, row, band),
    )


def _verdict(run: Run, row: MetricRow | None, band: Band) -> str:
    if row is None or row.value is None:
        return "not measured"
    if run.record.partial:
        return f"not judged: {PARTIAL}"
    return "inside" if band.holds(row.value) else "outside"
