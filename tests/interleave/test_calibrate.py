"""What identical versions differ by: measuring it, writing it, and reading it strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.card import Card
from trilemma.cli import main
from trilemma.errors import UserError
from trilemma.identity import file_digest, hardware_key
from trilemma.protocol import Protocol
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.run import Run
from trilemma.strict_toml import dump
from trilemma.tracking import calibrate as module
from trilemma.tracking.calibrate import CalibrationFailed, Plan, calibrate
from trilemma.tracking.calibration import Calibration, find_calibration, read_calibration, write_calibration
from trilemma.tracking.processes import ProcessTiming
from trilemma.tracking.repeated_runs import sigma_of

HARDWARE = hardware_key(device="cpu", name="c", count=1, memory_gib=1, torch="2.9").as_dict()
OTHER = hardware_key(device="cpu", name="c", count=2, memory_gib=1, torch="2.9").as_dict()
FIELDS = {"batch_size": 1, "batch_sizes": [1], "compile": False, "attention": "default", "threads": 1}
CardOf = Callable[[str], Card]


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the next processes give, in order."""
    outcomes: list[dict[str, Any]] = []
    common: dict[str, Any] = {"side": "B", "number": 0, "started": "now", "hardware": HARDWARE}

    def next_process(case: Any, side: Any, number: int, **_: Any) -> ProcessTiming:
        execution = {"fields": FIELDS | {"batch_size": case.batch_size, "batch_sizes": [case.batch_size]}}
        return ProcessTiming(**common | {"execution": execution} | outcomes.pop(0))

    monkeypatch.setattr(module, "time_process", next_process)
    return outcomes


@pytest.fixture
def plan(card_of: CardOf, protocol: Protocol, tmp_path: Path) -> Plan:
    return Plan(protocol=protocol, cards=(card_of("renderer"),), results=tmp_path / "results", sessions=3)


def quietly(plan: Plan) -> tuple[Path, Calibration]:
    return calibrate(plan, lambda *_: None)


def times(*pairs: tuple[float, float]) -> Iterator[dict[str, Any]]:
    """Sessions of (single stream, offline)."""
    yield from ({"seconds": value} for pair in pairs for value in pair)


def make_run(runs: Path, name: str, protocol: Protocol, values: dict[str, float | None], **record: Any) -> Run:
    spec = {"protocol": dump(protocol), "seed": 0, "samples": None, "models": [], "device": "cpu"}
    key = {"renderer": {"case": {"digest": "c"}, "hardware": HARDWARE}}
    fields: dict[str, Any] = {"status": "complete", "spec": spec, "keys": key} | record
    Record(run_id=name, identity="i", created="now", **fields).write(runs / name / "run.json")
    rows = [
        MetricRow(run_id=name, model="renderer", metric=metric, value=value, unit="s" if "latency" in metric else "")
        if value is not None
        else MetricRow(run_id=name, model="renderer", metric=metric, status="skipped", reason="too few")
        for metric, value in values.items()
    ]
    write_metrics(runs / name / "metrics.jsonl", rows)
    return Run(runs / name)


def test_sigma_is_that_of_a_difference() -> None:
    assert sigma_of([0.1, 0.1, 0.1]) == 0.0
    assert sigma_of([1.0, 3.0]) == 2.0
    values = np.random.default_rng(0).normal(size=400)
    assert sigma_of(list(values)) == pytest.approx(math.sqrt(2) * values.std(ddof=1))


def test_sessions_of_one_series_lie_apart(plan: Plan, seconds: list[dict[str, Any]]) -> None:
    seconds += times((1.0, 2.0), (math.e, 2.0), (1.0, 2.0))
    seconds[3]["load_of_others"] = 0.7
    path, found = quietly(plan)
    latency, throughput = found.series
    assert (latency.metric, throughput.metric) == ("latency_batch1", "images_per_second")
    assert latency.sigma == pytest.approx(math.sqrt(2 / 3)) and throughput.sigma == 0.0
    assert (latency.pairs, latency.unit, throughput.batch_size) == (3, "log", 4)
    assert path == plan.results / "calibration" / f"small-{HARDWARE['digest'][:16]}.json"
    assert found.hardware.fields == HARDWARE["fields"]
    assert found.execution == {"compile": False, "attention": "default", "threads": 1}
    assert found.load_of_others == 0.7
    assert not path.exists()


