"""The controls put every metric in the order that it claims to see: through the command, as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTROLS = ("real", "reduced", "noisy", "mode-drop", "memorizer")
IMAGES = 768

Numbers = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    """Runs the controls alone and returns the rows of metrics.jsonl by (model, metric)."""
    out = tmp_path_factory.mktemp("runs")
    command = [sys.executable, str(ROOT / "bench.py"), "run", "scenes", "--models", ",".join(CONTROLS), "--quiet"]
    environment = os.environ | {"TRILEMMA_CACHE": str(tmp_path_factory.mktemp("cache"))}
    done = subprocess.run(
        [*command, "--samples", str(IMAGES), "--out", str(out)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (path.parent for path in out.glob("*/run.json"))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {(row["model"], row["metric"]): row for row in rows}


@pytest.fixture(scope="module")
def value(numbers: Numbers) -> Callable[[str, str], float]:
    """Looks up a number and insists that it is one."""

    def look_up(model: str, metric: str) -> float:
        row = numbers[model, metric]
        assert row["status"] == "ok", row
        return float(row["value"])

    return look_up


@pytest.mark.parametrize("metric", ["fd_scenes", "kid", "residual", "off_manifold"])
@pytest.mark.parametrize("damaged", ["reduced", "noisy"])
def test_damage_hurts_quality_where_less_is_better(
    value: Callable[[str, str], float], metric: str, damaged: str
) -> None:
    assert value(damaged, metric) > 1.5 * abs(value("real", metric))


@pytest.mark.parametrize("metric", ["precision", "density", "clip_score", "prompt_accuracy", "inception_score"])
def test_reduction_hurts_quality_where_more_is_better(value: Callable[[str, str], float], metric: str) -> None:
    assert value("reduced", metric) < 0.9 * value("real", metric)


@pytest.mark.parametrize("metric", ["precision", "density"])
def test_grain_leaves_the_manifold(value: Callable[[str, str], float], metric: str) -> None:
    assert value("noisy", metric) < 0.9 * value("real", metric)


def test_quality_scores_are_in_order(value: Callable[[str, str], float]) -> None:
    assert value("real", "score_quality") > 9
    assert value("reduced", "score_quality") < 0.5
    assert value("noisy", "score_quality") < value("real", "score_quality") - 1


@pytest.mark.parametrize(
    "metric", ["coverage_unconditional", "coverage_within_prompts", "within_prompt_spread", "modes"]
)
def test_dropped_modes_hurt_diversity(value: Callable[[str, str], float], metric: str) -> None:
    assert value("mode-drop", metric) < 0.8 * value("real", metric)


def test_dropped_modes_are_seen_as_divergence(value: Callable[[str, str], float]) -> None:
    assert value("mode-drop", "mode_tv") > 0.6
    assert value("mode-drop", "mode_kl") > value("real", "mode_kl") + 0.5


@pytest.mark.parametrize("factor", ["x", "y", "size", "angle", "tint", "phase"])
def test_halved_ranges_hurt_every_free_factor(value: Callable[[str, str], float], factor: str) -> None:
    assert value("mode-drop", f"spread_{factor}") < value("real", f"spread_{factor}") - 0.2


def test_grain_does_not_hurt_the_spread(value: Callable[[str, str], float]) -> None:
    assert value("noisy", "within_prompt_spread") > value("mode-drop", "within_prompt_spread") + 0.2


def test_real_images_have_all_diversity(value: Callable[[str, str], float]) -> None:
    assert value("real", "score_diversity") > 9
    assert value("mode-drop", "score_diversity") < 7


def test_the_memorizer_is_caught(numbers: Numbers, value: Callable[[str, str], float]) -> None:
    assert value("memorizer", "copy_rate") > 0.99
    assert value("real", "copy_rate") < 0.05
    for score in ("score_quality", "score_diversity", "score_speed"):
        row = numbers["memorizer", score]
        assert (row["value"], row["status"]) == (None, "withheld")
        assert "cop" in row["reason"]


def test_only_the_memorizer_is_caught(numbers: Numbers) -> None:
    withheld = {model for (model, _), row in numbers.items() if row["status"] == "withheld"}
    assert withheld == {"memorizer"}


def test_inception_is_missing_with_its_reason(numbers: Numbers) -> None:
    if numbers["real", "fid"]["status"] != "ok":
        assert numbers["real", "fid"]["value"] is None
        assert "Inception" in numbers["real", "fid"]["reason"]
