"""Raw timings: what warms up, what counts and what is void is kept apart, and every point is a call of the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from synthetic_edges import BUSY, EDGES, FULL, SIZES, Edge, write_edge

from trilemma.report import write_report
from trilemma.report.record import Run, load
from trilemma.report.timed_calls import COUNTED, DECODER, VOID, WARMUP, Window, absence, calls, lines, windows
from trilemma.report.timed_calls_figure import call_figures, thinned
from trilemma.store.tables import TIMINGS, write_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that only times: four models in two processes each, one window void in one of them."""
    return load(write_edge(tmp_path_factory.mktemp("calls") / "run", EDGES["speed"]))


def of(found: list[Window], model: str, scenario: str, size: int) -> Window:
    (one,) = [w for w in found if (w.model, w.scenario, w.batch_size) == (model, scenario, size)]
    return one


def test_every_whole_call_is_a_point_and_no_stage_is(run: Run) -> None:
    frame = calls(run)
    whole = run.timings[(run.timings["stage"] == "e2e") & run.timings["wall_ns"].notna()]
    assert len(frame) == len(whole) < len(run.timings)
    assert frame["milliseconds"].sum() == pytest.approx((whole["wall_ns"] / whole["n_images"]).sum() / 1e6)


def test_a_warm_up_belongs_to_what_it_warms_up_for(run: Run) -> None:
    frame = calls(run)
    warm = frame[frame["kind"] == WARMUP]
    assert set(warm["scenario"]) == {"single_stream", "offline"}
    assert (warm["number"] <= 2).all()
    assert warm.groupby(["model", "process", "scenario", "batch_size"]).size().unique().tolist() == [2]


def test_a_size_that_only_its_warm_up_was_timed_of_is_one_window(tmp_path: Path) -> None:
    path = write_edge(tmp_path / "run", Edge(models=("gan",), controls=(), measured=False))
    base = {"model": "gan", "batch_size": 64, "call": 0}
    warm = {"scenario": "warmup", "n_images": 64, "wall_ns": 5_000_000_000, "status": "ok"}
    skipped = {"scenario": "offline", "n_images": 0, "status": "skipped", "reason": "would take too long"}
    write_rows(path / "timings" / "gan.parquet", TIMINGS, [base | warm, base | skipped])
    run = load(path)
    (window,) = windows(run, calls(run))
    assert (window.scenario, window.warmup, window.counted, window.ended) == ("offline", 1, 0, "skipped")
    assert len(call_figures(calls(run), [window])) == 1


def test_windows_count_each_kind_and_tell_what_ended_them(run: Run) -> None:
    found = windows(run, calls(run))
    quiet, disturbed = of(found, "var", "offline", 16), of(found, "var-d16", "offline", 16)
    assert (quiet.processes, quiet.warmup, quiet.counted, quiet.void) == (2, 4, 24, 0)
    assert (disturbed.warmup, disturbed.counted, disturbed.void) == (4, 12, 12)
    assert disturbed.reasons == (f"void: {BUSY}",)
    assert len(disturbed.process_medians) == 1 and len(quiet.process_medians) == 2
    end = of(found, "ldm", "offline", SIZES[-1])
    assert end.median is None and end.ended == "out_of_memory" and end.reasons == (f"out of memory: {FULL}",)


def test_median_and_middle_half_are_of_the_counted_calls(run: Run) -> None:
    window = of(windows(run, calls(run)), "var-d16", "offline", 16)
    rows = run.timings[(run.timings["model"] == "var-d16") & (run.timings["batch_size"] == 16)]
    counted = rows[(rows["scenario"] == "offline") & (rows["stage"] == "e2e") & (rows["status"] == "ok")]
    wanted = (counted["wall_ns"] / counted["n_images"] / 1e6).quantile([0.25, 0.5, 0.75]).tolist()
    assert [window.lower, window.median, window.upper] == pytest.approx(wanted)


def test_the_table_has_a_line_for_each_window_with_its_reasons(run: Run) -> None:
    found = windows(run, calls(run))
    told = {(line[0], line[1]): line for line in lines(found)}
    assert len(told) == len(found)
    assert told["var-d16", "batch 16"][2:6] == ("2", "4", "12", "12")
    assert told["ldm", "batch 256"][6:] == ("not measured", "", "", "", f"out of memory: {FULL}")


def test_the_reference_decoder_stands_beside_the_models(run_folder: Path) -> None:
    run = load(run_folder)
    found = windows(run, calls(run))
    assert found[-1].model == DECODER and of(found, DECODER, "reference_decoder", 16).processes == 3
    assert [w.model for w in found if w.ended] == ["gan", "var", "ldm"]


def test_a_figure_holds_every_kind_and_no_more_points_than_it_may(run: Run) -> None:
    frame = calls(run)
    found = windows(run, frame)
    (figure,) = call_figures(frame, found)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["var", "var-d16", "ldm", "sd-1-5"]
    drawn = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in drawn) == len(frame)
    assert {line.get_marker() for line in drawn if len(line.get_xdata())} == {"o", "x"}
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["out of memory"] * 4
    (thin,) = call_figures(frame, found, most=1)
    few = sum(len(x.get_xdata()) for axes in thin.axes for x in axes.lines if x.get_linestyle() == "None")
    assert 0 < few < len(frame) / 2


def test_a_dozen_models_fill_a_figure(tmp_path: Path) -> None:
    run = load(write_edge(tmp_path / "run", EDGES["thirty-models"]))
    frame = calls(run)
    figures = call_figures(frame, windows(run, frame))
    assert [len(figure.axes) for figure in figures] == [12, 12, 7]


def test_thinning_keeps_the_ends_and_what_is_void() -> None:
    times = [5.0] * 500
    times[17], times[333] = 1.0, 90.0
    kinds = [COUNTED] * 500
    kinds[100] = VOID
    frame = pd.DataFrame({"milliseconds": times, "kind": kinds})
    kept = thinned(frame, 10)
    assert {0, 17, 100, 333, 499} <= set(kept.index) and len(kept) <= 13
    assert thinned(frame, 500) is frame


def test_no_timing_has_a_reason(make_run: Callable[..., Path], tmp_path: Path) -> None:
    assert absence(load(write_edge(tmp_path / "a", EDGES["no-timing"]))) == "The protocol edge asks for no timing."
    assert "had not come to it" in absence(load(write_edge(tmp_path / "b", EDGES["no-models"])))
    assert "stands among the failures" in absence(load(write_edge(tmp_path / "c", EDGES["timing-failed"])))


def test_page_and_markdown_tell_the_void_window(run: Run) -> None:
    page = write_report(run.folder.path).read_text(encoding="utf-8")
    speed = page[page.index('<section id="speed"') : page.index('<section id="scaling"')]
    assert f"void: {BUSY}" in speed and f"out of memory: {FULL}" in speed and "batch 16" in speed
    assert f"void: {BUSY}" in (run.folder.path / "report.md").read_text(encoding="utf-8")
