"""Runs of several models on disk without models: records and numbers alone, and replicates where a test wants pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.claims.judge import JudgedClaim, judge
from trilemma.claims.stated import Claims
from trilemma.metrics.catalog import METRICS
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.replicates import Replicates
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.replicates import write_replicates
from trilemma.store.run import Run
from trilemma.store.tables import SAMPLES, write_rows
from trilemma.strict_toml import build

FAMILIES = {"gan": "gan", "vqar": "vqar", "var": "var", "ldm": "diffusers"}
ROLES = {
    "gan": {"title": "GAN", "families": ["gan"]},
    "ar": {"title": "autoregressive model", "families": ["vqar", "var"]},
    "diffusion": {"title": "diffusion model", "families": ["diffusers"]},
}
SHARED = np.random.default_rng(0).normal(size=400)
Number = float | tuple[float, float] | dict[str, Any]
"""An exact value, a value with its standard error, or whatever fields a row is to have."""
Numbers = Mapping[str, Mapping[str, Number]]


class Bench:
    """Writes runs, states claims and judges."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, numbers: Numbers, cards: Mapping[str, dict[str, Any]] | None = None) -> Run:
        """Writes a run of the given models, by name, with their numbers by metric."""
        folder = RunFolder(path=self.folder / "run")
        write_metrics(folder.metrics, self.rows(numbers))
        families = {model: {"family": FAMILIES.get(model.partition("@")[0])} for model in numbers}
        Record(
            run_id="r", identity="i", created="2026-01-01T00:00:00.000+00:00", spec={"protocol": {"name": "scenes"}},
            models={model: {"status": "done"} for model in numbers},
            cards={model: families[model] | (cards or {}).get(model, {}) for model in numbers},
            keys={model: {"hardware": {"fields": {"name": "a CPU"}}} for model in numbers},
        ).write(folder.record)  # fmt: skip
        return Run(folder.path)

    def rows(self, numbers: Numbers) -> list[MetricRow]:
        """Returns the rows of such a run."""
        return [_row(model, metric, number) for model, given in numbers.items() for metric, number in given.items()]

    def with_pairs(self, run: Run, metric: str, jitter: float = 0.1) -> Run:
        """Adds sample rows, and replicates that all models share but for a jitter."""
        for number, model in enumerate(run.models):
            own = SHARED + jitter * np.random.default_rng([1, number]).normal(size=len(SHARED))
            write_replicates(run.folder.replicates(model), {metric: (Replicates(kind="parts", values_U=own),)})
            named = {"model": model, "set": METRICS[metric].set, "status": "ok"}
            write_rows(run.folder.samples(model), SAMPLES, [named | {"key": str(i)} for i in range(len(own))])
        return Run(run.folder.path)

    def claims(self, metrics: list[str], *parts: dict[str, Any], **claim: Any) -> Claims:
        """Returns one claim whose parts all use one word for the metrics; its roles are those that the parts name."""
        told = [{"says": "it", "word": "it"} | part for part in parts]
        used = {name for part in parts for name in (part["who"], *part["than"])}
        table = {
            "sources": {"paper": {"title": "A paper", "kind": "paper"}},
            "roles": {name: role for name, role in ROLES.items() if name in used},
            "words": {"it": {"metrics": metrics, "because": "it is"}},
            "claims": [{"name": "c", "sentence": "It is so.", "source": "paper", "parts": told} | claim],
        }
        return build(Claims, table, where="claims.toml", path=Path("claims.toml"))

    def judged(self, numbers: Numbers, metrics: list[str], *parts: dict[str, Any], **claim: Any) -> JudgedClaim:
        """Judges one claim of the given metrics and parts by a run of the given numbers."""
        (found,) = judge(self.claims(metrics, *parts, **claim), self.run(numbers))
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Works below a folder of its own."""
    return Bench(tmp_path)


def _row(model: str, metric: str, number: Number) -> MetricRow:
    pair = number if isinstance(number, tuple) else (number, None)
    given = number if isinstance(number, dict) else {"value": pair[0], "se": pair[1]}
    fields = {"se_method": "mean", "n": 400, "params": {"batch_size": 1} if depends_on_machine(metric) else {}} | given
    known = METRICS[metric]
    return MetricRow(
        run_id="r", model=model, metric=metric, set=known.set, unit=known.unit, direction=known.direction, **fields
    )
