"""Records of every schema so far, as they were written then, read by today's reader.

``golden/run-N`` is a small run of schema N: the models of tests/runner with instruments without networks, 24 images in
each set. Nothing in these folders is ever written anew: a reader that no longer understands them is wrong.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trilemma.report.markdown import markdown
from trilemma.report.record import load
from trilemma.store.arrays import read_arrays
from trilemma.store.digests import verify
from trilemma.store.record import READERS
from trilemma.store.run import Run
from trilemma.store.tables import SAMPLES, TIMINGS

GOLDEN = Path(__file__).parent / "golden"
FIRST_IMAGE = "4704d5bd1d807abbf4bbd20919ab70508fd61ec27a15fddef9a74fdc59c03d00"


@pytest.fixture
def first() -> Run:
    return Run(GOLDEN / "run-1")


@pytest.fixture
def second() -> Run:
    return Run(GOLDEN / "run-2")


def test_there_is_one_of_every_schema() -> None:
    found = {path.name: Run(path).record.schema for path in GOLDEN.iterdir()}
    assert found == {schema.replace("trilemma.", "").replace("/", "-"): schema for schema in READERS}


def test_schema_1(first: Run) -> None:
    record = first.record
    assert (record.run_id, record.status, record.partial) == ("20261121-170907-16250d62", "failed", True)
    assert record.counts["crashing"] == {"planned": 72, "done": 48, "failed": 24}
    assert record.errors["crashing"]["message"] == "the network fell over"
    assert (record.error, record.files, record.executor, record.parent_run_id) == (None, {}, {}, None)
    row = first.row("tiny", "fd_scenes")
    assert row is not None and row.value == 548.0244577873686 and row.se == 55.320239440597454
    assert (row.n, row.replicates, row.computed_at) == (24, 1, None)
    failed = first.row("crashing", "kid")
    assert failed is not None and failed.value is None and "fell over" in (failed.reason or "")


def test_tables_of_schema_1_have_todays_columns_null_where_they_had_none(first: Run) -> None:
    samples, timings = first.samples("tiny"), first.timings("tiny")
    assert list(samples.columns) == list(SAMPLES) and list(timings.columns) == list(TIMINGS)
    assert len(samples) == 72 and samples["image_sha256"][0] == FIRST_IMAGE
    assert samples["residual"][0] == 3.4674768447875977
    assert samples[["width", "attempt", "node", "gpu_uuid"]].isna().all(axis=None)
    assert timings["scenario"].value_counts().to_dict()["single_stream"] == 2
    assert timings[["session", "replicate", "warmup", "device_ns"]].isna().all(axis=None)
    assert read_arrays(first.folder.influence("tiny"))["fd_scenes"].shape == (24,)


def test_schema_2(second: Run) -> None:
    record = second.record
    assert (record.run_id, record.status) == ("20261121-172458-e3618a11", "complete")
    assert record.executor == {"kind": "local", "nodes": 1, "workers": 1} and record.host["gpus"] == []
    assert record.models["linear"]["flops"] == {
        "per_image": 32.0, "reason": None, "batch_size": 2, "operations": {"aten.mm": 64},
    }  # fmt: skip
    assert record.models["linear"]["environment"]["flags"]["deterministic_algorithms"] is False
    row = second.row("linear", "flops_per_image")
    assert row is not None and row.value == 32.0 and row.tool_version == "0.1.0"
    assert row.computed_at == "2026-11-21T17:25:08.580+00:00"


def test_tables_of_schema_2(second: Run) -> None:
    samples, timings = second.samples("linear"), second.timings("linear")
    assert samples["image_sha256"][0] == FIRST_IMAGE  # the same noise for another model of the same family
    assert set(samples["width"]) == {32} and set(samples["attempt"]) == {1} and set(samples["node"]) == {"7415dac6bcd1"}
    assert set(timings["session"]) == {"20261121-172458-e3618a11/1"} and set(timings["replicate"]) == {0}
    assert (timings["warmup"] == (timings["scenario"] == "warmup")).all()
    assert timings["stage"].tolist()[:2] == ["load", "e2e"]


@pytest.mark.parametrize("name", ["run-1", "run-2"])
def test_every_schema_is_whole_and_can_be_reported(name: str, tmp_path: Path) -> None:
    path = shutil.copytree(GOLDEN / name, tmp_path / name)
    verify(Run(path))
    assert "FD-Scenes" in markdown(load(path))
