"""A score as tables on the screen, one per preset, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.cli.text_table import MISSING
from trilemma.report.numbers import MINUS, count, with_error
from trilemma.store.atomic import write_text

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.features.presets import Preset
    from trilemma.scoring.row import Floor, Row
    from trilemma.scoring.score import Score

CAPTION = "± is one standard error. Floor: as many real images in FAKE's place, against the remaining ones."
COLUMNS = (
    "preset", "metric", "value", "se", "se_method", "low", "high", "n", "n_reference", "direction", "status", "reason",
    "floor", "floor_se", "floor_n_reference",
)  # fmt: skip


def score_tables(score: Score) -> Iterator[Table]:
    """Yields one table per preset: value, interval, numbers of images, direction and floor of every metric."""
    for preset in score.presets:
        yield _table(score, preset)


def write_csv(score: Score, path: Path) -> None:
    """Writes one line per number, in full precision; empty where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in score.rows:
        low, high = row.ci or (None, None)
        floor = (row.floor.value, row.floor.se, row.floor.n_reference)
        numbers = (row.value, row.se, row.se_method, low, high, row.n, row.n_reference)
        writer.writerow(map(_csv, (row.preset, row.metric, *numbers, row.direction, row.status, row.reason, *floor)))
    write_text(path.expanduser(), buffer.getvalue())


def _table(score: Score, preset: Preset) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    sides, reference = _sides(score, preset)
    table = Table(
        title=escape(f"{preset.title}: {sides}"),
        caption=CAPTION,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading, right in (("metric", False), ("value", True), ("95 % interval", True), ("n", True), (reference, True)):
        table.add_column(heading, justify="right" if right else "left")
    table.add_column("better")
    table.add_column("floor", justify="right")
    table.add_column("note")
    for row in score.rows:
        if row.preset == preset.name:
            table.add_row(*map(escape, _cells(row)))
    return table


def _sides(score: Score, preset: Preset) -> tuple[str, str]:
    """Returns what a preset compares, and whose number stands beside that of FAKE's images."""
    from trilemma.scoring.copies import PIXELS

    fake, real = score.fake["name"], score.real["name"]
    if preset == PIXELS and score.training is not None:
        return f"{fake} against {score.training['name']}, {real} held out", "of training"
    return f"{fake} against {real}", "of real"


def _cells(row: Row) -> tuple[str, ...]:
    value = MISSING if row.value is None else with_error(row.value, row.se)
    reference = MISSING if row.n_reference is None else count(row.n_reference)
    return (
        row.metric,
        value,
        _interval(row),
        count(row.n),
        reference,
        row.direction,
        _floor(row.floor),
        row.reason or "",
    )


def _interval(row: Row) -> str:
    return MISSING if row.ci is None else " to ".join(f"{end:.4g}".replace("-", MINUS) for end in row.ci)


def _floor(floor: Floor) -> str:
    return MISSING if floor.value is None else with_error(floor.value, floor.se)


def _csv(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
