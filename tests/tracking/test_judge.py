"""Every verdict, from runs on disk: what is told before any statistics, and what statistics decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trilemma.protocol import Allowance, Gate
from trilemma.report.verdicts import as_rows
from trilemma.statistics.replicates import Replicates
from trilemma.store.replicates import write_replicates
from trilemma.store.run import Run
from trilemma.tracking.calibration import CalibratedProtocol, Calibration, HardwareClass, Noise
from trilemma.tracking.judge import Rules, judge
from trilemma.tracking.judged import MESSAGES, Judged

METRICS = (
    "fd_scenes",
    "recall",
    "clip_score",
    "latency_batch1",
    "images_per_second",
    "parameters",
    "evaluations_per_image",
)
RULES = Rules(gate=Gate(metrics=METRICS))
OTHER = "20260201-000000-bbbbbbbb"


def verdicts(baseline: list[Run], candidate: list[Run], rules: Rules = RULES) -> dict[str, Judged]:
    return {one.metric: one for one in judge(baseline, candidate, rules)}


def said(one: Judged) -> tuple[str, str]:
    return one.verdict, one.decision.reason


def test_the_same_images_need_no_statistics(maker: Any) -> None:
    found = verdicts([maker.run()], [maker.run(run_id=OTHER, latency=0.051)])
    for metric in ("fd_scenes", "recall", "clip_score"):
        assert said(found[metric]) == ("EXACT_SAME", "identical_images")
    assert said(found["parameters"]) == ("EXACT_SAME", "counter_equal")
    assert said(found["latency_batch1"]) == ("INCONCLUSIVE", "too_few_sessions")
    assert found["latency_batch1"].difference == pytest.approx(np.log(51 / 50))


def test_equal_images_with_another_value_accuse_what_measures_them(maker: Any) -> None:
    candidate = maker.run(run_id=OTHER, distance=10.5)
    found = verdicts([maker.run()], [candidate])
    assert said(found["fd_scenes"]) == ("INVALID", "same_images_other_value")
    assert found["recall"].verdict == "EXACT_SAME"


def test_other_images_of_the_same_quality_are_the_same(maker: Any) -> None:
    found = verdicts([maker.run()], [maker.run(run_id=OTHER, version="2", jitter=0.01)])
    for metric in ("fd_scenes", "recall", "clip_score"):
        assert said(found[metric]) == ("SAME", "equivalent"), found[metric]
        assert found[metric].pairing == "paired"


@pytest.mark.parametrize(
    ("metric", "worse", "better"),
    [
        ("fd_scenes", {"distance": 10.6}, {"distance": 9.4}),
        ("recall", {"recall": 0.76}, {"recall": 0.84}),
        ("clip_score", {"clip": 29.5}, {"clip": 30.5}),
    ],
)
def test_quality_that_falls_is_a_regression_and_one_that_rises_an_improvement(
    maker: Any, metric: str, worse: dict[str, float], better: dict[str, float]
) -> None:
    baseline = maker.run()
    fallen = verdicts([baseline], [maker.run(run_id=OTHER, version="2", **worse)])
    assert said(fallen[metric]) == ("REGRESSED", "bound_above_zero_and_margin")
    assert {one.verdict for name, one in fallen.items() if name in ("fd_scenes", "recall", "clip_score")} == {
        "REGRESSED",
        "SAME",
    }
    risen = verdicts([baseline], [maker.run(run_id="20260202-000000-cccccccc", version="3", **better)])
    assert said(risen[metric]) == ("IMPROVED", "bound_below_zero_and_margin")


def test_without_pairs_the_same_change_cannot_be_seen(maker: Any) -> None:
    candidate = maker.run(run_id=OTHER, version="2", distance=10.6)
    candidate.folder.replicates("gan").unlink()
    one = verdicts([maker.run()], [candidate])["fd_scenes"]
    assert one.pairing == "unpaired" and one.verdict == "INCONCLUSIVE"
    assert "unpaired: the record of b keeps nothing to pair this number by" in one.message
    assert one.decision.detectable is not None and one.decision.detectable > 0.6


@pytest.mark.parametrize(("latency", "verdict"), [(0.055, "REGRESSED"), (0.0501, "SAME"), (0.045, "IMPROVED")])
def test_times_are_judged_by_sessions(maker: Any, latency: float, verdict: str) -> None:
    found = verdicts(maker.sessions(5), maker.sessions(3, first=2, latency=latency))
    assert found["latency_batch1"].verdict == verdict
    assert found["latency_batch1"].pairing == "sessions" and found["latency_batch1"].log
    assert found["latency_batch1"].message == MESSAGES[found["latency_batch1"].decision.reason]
    assert found["images_per_second"].verdict != "REGRESSED"


def test_a_faster_rate_is_better(maker: Any) -> None:
    found = verdicts(maker.sessions(5), maker.sessions(3, first=2, rate=80.0))
    assert found["images_per_second"].verdict == "REGRESSED"
    assert (found["images_per_second"].worse or 0) > 0 > (found["images_per_second"].difference or 0)


def test_another_machine_keeps_quality_comparable(maker: Any) -> None:
    other = {"device": "cuda", "name": "a GPU", "count": 1, "memory_gib": 80, "torch": "2.14"}
    found = verdicts(maker.sessions(5), maker.sessions(3, first=2, version="2", hardware=other))
    assert said(found["latency_batch1"]) == ("INCOMPARABLE", "identity_differs")
    assert "hardware.name: a CPU against a GPU" in found["latency_batch1"].message
    assert found["fd_scenes"].verdict == "SAME"


def test_other_samples_are_not_compared(maker: Any) -> None:
    found = verdicts([maker.run()], [maker.run(run_id=OTHER, seed=1)])
    assert said(found["recall"]) == ("INCOMPARABLE", "identity_differs")
    assert "seed: 0 against 1" in found["recall"].message


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"value": None, "status": "nan", "reason": "the result is nan"}, "INVALID", "status_nan"),
        ({"value": None, "status": "failed", "reason": "out of memory"}, "MISSING", "status_failed"),
        ({"value": None, "status": "withheld", "reason": "it copies"}, "INVALID", "status_withheld"),
        ({"extractor": "features:other"}, "INCOMPARABLE", "identity_differs"),
        ({"metric_version": 2}, "INCOMPARABLE", "identity_differs"),
    ],
)
def test_bad_numbers_have_their_verdicts(maker: Any, changes: dict[str, Any], verdict: str, reason: str) -> None:
    candidate = maker.edit(maker.run(run_id=OTHER, version="2"), "fd_scenes", **changes)
    found = verdicts([maker.run()], [candidate])
    assert said(found["fd_scenes"]) == (verdict, reason)
    assert found["fd_scenes"].message
    assert found["recall"].verdict == "SAME"


def test_a_time_of_zero_is_invalid(maker: Any) -> None:
    candidates = maker.sessions(2, first=2)
    maker.edit(candidates[1], "latency_batch1", value=0.0)
    found = verdicts(maker.sessions(5), [Run(run.folder.path) for run in candidates])
    assert said(found["latency_batch1"]) == ("INVALID", "zero_where_positive")


def test_what_only_one_side_has(maker: Any) -> None:
    baseline, candidate = maker.run(), maker.edit(maker.run(run_id=OTHER), "recall", metric="density")
    found = verdicts([baseline], [candidate])
    assert said(found["recall"]) == ("MISSING", "no_candidate_value")
    assert said(found["density"]) == ("NEW", "no_baseline_value")


def test_a_series_that_stands_twice_is_invalid(maker: Any) -> None:
    candidate = maker.edit(maker.run(run_id=OTHER), "recall", metric="fd_scenes")
    assert said(verdicts([maker.run()], [candidate])["fd_scenes"]) == ("INVALID", "duplicate_rows")


def tampered(run: Run, change: Any) -> Run:
    path = run.folder.samples("gan")
    change(pd.read_parquet(path)).to_parquet(path)
    return run


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: pd.concat([rows.iloc[:-1], rows.iloc[:1]]), "duplicate_keys"),
        (lambda rows: rows.iloc[:-3], "incomplete_samples"),
        (lambda rows: rows.assign(status=["error", *rows["status"][1:]]), "incomplete_samples"),
    ],
)
def test_samples_that_are_not_whole_are_invalid(maker: Any, change: Any, reason: str) -> None:
    candidate = tampered(maker.run(run_id=OTHER, version="2"), change)
    found = verdicts([maker.run()], [candidate])
    assert said(found["fd_scenes"]) == ("INVALID", reason)
    assert found["parameters"].verdict == "EXACT_SAME"  # a count does not depend on them


@pytest.mark.parametrize(("count", "verdict"), [(2e6 + 1, "REGRESSED"), (2e6 - 1, "REGRESSED"), (2e6, "EXACT_SAME")])
def test_any_change_of_the_parameters_must_be_accepted_by_someone(maker: Any, count: float, verdict: str) -> None:
    assert verdicts([maker.run()], [maker.run(run_id=OTHER, parameters=count)])["parameters"].verdict == verdict


def test_a_control_is_not_held_to_its_speed_nor_to_what_it_never_had(maker: Any) -> None:
    baseline, candidate = maker.run(), maker.run(run_id=OTHER)
    for run in (baseline, candidate):
        maker.edit(run, "parameters", value=None, status="skipped", reason="it is drawn, not computed")
    candidate = Run(candidate.folder.path)
    candidate.record.cards["gan"]["control"] = True
    found = verdicts([Run(baseline.folder.path)], [candidate])
    assert not found["latency_batch1"].gated and found["fd_scenes"].gated
    assert not found["parameters"].gated and found["parameters"].verdict == "MISSING"


def calibrated(run: Run, noise: Noise) -> Calibration:
    return Calibration(
        schema="trilemma.calibration/1",
        created="",
        tool={},
        protocol=CalibratedProtocol(name="scenes", version=1),
        hardware=HardwareClass(digest=run.record.keys["gan"]["hardware"]["digest"], fields={}),
        execution={"threads": 2},
        sessions=5,
        load_of_others=0.0,
        series=(noise,),
    )


def test_a_protocol_may_set_margins_and_a_calibration_widens_them(maker: Any) -> None:
    baseline, candidate = maker.run(), maker.run(run_id=OTHER, version="2", distance=10.6)
    wide = Rules(gate=Gate(metrics=METRICS, margins={"fd_scenes": Allowance(absolute=1.0)}))
    one = verdicts([baseline], [candidate], wide)["fd_scenes"]
    assert (one.verdict, one.margin, one.margin_from) == ("SAME", 1.0, "protocol")
    noise = Noise(model="gan", metric="fd_scenes", sigma=0.3, pairs=10, unit="", method="complete runs")
    calibration = calibrated(baseline, noise)
    one = verdicts([baseline], [candidate], Rules(gate=RULES.gate, calibration=calibration))["fd_scenes"]
    assert one.margin == pytest.approx(0.9) and one.margin_from == "calibrated" and one.verdict == "SAME"
    elsewhere = maker.run(run_id="20260203-000000-dddddddd", version="4", distance=10.6, hardware={"device": "cuda"})
    one = verdicts([baseline], [elsewhere], Rules(gate=RULES.gate, calibration=calibration))["fd_scenes"]
    assert one.margin == pytest.approx(0.1) and one.verdict == "REGRESSED"  # that machine was not calibrated


def test_exact_images_are_demanded_where_the_arithmetic_is_the_same(maker: Any) -> None:
    rules = Rules(gate=Gate(exact_images=True))
    baseline = maker.run()
    assert said(verdicts([baseline], [maker.run(run_id=OTHER)], rules)["images"]) == ("EXACT_SAME", "identical_images")
    one = verdicts([baseline], [maker.run(run_id=OTHER, version="2")], rules)["images"]
    assert said(one) == ("REGRESSED", "images_differ") and "400 of 400 images differ" in one.message
    elsewhere = maker.run(run_id=OTHER, version="2", hardware={"device": "cpu", "name": "another CPU"})
    one = verdicts([baseline], [elsewhere], rules)["images"]
    assert said(one) == ("INCOMPARABLE", "arithmetic_differs") and one.gated


def test_a_record_without_sample_rows_is_compared_by_its_numbers(maker: Any) -> None:
    baseline, candidate = maker.run(), maker.run(run_id=OTHER, version="2", distance=30.0)
    Path(baseline.folder.samples("gan")).unlink()
    one = verdicts([baseline], [candidate])["fd_scenes"]
    assert one.pairing == "unpaired" and one.verdict == "REGRESSED"


def test_a_session_without_a_time_is_missing_and_one_that_has_it_twice_invalid(maker: Any) -> None:
    candidates = maker.sessions(3, first=2)
    absent = maker.edit(candidates[1], "latency_batch1", value=None, status="failed", reason="it died")
    one = verdicts(maker.sessions(5), [candidates[0], absent, candidates[2]])["latency_batch1"]
    assert said(one) == ("MISSING", "status_failed") and one.message == "it died"
    twice = maker.edit(candidates[2], "recall", metric="latency_batch1", value=0.05)
    one = verdicts(maker.sessions(5), [candidates[0], twice])["latency_batch1"]
    assert said(one) == ("INVALID", "duplicate_rows")
    baselines = maker.sessions(5)
    baselines[4] = maker.edit(baselines[4], "latency_batch1", value=None, status="failed", reason="it died")
    one = verdicts(baselines, maker.sessions(2, first=3))["latency_batch1"]
    assert said(one) == ("INCONCLUSIVE", "too_few_sessions")  # it is no fault of the candidate's


def test_what_is_gated_and_nobody_measured_is_missing(maker: Any) -> None:
    rules = Rules(gate=Gate(metrics=("density",)))
    found = judge([maker.run()], [maker.run(run_id=OTHER)], rules, ["gan"])
    one = next(one for one in found if one.metric == "density")
    assert said(one) == ("MISSING", "no_value") and one.gated


def test_an_error_that_is_not_finite_is_invalid_and_can_be_told_as_json(maker: Any) -> None:
    candidate = maker.run(run_id=OTHER, version="2")
    broken = Replicates(kind="influence", values_U=np.full(400, np.nan))
    write_replicates(candidate.folder.replicates("gan"), {"fd_scenes": (broken,)})
    one = verdicts([maker.run()], [candidate])["fd_scenes"]
    assert said(one) == ("INVALID", "not_finite")
    assert "NaN" not in json.dumps(as_rows([one]), allow_nan=False)


def test_images_of_other_samples_are_not_compared(maker: Any) -> None:
    one = verdicts([maker.run()], [maker.run(run_id=OTHER, seed=1)], Rules(gate=Gate(exact_images=True)))["images"]
    assert said(one) == ("INCOMPARABLE", "identity_differs") and "seed: 0 against 1" in one.message


def test_a_protocols_margin_is_called_so_although_noise_was_calibrated(maker: Any) -> None:
    baseline, candidate = maker.run(), maker.run(run_id=OTHER, version="2")
    noise = Noise(model="gan", metric="fd_scenes", sigma=0.01, pairs=10, unit="", method="complete runs")
    gate = Gate(metrics=METRICS, margins={"fd_scenes": Allowance(absolute=1.0)})
    one = verdicts([baseline], [candidate], Rules(gate=gate, calibration=calibrated(baseline, noise)))["fd_scenes"]
    assert (one.margin, one.margin_from) == (1.0, "protocol")
