"""Two runs compared: what is paired and how well, what keeps it from being so, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trilemma.metrics.catalog import METRICS
from trilemma.protocol import Gate
from trilemma.store.atomic import write_arrays
from trilemma.store.replicates import read_replicates, write_replicates
from trilemma.store.run import Run
from trilemma.tracking.judge import Rules, judge
from trilemma.tracking.judged import Judged

RULES = Rules(gate=Gate())
REFUSED = ("INCOMPARABLE", "MISSING", "NEW", "INVALID")
NOTHING_TO_PAIR = {
    name for name, metric in METRICS.items() if metric.axis in ("speed", "about") or name.startswith("score_speed")
}


def differences(a: Run, b: Run) -> dict[str, Judged]:
    """Of the model "tiny"."""
    return {one.metric: one for one in judge([a], [b], RULES) if one.model == "tiny"}


@pytest.fixture
def copy(second: Run, tmp_path: Path) -> Run:
    """The second run, to be tampered with."""
    return Run(shutil.copytree(second.folder.path, tmp_path / second.folder.path.name))


def test_runs_are_compared_pair_by_pair(finished: Run, second: Run) -> None:
    found = {(one.model, one.metric): one for one in judge([finished], [second], RULES)}
    distance = found["tiny", "fd_scenes"]
    assert distance.verdict not in REFUSED and distance.pairing == "paired"
    a, b = finished.row("tiny", "fd_scenes"), second.row("tiny", "fd_scenes")
    assert a is not None and b is not None and a.value is not None and b.value is not None
    assert distance.difference == pytest.approx(b.value - a.value)
    assert a.se is not None and b.se is not None and distance.se is not None
    assert 0 < distance.se < 0.5 * (a.se**2 + b.se**2) ** 0.5  # the pairs share their noise
    assert found["tiny", "residual"].pairing == "paired"
    assert found["tiny", "kid"].pairing == "paired"
    assert found["loud", "kid"].verdict == "NEW"
    assert found["crashing", "kid"].verdict == "MISSING"


def test_a_run_compared_with_itself_differs_by_nothing(second: Run) -> None:
    found = {one.metric: one.verdict for one in judge([second], [second], RULES) if one.model == "tiny"}
    timed = {name for name in found if name in METRICS and METRICS[name].unit in ("s", "images/s")}
    same = {name for name, verdict in found.items() if verdict == "EXACT_SAME"}
    assert len(same) > 15 and same.isdisjoint(timed)
    assert {found[name] for name in timed} == {"INCONCLUSIVE"}  # one session says nothing of times


@pytest.mark.parametrize(
    ("change", "metric", "field"),
    [
        (lambda record: record.spec.update(seed=5), "fd_scenes", "seed: 0 against 5"),
        (lambda record: record.spec.update(samples=32), "kid", "samples: None against 32"),
        (lambda record: record.spec["protocol"].update(version=2), "modes", "protocol: small/1 against small/2"),
        (
            lambda record: record.keys["tiny"]["hardware"]["fields"].update(name="other"),
            "images_per_second",
            "hardware.name",
        ),
    ],
)
def test_numbers_of_another_identity_are_refused(second: Run, change: Any, metric: str, field: str) -> None:
    other = Run(second.folder.path)
    change(other.record)
    found = {(one.model, one.metric): one for one in judge([second], [other], RULES)}
    refused = found["tiny", metric]
    assert refused.verdict == "INCOMPARABLE" and refused.difference is None
    assert field in refused.message
    # What identity leaves alone is still compared: speed does not depend on the seed, quality not on the machine.
    untouched = {"seed": "load_seconds", "samples": "load_seconds", "hardware.name": "kid"}.get(field.split(":")[0])
    assert untouched is None or found["tiny", untouched].verdict not in REFUSED


def test_another_extractor_is_refused(second: Run) -> None:
    other = Run(second.folder.path)
    other.rows = [replace(row, extractor="features:0") if row.metric == "fd_scenes" else row for row in other.rows]
    found = {(one.model, one.metric): one for one in judge([second], [other], RULES)}
    assert "extractor" in found["tiny", "fd_scenes"].message


def test_every_number_of_images_is_paired(finished: Run, second: Run) -> None:
    found = {name: one for name, one in differences(finished, second).items() if one.pairing is not None}
    assert {name for name, one in found.items() if one.pairing != "paired"} == NOTHING_TO_PAIR & found.keys()
    assert {"precision", "kid", "modes", "within_prompt_spread", "score_quality", "score_diversity"} <= found.keys()
    assert not any("unpaired" in one.message for one in found.values())


def test_the_difference_of_scores_is_that_of_the_unclipped_ones(finished: Run, copy: Run) -> None:
    def clipped(run: Run, unclipped: float) -> list[Any]:
        return [
            replace(row, value=10.0, params={**row.params, "unclipped": unclipped})
            if (row.metric, row.model) == ("score_quality", "tiny")
            else row
            for row in run.rows
        ]

    copy.rows, other = clipped(copy, 11.5), Run(finished.folder.path)
    other.rows = clipped(other, 10.5)
    score = differences(other, copy)["score_quality"]
    assert (score.baseline, score.candidate, score.pairing) == (10.0, 10.0, "paired")
    assert score.difference == pytest.approx(1.0)


def test_scores_of_other_anchors_are_refused(second: Run, copy: Run) -> None:
    def anchored(factor: float) -> Judged:
        copy.rows = [
            replace(row, params={**row.params, "reduced": row.params["reduced"] * factor})
            if row.metric == "score_quality"
            else row
            for row in second.rows
        ]
        return differences(second, copy)["score_quality"]

    assert anchored(1 + 1e-12).verdict not in REFUSED
    assert anchored(1.01).verdict == "INCOMPARABLE" and "reduced" in anchored(1.01).message


def test_an_older_run_is_paired_by_what_it_keeps(finished: Run, copy: Run) -> None:
    path = copy.folder.replicates("tiny")
    (source,) = read_replicates(path)["fd_scenes"]
    path.unlink()
    write_arrays(copy.folder.influence("tiny"), {"fd_scenes": source.values_U})
    found = differences(finished, copy)
    assert {found[name].pairing for name in ("fd_scenes", "residual", "prompt_accuracy")} == {"paired"}
    (other,) = read_replicates(finished.folder.replicates("tiny"))["fd_scenes"]
    uncorrected = np.std(source.values_U - other.values_U, ddof=1) / np.sqrt(len(source.values_U))
    assert found["fd_scenes"].se == pytest.approx(uncorrected)
    assert found["kid"].pairing == "unpaired" and found["kid"].se is not None
    assert found["kid"].message.endswith("unpaired: the record of b keeps nothing to pair this number by")


def without_samples(run: Run) -> None:
    run.folder.samples("tiny").unlink()


def with_other_keys(run: Run) -> None:
    samples = run.samples("tiny")
    samples.loc[3, "key"] = "another"
    samples.to_parquet(run.folder.samples("tiny"))


def with_other_prompts(run: Run) -> None:
    samples = run.samples("tiny")
    samples.loc[3, "prompt"] = "another"
    samples.to_parquet(run.folder.samples("tiny"))


def in_another_order(run: Run) -> None:
    samples = run.samples("tiny")
    pd.concat([samples[1:], samples[:1]]).to_parquet(run.folder.samples("tiny"))


def cut_otherwise(run: Run) -> None:
    path = run.folder.replicates("tiny")
    sources = read_replicates(path)
    write_replicates(path, {name: tuple(replace(one, cut="other") for one in all_) for name, all_ in sources.items()})


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (without_samples, "the record of b keeps no sample rows"),
        (with_other_keys, "the images of the two runs have different keys"),
        (with_other_prompts, "the images of the two runs have different prompts"),
        (in_another_order, "the images of the two runs have different keys"),
        (cut_otherwise, "dealt otherwise"),
    ],
)
def test_what_cannot_be_paired_is_compared_unpaired_and_says_why(
    finished: Run, copy: Run, tamper: Callable[[Run], None], reason: str
) -> None:
    tamper(copy)
    found = differences(finished, copy)
    for name in ("fd_scenes", "kid", "precision", "score_quality"):
        one, a, b = found[name], finished.row("tiny", name), copy.row("tiny", name)
        assert one.verdict not in REFUSED and one.pairing == "unpaired"
        assert reason in one.message
        assert a is not None and b is not None and a.se is not None and b.se is not None
        assert one.se == pytest.approx(np.hypot(a.se, b.se))
