"""Bands and published numbers stand beside what was measured against the published reference, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.protocols import find_protocol
from trilemma.report import comparable
from trilemma.report.record import Run, load
from trilemma.store.metric_rows import MetricRow
from trilemma.strict_toml import dump
from trilemma.workspace import find_workspace

CHECKOUT = find_workspace(Path(__file__).resolve().parents[2])
UNJUDGED = "not judged: the reference is not the published file"
REFERENCE = {"reference": "a" * 16}


def measured(metric: str, value: float, n_reference: int | None = None, **params: Any) -> MetricRow:
    return MetricRow(run_id="r", model="gan", metric=metric, value=value, n_reference=n_reference, params=params)


@pytest.fixture
def run(run_folder: Path) -> Run:
    return load(run_folder)


def with_rows(run: Run, name: str, *rows: MetricRow) -> Run:
    """The run as if it were of one of the suite's protocols."""
    spec = run.record.spec | {"protocol": dump(find_protocol(name, CHECKOUT))}
    return replace(run, record=replace(run.record, spec=spec), rows=rows)


def verdicts(run: Run) -> dict[str, str]:
    return {line.metric: line.verdict for line in comparable.band_lines(run) if line.model == "gan"}


def test_mlperfs_bands_judge_what_its_file_was_used_for(run: Run) -> None:
    clip = measured("clip_score", 31.7)
    published = with_rows(run, "sdxl-mlperf", measured("fid", 23.5, **REFERENCE), clip)
    assert verdicts(published) == {"FID": "inside", "CLIP score": "inside"}
    own = with_rows(run, "sdxl-mlperf", measured("fid", 23.5, 40_504, **REFERENCE), clip)
    assert verdicts(own) == {"FID": UNJUDGED, "CLIP score": "inside"}
    assert comparable.sentence(published).startswith("Comparable with FID and CLIP score of SDXL base")
    assert "is not comparable with FID and CLIP score of SDXL base" in comparable.sentence(own)


def test_adms_numbers_stand_beside_what_adms_file_was_used_for(run: Run) -> None:
    recall = measured("recall", 0.6, 10_000, **REFERENCE)
    published = with_rows(run, "imagenet256", measured("fid", 2.3, **REFERENCE), recall)
    assert comparable.sentence(published).startswith("Comparable with FID, IS, precision and recall at 256x256")
    own = with_rows(run, "imagenet256", measured("fid", 2.3, 50_000, **REFERENCE), recall)
    assert comparable.sentence(own) == (
        "What is measured against real images is not comparable with FID, IS, precision and recall at 256x256 by ADM's "
        "evaluator: the reference is not the published file."
    )


def test_without_a_published_file_or_without_numbers_nothing_is_taken_back(run: Run) -> None:
    coco = with_rows(run, "coco30k", measured("fid", 12.0, 40_504, **REFERENCE))
    timed = with_rows(run, "imagenet256", measured("images_per_second", 10.0))
    assert all(comparable.sentence(each).startswith("Comparable with ") for each in (coco, timed))