def test_quality_is_calibrated_with_repeated_runs(
    plan: Plan, seconds: list[dict[str, Any]], protocol: Protocol, tmp_path: Path
) -> None:
    same = {"recall": 0.5, "latency_batch1": 1.0, "parameters": 3.0}
    first = make_run(tmp_path, "one", protocol, same | {"kid": 0.1, "fid": None})
    second = make_run(tmp_path, "two", protocol, same | {"kid": 0.4, "fid": 3.0})
    seconds += times((1.0, 2.0), (1.0, 2.0), (1.0, 2.0))
    _, found = quietly(replace(plan, runs=(first, second)))
    quality = {one.metric: one for one in found.series if one.method == "complete runs"}
    assert quality.keys() == {"recall", "kid", "fid"}
    assert quality["recall"].sigma == 0.0 and quality["kid"].sigma == pytest.approx(0.3)
    assert quality["fid"].sigma is None and quality["fid"].reason == "not every run has a value"
    assert [(run.run_id, run.sha256) for run in found.runs] == [
        (run.record.run_id, file_digest(run.folder.record)) for run in (first, second)
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "failed"}, "two: this run is not complete: it is failed"),
        ({"keys": {}}, 'two: this run has no model "renderer"'),
        ({"tool": {"git": "b"}}, "two: only repetitions can be calibrated with; one has another commit"),
        ({"instruments": {"features": "g"}}, "one has another instruments"),
        ({"keys": {"renderer": {"case": {"digest": "d"}, "hardware": HARDWARE}}}, "one has another model"),
        ({"keys": {"renderer": {"case": {"digest": "c"}, "hardware": OTHER}}}, "another class of machine"),
    ],
)
def test_runs_that_are_no_repetitions_are_refused(
    changes: dict[str, Any], message: str, plan: Plan, protocol: Protocol, tmp_path: Path
) -> None:
    runs = make_run(tmp_path, "one", protocol, {}), make_run(tmp_path, "two", protocol, {}, **changes)
    with pytest.raises(UserError, match=message):
        quietly(replace(plan, runs=runs))


def test_runs_of_another_machine_are_refused(
    plan: Plan, seconds: list[dict[str, Any]], protocol: Protocol, tmp_path: Path
) -> None:
    keys = {"renderer": {"case": {"digest": "c"}, "hardware": OTHER}}
    runs = tuple(make_run(tmp_path, name, protocol, {}, keys=keys) for name in ("one", "two"))
    seconds += times((1.0, 1.0))
    with pytest.raises(UserError, match="one: this run is of another class of machine than this one"):
        quietly(replace(plan, runs=runs))


def test_runs_of_another_protocol_or_seed_are_refused(plan: Plan, protocol: Protocol, tmp_path: Path) -> None:
    one, two = (make_run(tmp_path, name, replace(protocol, version=2), {}) for name in ("one", "two"))
    with pytest.raises(UserError, match='one: this run is not of the protocol "small"'):
        quietly(replace(plan, runs=(one, two)))
    good, other = make_run(tmp_path, "good", protocol, {}), make_run(tmp_path, "other", protocol, {})
    other.record.spec["seed"] = 1
    with pytest.raises(UserError, match="other: only repetitions .* good has another seed"):
        quietly(replace(plan, runs=(good, other)))
    with pytest.raises(UserError, match="--runs: names a run twice"):
        quietly(replace(plan, runs=(good, good)))
    with pytest.raises(UserError, match="--runs: one run has nothing to differ from"):
        quietly(replace(plan, runs=(good,)))


@pytest.mark.parametrize(
    ("changes", "message"), [({"sessions": 1}, "--sessions: must be at least 2"), ({"cards": ()}, "no model is named")]
)
def test_a_plan_that_makes_no_sense(changes: dict[str, Any], message: str, plan: Plan) -> None:
    with pytest.raises(UserError, match=message):
        quietly(replace(plan, **changes))


def test_machines_are_not_mixed(plan: Plan, seconds: list[dict[str, Any]]) -> None:
    seconds += [*times((1.0, 1.0)), {"seconds": 1.0, "hardware": OTHER}]
    with pytest.raises(UserError, match="times of different machines cannot be mixed"):
        quietly(plan)


