"""The verb ``sweep`` over a made-up model whose knobs trade sharpness, breadth and speed for one another."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.cli import main
from trilemma.cli import sweep as verb
from trilemma.metrics.covariance_roots import factored
from trilemma.metrics.frechet import frechet_distance
from trilemma.metrics.modes import count_modes, mode_tv
from trilemma.protocols import find_protocol
from trilemma.runner import run as running
from trilemma.runner.anchors import Anchors
from trilemma.runner.evaluate import evaluate, modes_of, split_sets
from trilemma.runner.frontier import frontier
from trilemma.runner.halves import CELLS, cells_of, deal, pieces
from trilemma.store.digests import verify
from trilemma.store.frontier import Frontier, read_frontier, write_frontier
from trilemma.store.metric_rows import MetricRow, read_metrics, write_metrics
from trilemma.store.run import Run
from trilemma.workspace import find_workspace

MODEL = 'name = "scenic"\nfactory = "scenic:load"\n[options]\npause = 0.0002\n'
GRID = ["--knob", "steps=2,4,8", "--knob", "breadth=0.02,1"]
BIGGER = {
    "images = 64\n": "images = 96\n",
    "images = 96\nimages_per_prompt = 12": "images = 480\nimages_per_prompt = 12",
}


@pytest.fixture(scope="module")
def place(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model that has knobs to sweep, and one that declares a sweep of its own."""
    folder = shutil.copytree(root, tmp_path_factory.mktemp("sweeps") / "workspace")
    for name, tables in (("scenic", ""), ("declaring", "[sweep]\nsteps = [4, 8]\n")):
        (folder / "models" / name).mkdir()
        card = MODEL.replace("scenic", name, 1) + tables
        (folder / "models" / name / "card.toml").write_text(card)
    protocol = (folder / "benchmarks" / "small.toml").read_text()
    for before, after in reversed(BIGGER.items()):
        protocol = protocol.replace(before, after)
    (folder / "benchmarks" / "small.toml").write_text(protocol)
    counters = protocol.partition("[extractors]")[0].partition("metrics = ")
    (folder / "benchmarks" / "counting.toml").write_text(
        counters[0].replace('"small"', '"counting"') + "metrics = []\n" + counters[2].partition("]\n")[2]
    )
    return folder


@pytest.fixture(scope="module")
def faked(_fakes_can_be_imported: None, cache: Path) -> Iterator[None]:
    """The command with instruments without networks, and nothing else changed."""
    from drive import FAKES

    real = verb._request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "_request", lambda *a: replace(real(*a), instruments=FAKES))
        patch.setenv("TRILEMMA_CACHE", str(cache))
        yield


def command(place: Path, runs: Path, *more: str) -> list[str]:
    options = ["--protocol", "small", "--root", str(place), "--out", str(runs), "--device", "cpu", "--quiet"]
    return ["sweep", *more, *options]


