"""One measured number, with everything that makes it a number: error, interval, n, direction, identity."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from trilemma.errors import UserError
from trilemma.store.atomic import write_json_lines

Status = Literal["ok", "failed", "skipped", "nan", "withheld"]
Direction = Literal["lower", "higher", "none"]


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One scalar. ``value`` is null unless ``status`` is "ok", and then ``reason`` says why.

    Attributes:
        series: the digest that names the series this number belongs to.
        extractor: role:digest of the network that it was computed with; null where none was.
        n, n_reference: images of the model, and real images that they were compared with.
        se, se_method: standard error and how it was had. ci: interval at ``ci_level``, not clipped.
        replicates: processes that it was measured in.
        params: what else the number depends on.
        computed_at, tool_version: when, and by which version of this suite, it was computed.
    """

    run_id: str
    model: str
    metric: str
    set: str | None = None
    metric_version: int = 1
    series: str = ""
    extractor: str | None = None
    value: float | None = None
    unit: str = ""
    direction: Direction = "none"
    n: int | None = None
    n_reference: int | None = None
    se: float | None = None
    se_method: str | None = None
    ci: tuple[float, float] | None = None
    ci_level: float = 0.95
    replicates: int = 1
    status: Status = "ok"
    reason: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    computed_at: str | None = None
    tool_version: str | None = None

    def __post_init__(self) -> None:
        if (self.status == "ok") != (self.value is not None) or (self.status != "ok" and not self.reason):
            raise ValueError(f"{self.metric} of {self.model}: a value or a reason, got {self.value} and {self.status}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.metric} of {self.model}: {self.value} is no value; its status is nan")


def write_metrics(path: Path, rows: Sequence[MetricRow]) -> None:
    """Puts all rows at ``path``, one JSON object per line."""
    write_json_lines(path, [asdict(row) for row in rows])


def read_metrics(path: Path) -> list[MetricRow]:
    """Returns the rows; fields of a later version are ignored.

    Raises:
        UserError: there is no such file, or a line of it cannot be read.
    """
    if not path.is_file():
        raise UserError("this run has no metrics yet.", where=str(path), hint="Run it to its end first.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None
    # Not splitlines(): a reason may hold a character that Unicode, but not JSON, takes for the end of a line.
    lines = text.removesuffix("\n").split("\n")
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def _parse(line: str, where: str) -> MetricRow:
    known = {item.name for item in fields(MetricRow)}
    try:
        stored = {name: value for name, value in json.loads(line).items() if name in known}
        stored["ci"] = tuple(stored["ci"]) if stored.get("ci") else None
        return MetricRow(**stored)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"this line of the record is damaged: {error}.", where=where) from None