def test_a_process_that_fails_ends_it(plan: Plan, seconds: list[dict[str, Any]]) -> None:
    seconds += [*times((1.0, 1.0)), {"status": "busy", "reason": "busy machine", "seconds": 1.0}]
    with pytest.raises(CalibrationFailed, match="renderer single-stream: busy machine"):
        quietly(plan)


def test_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["calibrate", "small", "--models", "renderer", "--sessions", "2", "--root", str(root), "--allow-busy"]
    assert main([*command, "--quiet", "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    path = Path(told["path"])
    assert ("warning: busy machine" in printed.err) == (told["load_of_others"] > 0.2)
    assert "latency_batch1" in printed.err and str(path) in printed.err.replace("\n", "")
    found = find_calibration(root / "results", "small", told["hardware"]["digest"])
    assert found == read_calibration(path)
    assert found is not None and found.sessions == 2
    assert (found.sigma("renderer", "latency_batch1") or 0) < 0.01  # its clock counts work
    assert found.sigma("renderer", "kid") is None and found.sigma("gan", "latency_batch1") is None
    assert found.differing(FIELDS | {"batch_size": 64}) == []
    assert found.differing(FIELDS | {"threads": 8, "flash": True}) == ["threads", "flash"]

    assert main([*command, "--quiet"]) == 2
    assert f"error: {path}: there is a calibration already. Add --replace to replace it." in capsys.readouterr().err
    failing = [part.replace("renderer", "crashing") for part in command]
    assert main([*failing, "--quiet", "--replace"]) == 1
    assert "error: crashing single-stream: RuntimeError: the renderer fell over" in capsys.readouterr().err
    assert read_calibration(path) == found


@pytest.fixture
def written(plan: Plan, seconds: list[dict[str, Any]]) -> Path:
    seconds += times((1.0, 2.0), (1.1, 2.0), (1.0, 2.0))
    path, found = quietly(plan)
    write_calibration(path, found)
    assert read_calibration(path) == found
    return path


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    stored = json.loads(path.read_text())
    edit(stored)
    path.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda stored: stored.update(schema="trilemma.calibration/2"),
            'cannot read the schema "trilemma.calibration/2"',
        ),
        (lambda stored: stored.pop("schema"), 'the key "schema" is missing'),
        (lambda stored: stored.update(margin=1), 'unknown key "margin"'),
        (lambda stored: stored["series"][0].update(sd=1), 'unknown key "sd"'),
        (lambda stored: stored["series"][0].update(sigma=math.nan), "damaged: NaN is no number"),
        (lambda stored: stored["series"][0].update(sigma=math.inf), "damaged: Infinity is no number"),
        (lambda stored: stored["series"][0].update(sigma=-0.1), "must be a number from 0 up"),
        (lambda stored: stored["series"][0].update(sigma="0.1"), "must be a number, got '0.1'"),
        (lambda stored: stored["series"][0].update(sigma=None), 'needs either "sigma" or a "reason"'),
        (lambda stored: stored["series"].append(stored["series"][0]), "a series stands twice"),
        (lambda stored: stored["hardware"].pop("digest"), 'the key "digest" is missing'),
        (lambda stored: stored.update(series=3), "must be a list"),
    ],
)
def test_a_bad_calibration_is_loud(edit: Callable[[Any], Any], message: str, written: Path) -> None:
    change(written, edit)
    with pytest.raises(UserError, match=message):
        read_calibration(written)


def test_a_calibration_cut_anywhere_is_loud(written: Path) -> None:
    whole = written.read_bytes()
    for end in range(0, len(whole.rstrip()), 3):
        written.write_bytes(whole[:end])
        with pytest.raises(UserError, match="this calibration is damaged"):
            read_calibration(written)
    written.write_text("[]")
    with pytest.raises(UserError, match="it is no table"):
        read_calibration(written)


def test_a_calibration_is_found_by_protocol_and_machine(written: Path, plan: Plan) -> None:
    digest = HARDWARE["digest"]
    assert find_calibration(plan.results, "small", digest) == read_calibration(written)
    assert find_calibration(plan.results, "small", OTHER["digest"]) is None
    assert find_calibration(plan.results, "other", digest) is None
    written.rename(written.with_name(f"other-{digest[:16]}.json"))
    with pytest.raises(UserError, match="of another protocol or class of machine"):
        find_calibration(plan.results, "other", digest)
    with pytest.raises(UserError, match="there is no such calibration"):
        read_calibration(written)