@pytest.fixture(scope="module")
def swept(place: Path, faked: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    runs = tmp_path_factory.mktemp("runs")
    assert main(command(place, runs, "scenic", *GRID)) == 0
    (path,) = runs.iterdir()
    return Run(path)


@pytest.fixture(scope="module")
def anchors(place: Path, cache: Path, swept: Run) -> Anchors:
    return Anchors(find_protocol("small", find_workspace(place)), cache, swept.record.instruments)


@pytest.fixture(scope="module")
def found(swept: Run) -> Frontier:
    return read_frontier(swept.folder.frontier)


def test_every_setting_is_an_entry_and_the_default_is_among_them(swept: Run, found: Frontier) -> None:
    assert swept.record.status == "complete" and swept.record.spec["samples"] == 1024
    assert swept.record.spec["sweep"] == {"scenic": {"steps": [2, 4, 8], "breadth": [0.02, 1]}}
    (model,) = found.models
    assert [setting.entry for setting in model.settings] == swept.models
    assert len(swept.models) == 6 and "scenic@breadth=0.02+steps=8" in swept.models
    assert [setting.knobs for setting in model.settings if setting.default] == [{"steps": 4, "breadth": 1.0}]
    assert [setting.entry for setting in model.settings if setting.default] == ["scenic"]
    keys = {model: swept.samples(model)["seed"].tolist() for model in swept.models}
    assert all(seeds == keys["scenic"] for seeds in keys.values())
    verify(swept)


def test_the_frontier_is_what_nothing_dominates(found: Frontier) -> None:
    settings = {setting.entry: setting for setting in found.models[0].settings}
    assert {setting.state for setting in settings.values()} == {"frontier", "dominated"}
    for setting in settings.values():
        point = setting.point()
        assert point is not None
        if setting.dominated_by is not None:
            better = settings[setting.dominated_by]
            assert better.state == "frontier" and np.all(np.array(better.point()) >= point)
    # As sharp and as fast, and a fiftieth of the pictures: it cannot be on the frontier.
    assert settings["scenic@breadth=0.02"].dominated_by is not None
    assert settings["scenic@steps=8"].state == "frontier"


def test_the_hypervolume_has_its_interval(found: Frontier) -> None:
    (model,) = found.models
    volume = model.hypervolume
    assert volume.value is not None and volume.se is not None and volume.low is not None and volume.high is not None
    assert 0 < volume.low < volume.value < volume.high < 1000 and volume.se > 0
    assert model.of_default is not None and model.not_parted is not None and model.whole is not None
    assert model.of_default < model.not_parted
    assert found.images_of_half == 48 and found.groups == 20


def test_knobs_trade_as_they_were_made_to(found: Frontier) -> None:
    trades = {(one.knob, one.entries[0], one.number): one for one in found.models[0].trades}
    assert len(trades) == 4 * (2 + 3)
    coverage = trades["breadth", "scenic@breadth=0.02+steps=8", "coverage"]
    assert coverage.entries[-1] == "scenic@steps=8" and len(coverage.steps) == 1
    assert coverage.change.low is not None and coverage.change.low > 0 and coverage.reversed == 0
    precision = trades["steps", "scenic@steps=2", "precision"]
    assert precision.entries == ("scenic@steps=2", "scenic", "scenic@steps=8")
    assert precision.change.value == pytest.approx(sum(step.value or 0.0 for step in precision.steps))


def test_files_and_report(swept: Run, place: Path, found: Frontier, capsys: pytest.CaptureFixture[str]) -> None:
    lines = list(csv.DictReader(swept.folder.frontier_csv.open()))
    assert [line["setting"] for line in lines] == swept.models
    quality = found.models[0].settings[0].numbers["quality"]
    assert float(lines[0]["quality"]) == quality.value and float(lines[0]["quality_se"]) == quality.se
    figures = swept.folder.path / "figures"
    for name in ("frontier.png", "frontier.svg", "trades.png", "trades.svg"):
        (figures / name).unlink()
    (swept.folder.path / "report.html").unlink()
    assert main(["report", str(swept.folder.path), "--root", str(place)]) == 0
    assert (figures / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in figures.glob("*.svg")) == ["frontier.svg", "speed.svg", "trades.svg"]
    page = (swept.folder.path / "report.html").read_text()
    assert 'id="frontiers"' in page and "of the cube" in page and "What each model gives up" not in page
    assert "dominated by" in (swept.folder.path / "report.md").read_text()
    capsys.readouterr()


def test_the_command_prints_what_it_found(
    place: Path, faked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(place, tmp_path, "declaring", "--json", "--samples", "24")) == 0
    printed = capsys.readouterr()
    told: dict[str, Any] = json.loads(printed.out)
    (model,) = told["frontier"]["models"]
    assert [setting["entry"] for setting in model["settings"]] == ["declaring", "declaring@steps=8"]
    assert model["hypervolume"]["value"] is None and model["hypervolume"]["reason"]
    assert "No hypervolume of declaring: " in printed.err and "no point" in printed.err and "steps 8" in printed.err


def test_without_a_model_those_with_a_sweep_are_swept(place: Path, faked: None, tmp_path: Path) -> None:
    request = verb._request([], [], "small", None, 0, "cpu", tmp_path, place)
    assert [card.name for card in request.cards] == ["declaring", "declaring@steps=8"]
    assert request.sweep == {"declaring": {"steps": (4, 8)}}


def test_interrupted_it_goes_on_with_the_same_command(
    place: Path, faked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = command(place, tmp_path, "scenic", "--knob", "steps=2,8", "--samples", "48")
    real, started = running.run_worker, []

    def interrupted(job: Path, *rest: Any) -> Any:
        started.append(job.stem)
        if job.stem == "scenic@steps=2":
            raise KeyboardInterrupt
        return real(job, *rest)

    monkeypatch.setattr(running, "run_worker", interrupted)
    assert main(parts) == 130
    assert "goes on from here" in capsys.readouterr().err
    monkeypatch.setattr(running, "run_worker", lambda job, *rest: started.append(job.stem) or real(job, *rest))
    assert main(parts) == 0
    assert started == ["reference", "scenic", "scenic@steps=2", "reference", "scenic@steps=2", "scenic@steps=8"]
    (path,) = tmp_path.iterdir()
    assert Run(path).record.attempts == 2 and read_frontier(Run(path).folder.frontier).models[0].model == "scenic"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["scenic", "--knob", "step=1,2"], 'error: scenic: unknown knob "step". Did you mean "steps"?'),
        (["scenic", "--knob", "steps=1,9"], 'error: scenic: knob "steps" must lie in [1, 8], got 9.'),
        (["scenic", "--knob", "steps=1.5"], 'error: scenic: knob "steps" must be an integer'),
        (["scenic", "--knob", "steps"], 'error: --knob: "steps" is no knob with values.'),
        (["scenic", "--knob", "steps=1,two"], 'error: --knob steps=1,two: "two" is no number.'),
        (["scenic", "--knob", "steps=1", "--knob", "steps=2"], 'error: --knob: "steps" is given twice.'),
        (["scenic", "--knob", f"steps={'1,' * 65}1"], "error: --knob: these are 66 settings; a sweep has at most 64"),
        (["scenic"], "the card declares no [sweep]. Name some: --knob NAME=1,2,4."),
        (["scenci"], 'error: there is no model "scenci". Did you mean "scenic"?'),
        (
            ["scenic@steps=2", "--knob", "breadth=1"],
            'error: scenic@steps=2: a sweep makes variants itself: name "scenic"',
        ),
        (["scenic", *GRID, "--samples", "0"], "error: --samples: must be at least 1"),
        (["scenic", *GRID, "--device", "gpu"], "error: --device: there is no device"),
        (["scenic", *GRID, "--protocol", "counting"], "error: counting: a frontier needs all three scores"),
    ],
)
def test_a_mistake_is_told_before_anything_is_measured(
    place: Path, faked: None, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--root", str(place), "--out", str(tmp_path / "runs"), "--quiet"]
    others = [f"{name}={value}" for name, value in (("--protocol", "small"), ("--device", "cpu")) if name not in more]
    assert main(["sweep", *more, *options, *others]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_model_that_cannot_be_loaded_ends_the_command(
    place: Path, faked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "card.toml").write_text('name = "broken"\nfactory = "json:loads"\n')
    assert main(command(place, tmp_path / "runs", str(folder), "--knob", "a=1,2")) == 1
    assert "error: broken could not be loaded: TypeError" in capsys.readouterr().err


def test_a_setting_without_scores_is_no_point_and_is_named(swept: Run, anchors: Anchors, tmp_path: Path) -> None:
    folder = shutil.copytree(swept.folder.path, tmp_path / "run")
    rows = [_withheld(row) for row in read_metrics(folder / "metrics.jsonl")]
    write_metrics(folder / "metrics.jsonl", rows)
    (model,) = frontier(Run(folder), anchors, swept.record.spec["sweep"], lambda: None).models
    left_out = [setting for setting in model.settings if setting.state == "no scores"]
    assert [setting.entry for setting in left_out] == ["scenic@steps=8"]
    assert left_out[0].reason == "quality: copies training images" and left_out[0].point() is None
    before = read_frontier(swept.folder.frontier).models[0]
    assert model.whole is not None and before.whole is not None and model.whole < before.whole
    assert model.hypervolume.value is not None and before.hypervolume.value is not None
    assert model.hypervolume.value < before.hypervolume.value
    assert model.hypervolume.reason == "1 of 6 settings have no scores" and before.hypervolume.reason is None


def test_where_no_change_is_known_no_step_leads_the_other_way(swept: Run, anchors: Anchors, tmp_path: Path) -> None:
    folder = shutil.copytree(swept.folder.path, tmp_path / "run")
    shutil.rmtree(folder / "replicates")
    found = frontier(Run(folder), anchors, swept.record.spec["sweep"], lambda: None)
    trades = found.models[0].trades
    assert trades and {(trade.change.value, trade.reversed) for trade in trades} == {(None, None)}
    write_frontier(tmp_path / "frontier.json", tmp_path / "frontier.csv", found)
    assert read_frontier(tmp_path / "frontier.json") == found


def _withheld(row: MetricRow) -> MetricRow:
    if row.model != "scenic@steps=8" or not row.metric.startswith("score"):
        return row
    return replace(row, value=None, se=None, ci=None, status="withheld", reason="copies training images")


def test_pieces_add_up_to_the_metrics_of_all(swept: Run, anchors: Anchors) -> None:
    sets = split_sets(swept.samples("scenic"), swept.features("scenic"))
    found, numbers = pieces(sets, anchors), evaluate(sets, anchors).numbers
    everything = np.ones(CELLS, dtype=np.bool_)
    distance = frechet_distance(sets["prompted"].arrays["features"], anchors.moments).value
    assert found.distance(everything, factored(anchors.moments)) == pytest.approx(distance, rel=1e-6)
    counts = count_modes(*modes_of(sets["unconditional"], anchors), n_modes=512)
    assert found.counts_CB.sum(axis=0).tolist() == counts.counts_GB.sum(axis=0).tolist()
    assert mode_tv(counts).value == numbers["mode_tv"].estimate.value
    spread = np.mean([scores_P.mean() for scores_P, _ in found.spreads.values()])
    assert spread == pytest.approx(numbers["within_prompt_spread"].estimate.value)


def test_halves_part_prompts_and_are_the_same_for_every_setting(swept: Run) -> None:
    for name in ("prompted", "unconditional", "within_prompt"):
        dealt = []
        for entry in swept.models:
            data = split_sets(swept.samples(entry), swept.features(entry))[name]
            cells = deal(data)
            dealt.append(cells.tolist())
            if name == "within_prompt":
                per_prompt = {(prompt, cell) for prompt, cell in zip(data.column("prompt_id"), cells, strict=True)}
                assert len(per_prompt) == len(set(data.column("prompt_id")))
        assert all(cells == dealt[0] for cells in dealt)
        halves = [np.isin(dealt[0], np.flatnonzero(cells_of(half))).sum() for half in (0, 1)]
        assert sum(halves) == len(dealt[0]) and abs(halves[0] - halves[1]) <= len(dealt[0]) // 10
    assert not (cells_of(0) & cells_of(1)).any() and (cells_of(0) | cells_of(1)).all()
    assert cells_of(0).sum() == 20 and cells_of(0, without=3).sum() == 19
