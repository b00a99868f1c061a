from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.report.measures import Measure, measures
from trilemma.report.orders import flips, ladder, non_dominated, order
from trilemma.report.record import load
from trilemma.report.scales import SCORE, backward, forward, scale_of
from trilemma.report.tradeoffs import payload, ranked, told
from trilemma.store.metric_rows import MetricRow


def measure(values: dict[str, float], *, se: float = 0.1, lower: bool = False) -> Measure:
    rows = {name: MetricRow(run_id="r", model=name, metric="q", value=value, se=se) for name, value in values.items()}
    return Measure(axis="quality", metric="fd_scenes", label="Q", group="", lower=lower, scale=SCORE, rows=rows)


def test_order_puts_the_best_first_whichever_way_is_better() -> None:
    values = {"a": 1.0, "b": 3.0, "c": 2.0}
    assert order(measure(values), ["a", "b", "c", "absent"]) == ["b", "c", "a"]
    assert order(measure(values, lower=True), ["a", "b", "c"]) == ["a", "c", "b"]


def test_ladder_shows_who_cannot_be_told_apart() -> None:
    assert ladder(measure({"a": 1.0, "b": 3.0, "c": 2.9}), ["a", "b", "c"]) == "b ≈ c > a"


def test_a_flip_needs_both_differences_beyond_their_errors() -> None:
    models = ["a", "b", "c"]
    reference = measure({"a": 3.0, "b": 2.0, "c": 1.95})
    assert flips(reference, measure({"a": 1.0, "b": 2.0, "c": 3.0}), models) == [("c", "a"), ("b", "a")]
    assert flips(reference, measure({"a": 1.0, "b": 1.1, "c": 1.05}), models) == []
    assert flips(reference, reference, models) == []


def test_non_dominated_are_those_whom_nobody_beats_in_both() -> None:
    first = measure({"fast": 1.0, "good": 3.0, "worse": 0.5, "same": 3.0})
    second = measure({"fast": 3.0, "good": 1.0, "worse": 2.9, "same": 1.0})
    assert non_dominated(first, second, ["good", "fast", "worse", "same"]) == ["fast", "good", "same"]
    slow = measure({"fast": 9.0, "good": 1.0}, lower=True)
    assert non_dominated(measure({"fast": 1.0, "good": 3.0}), slow, ["fast", "good"]) == ["good"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(*[st.integers(0, 4)] * 2), min_size=1))
def test_every_model_is_beaten_by_one_that_is_not(points: dict[str, tuple[int, int]]) -> None:
    first = measure({name: float(x) for name, (x, _) in points.items()})
    second = measure({name: float(y) for name, (_, y) in points.items()})
    kept = non_dominated(first, second, list(points))
    assert kept
    for x, y in points.values():
        assert any(points[name][0] >= x and points[name][1] >= y for name in kept)
    assert [points[name][1] for name in kept] == sorted((points[name][1] for name in kept), reverse=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1.0, 2.0, 37.0, 693.0], "log"), ([0.9, 0.8, 0.003], "linear"), ([-0.01, 0.8, 22.0, 520.0], "symlog"),
     ([5.0], "linear"), ([0.0, 0.0], "linear")],
)  # fmt: skip
def test_scale_is_logarithmic_where_a_few_values_are_far_larger(values: list[float], kind: str) -> None:
    scale = scale_of(values, [value - 0.5 for value in values])
    assert scale.type == kind
    low, high = scale.domain
    assert low < min(values) <= max(values) < high
    assert kind != "log" or low > 0


@given(st.sampled_from(["linear", "log", "symlog"]), st.floats(0.01, 1e4), st.floats(0.01, 100))
def test_backward_undoes_forward(kind: Any, value: float, constant: float) -> None:
    assert backward(kind, constant, forward(kind, constant, value)) == pytest.approx(value)


def add_rows(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "metrics.jsonl"
    base = json.loads(path.read_text().splitlines()[0])
    path.write_text(path.read_text() + "".join(json.dumps(base | row) + "\n" for row in rows))
    return folder


def test_measures_start_with_the_score_and_leave_out_what_has_no_number(run_folder: Path) -> None:
    found = measures(load(run_folder))
    labels = {axis: [measure.label for measure in found[axis]] for axis in found}
    assert labels["quality"] == ["Quality score", "FD-Scenes", "Kernel distance", "Prompt accuracy"]
    assert labels["diversity"][0] == "Diversity score"
    assert labels["speed"][:2] == ["Speed score", "Speed score at batch 1"]
    assert "Peak memory" not in labels["speed"]
    assert found["quality"][1].lower
    assert found["quality"][1].group == "scenes-features"


def test_one_metric_in_two_extractors_is_two_measures(make_run: Callable[..., Path]) -> None:
    row = {"metric": "precision", "set": "prompted", "value": 0.5, "se": 0.01, "ci": None, "params": {"k": 5}}
    rows = [
        {"model": model, "extractor": reader, **row}
        for model in ("gan", "var")
        for reader in ("dinov2:1", "inception:2")
    ]
    found = measures(load(add_rows(make_run(), *rows)))["quality"]
    assert [one.label for one in found if "Precision" in one.label] == [
        "Precision (dinov2:1, k 5)",
        "Precision (inception:2, k 5)",
    ]


def test_one_metric_of_two_sets_names_the_set(make_run: Callable[..., Path]) -> None:
    row = {"model": "gan", "metric": "precision", "value": 0.5, "params": {}}
    folder = add_rows(make_run(), row | {"set": "prompted"}, row | {"set": "within_prompt"})
    labels = [one.label for one in measures(load(folder))["quality"]]
    assert "Precision (prompted)" in labels
    assert "Precision (within prompt)" in labels


def test_controls_and_withheld_models_are_in_no_order(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    path = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["model"] == "gan" and row["metric"].startswith("score"):
            row |= {"value": None, "status": "withheld", "reason": "it copies", "se": None, "ci": None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = load(folder)
    assert ranked(run) == ["var", "ldm", "vqar", "broken"]
    data = payload(run, measures(run))
    by_name = {model["name"]: model for model in data["models"]}
    assert by_name["gan"]["reference"]
    assert by_name["real"]["reference"]
    quality = data["measures"]["quality"]
    assert [one["places"][run.models.index("gan")] for one in quality] == [None] * len(quality)


def test_told_names_a_few_of_those_who_changed_places() -> None:
    names = [f"m{number}" for number in range(6)]
    reference = measure({name: float(number) for number, name in enumerate(names)})
    text = told(measure({name: -float(number) for number, name in enumerate(names)}), reference, names)
    assert text.startswith("m0 > m1 > m2 > m3 > m4 > m5; against the q, m0 passes m1, m2, m3, m4 and m5, ")
    assert text.endswith("m2 passes m3, m4 and m5 and 2 more pass others")


def test_payload_draws_bounds_inside_their_scale(make_run: Callable[..., Path]) -> None:
    values = {"gan": 500.0, "var": 1.0, "ldm": 2.0, "real": 0.5}
    rows = [{"model": name, "metric": "precision", "set": "prompted", "value": value, "ci": [-3.0, value + 1]}
            for name, value in values.items()]  # fmt: skip
    run = load(add_rows(make_run(), *rows))
    one = next(one for one in payload(run, measures(run))["measures"]["quality"] if one["label"] == "Precision")
    assert one["scale"]["type"] == "log"
    drawn = [cell for cell in one["cells"] if cell]
    assert all(0 < one["scale"]["domain"][0] <= cell["low"] <= cell["value"] <= cell["high"] for cell in drawn)
    assert "−3" in drawn[0]["interval"]
