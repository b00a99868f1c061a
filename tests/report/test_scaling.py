"""How cost grows: what is found is what the record was made of, and what was not measured is said."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from synthetic_edges import EDGES, FULL, Edge, write_edge

from trilemma.report import write_report
from trilemma.report.drawing import png
from trilemma.report.figure_style import look
from trilemma.report.record import Run, load
from trilemma.report.scaling import batch_part, images_part, resolution_part
from trilemma.report.scaling_batch import batch_costs
from trilemma.report.scaling_figures import batch_figure, images_figure, resolution_figure
from trilemma.report.scaling_images import image_costs
from trilemma.report.scaling_resolution import resolution_costs
from trilemma.report.tables import NO_DEFAULT
from trilemma.report.timed_calls import DECODER, Window, absence, calls, windows
from trilemma.store.tables import SAMPLES, write_rows


def written(path: Path, edge: Edge) -> Run:
    return load(write_edge(path / "run", edge))


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return written(tmp_path_factory.mktemp("timed"), EDGES["speed"])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return written(tmp_path_factory.mktemp("drawn"), EDGES["failed-model"])


def window(size: int, median: float | None, **other: object) -> Window:
    return Window(model="gan", scenario="offline", batch_size=size, median=median, **other)  # type: ignore[arg-type]


def test_a_free_batch_has_exponent_0_and_a_useless_one_1() -> None:
    (free,) = batch_costs([window(1, 8.0), window(2, 4.0), window(8, 1.0)])
    (useless,) = batch_costs([window(1, 8.0), window(2, 8.0), window(8, 8.0)])
    assert free.growth is not None and free.growth.value == pytest.approx(0.0, abs=1e-12)
    assert useless.growth is not None and useless.growth.value == pytest.approx(1.0)
    assert free.call_ms == pytest.approx((8.0, 8.0, 8.0)) and free.best == (8, 1.0)


def test_what_does_not_fit_ends_the_line(timed: Run) -> None:
    found = windows(timed, calls(timed))
    cost = batch_costs(found)[0]
    assert cost.sizes == (1, 16, 64) and cost.ends == ((256, "out_of_memory", f"out of memory: {FULL}"),)
    assert cost.growth is not None and 0.3 < cost.growth.value < 0.9
    part = batch_part(timed, found)
    assert part.rows[0][-1] == f"out of memory: {FULL} at 256"
    figure = batch_figure(batch_costs(found), {m: look(m, place=0, control=False) for m in timed.models})
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 4


def test_the_reference_decoder_is_a_line_too(run_folder: Path) -> None:
    run = load(run_folder)
    assert [cost.model for cost in batch_costs(windows(run, calls(run)))] == ["gan", "var", "ldm", DECODER]


def test_images_and_seconds_are_those_of_the_batches(drawn: Run) -> None:
    (gan, *_) = image_costs(drawn)
    assert gan.images == (16, 32, 48, 64, 80, 96, 112, 128, 144)
    assert gan.made == pytest.approx([1.1 * n for n in range(1, 10)])
    assert gan.measured == pytest.approx([0.4 * n for n in range(1, 10)])
    assert gan.halves == pytest.approx((1100 / 16, 1100 / 16))


def test_halves_tell_a_model_that_grows_slower(tmp_path: Path) -> None:
    path = write_edge(tmp_path / "run", EDGES["one-model"])
    rows = [
        {"model": "gan", "set": "prompted", "batch": n, "status": "ok", "t_start": 100.0 * n,
         "t_end": 100.0 * n + (1 if n < 5 else 3)}
        for n in range(10) for _ in range(4)
    ]  # fmt: skip
    write_rows(path / "samples" / "gan.parquet", SAMPLES, rows)
    (cost,) = image_costs(load(path))
    assert cost.halves == pytest.approx((250.0, 750.0))
    assert cost.measured is None and "not recorded" in images_part(load(path)).rows[0]
    figure = images_figure([cost], {"gan": look("gan", place=0, control=False)})
    assert png(figure).startswith(b"\x89PNG") and len(figure.axes) == 1


def test_models_without_images_and_what_was_done_once_are_told(drawn: Run) -> None:
    said = " ".join(images_part(drawn).said)
    assert said.startswith("Of var this record holds no image") and "took 3.2 s" in said and "not measured" in said


def test_long_runs_are_thinned_to_their_ends(tmp_path: Path) -> None:
    run = written(tmp_path, Edge(models=("gan",), controls=(), images=2048, measured=False))
    (cost,) = image_costs(run)
    assert len(cost.images) <= 60 and cost.images[-1] == len(run.samples) == 3 * 2048


def test_a_family_at_two_resolutions_is_compared_with_its_smallest(timed: Run) -> None:
    groups = resolution_costs(timed)
    assert {key: [cost.model for cost in costs] for key, costs in groups.items()} == {
        ("var", ""): ["var", "var-d16"], ("diffusers", ""): ["ldm", "sd-1-5"],
    }  # fmt: skip
    rows = {row[0]: row for row in resolution_part(timed).rows}
    var, large = timed.find("var", "latency_batch1"), timed.find("var-d16", "latency_batch1")
    assert var is not None and var.value and large is not None and large.value
    assert rows["var-d16"][3] == "64 ×" and rows["sd-1-5"][3] == "256 ×"
    assert rows["var-d16"][8] == f"{large.value / var.value:,.3g} ×" and rows["var"][8] == "1 ×"


def test_another_precision_is_no_neighbour(tmp_path: Path) -> None:
    sizes = {"var": 32, "var-d16@bf16": 256}
    run = written(tmp_path, Edge(models=tuple(sizes), controls=(), resolutions=sizes))
    assert resolution_costs(run) == {}
    assert "none of one family and setting" in resolution_part(run).said[0]


def test_one_resolution_is_one_sentence(drawn: Run) -> None:
    assert resolution_part(drawn).said == ("Not measured: every model of this run draws 32 × 32 pixels.",)
    assert resolution_part(drawn).rows == ()


def test_a_run_without_images_or_times_says_so(tmp_path: Path) -> None:
    run = written(tmp_path, EDGES["no-models"])
    assert batch_part(run, []).said[0].startswith("Not measured: no batches were timed.")
    assert images_part(run).said[0].startswith("Not measured: the record has no image")
    assert resolution_part(run).said[0].startswith("Not measured")


def test_a_sweep_without_its_default_says_so(tmp_path: Path) -> None:
    path = write_edge(tmp_path / "run", Edge(models=("gan@truncation=0.5",), controls=()))
    record = json.loads((path / "run.json").read_text())
    record["spec"]["sweep"] = {"gan": {"truncation": [0.5]}}
    (path / "run.json").write_text(json.dumps(record))
    run = load(path)
    assert absence(run) == images_part(run).said[0] == NO_DEFAULT
    assert calls(run).empty and resolution_part(run).said[0].endswith("draws 32 × 32 pixels.")


def test_figures_have_a_line_for_every_model(timed: Run, drawn: Run) -> None:
    looks = {m: look(m, place=0, control=False) for run in (timed, drawn) for m in run.models}
    images = images_figure(image_costs(drawn), looks)
    assert [len(axes.lines) for axes in images.axes] == [3, 3]
    resolution = resolution_figure(list(resolution_costs(timed).values()), looks)
    assert {text.get_text() for text in resolution.axes[0].texts} == set(timed.models)


def test_page_has_the_parts_and_their_tables(timed: Run) -> None:
    page = write_report(timed.folder.path).read_text(encoding="utf-8")
    scaling = page[page.index('<section id="scaling"') : page.index('<section id="coverage"')]
    assert "With the batch" in scaling and "With the resolution" in scaling and "<td>64 ×</td>" in scaling
    assert "the record has no image that says when it was made" in scaling
    assert pd.read_json(timed.folder.path / "report.json", typ="series")["scaling"]["images"] == []
