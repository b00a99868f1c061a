"""Which published numbers a run's can stand beside, and whether its own lie where the source accepts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.comparable import Band, Comparable
from trilemma.errors import UserError
from trilemma.metrics.catalog import DISTANCES
from trilemma.report.catalog import describe
from trilemma.report.numbers import quantity
from trilemma.strict_toml import build

if TYPE_CHECKING:
    from trilemma.report.record import Run
    from trilemma.store.metric_rows import MetricRow

CAPTION = "Bands that the source of the published numbers accepts. Better than accepted is outside as well."
PARTIAL = "the sets were cut"
OWN_REFERENCE = "the reference is not the published file"


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
    table = _protocol(run).get("comparable")
    try:
        return None if table is None else build(Comparable, table, where="comparable")
    except UserError:
        return None


def sentence(run: Run) -> str:
    """Returns the sentence for people; "" where the protocol says nothing."""
    found = told(run)
    if found is None:
        return ""
    if not _measured_on_own_reference(run):
        return found.sentence
    return f"What is measured against real images is not comparable with {found.numbers}: {OWN_REFERENCE}."


def uses_published_statistics(run: Run) -> bool:
    """Whether models were compared with statistics that somebody else has published.

    Of these the number of real images is not known. Features and statistics that this suite writes tell it.
    """
    if not _reference(run).get("features"):
        return False
    return any(row.n_reference is None for row in run.rows if row.metric in DISTANCES and row.value is not None)


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
    if _is_of_real_images(row) and _wants_published_file(run) and not uses_published_statistics(run):
        return f"not judged: {OWN_REFERENCE}"
    return "inside" if band.holds(row.value) else "outside"


def _measured_on_own_reference(run: Run) -> bool:
    measured = any(_is_of_real_images(row) for row in run.rows if row.value is not None)
    return measured and _wants_published_file(run) and not uses_published_statistics(run)


def _is_of_real_images(row: MetricRow) -> bool:
    """Whether real images enter the number; they do not enter a CLIP score."""
    return "reference" in row.params


def _wants_published_file(run: Run) -> bool:
    """Whether the protocol's reference is a file of somebody else's; without it real images may have been measured."""
    return bool(_reference(run).get("features") and _reference(run).get("source"))


def _reference(run: Run) -> dict[str, Any]:
    return _protocol(run).get("reference") or {}


def _protocol(run: Run) -> dict[str, Any]:
    protocol = run.record.spec.get("protocol")
    return protocol if isinstance(protocol, dict) else {}
