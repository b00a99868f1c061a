from __future__ import annotations

import json
import re
from pathlib import Path

import altair
import pytest
import vl_convert

from trilemma.report import charts, inline, tables
from trilemma.report.figure_style import GREY, MARKERS, PALETTE
from trilemma.report.measures import measures
from trilemma.report.names import brief, label
from trilemma.report.order_figure import order_figure
from trilemma.report.record import load
from trilemma.report.tradeoffs import ranked
from trilemma.report.triangle import triangle


def test_a_model_looks_as_in_the_printed_figures() -> None:
    assert len(charts.SHAPES) == len(MARKERS)
    assert charts.style(1, reference=False)["color"] == PALETTE[1].lower()
    assert charts.style(len(PALETTE), reference=False)["color"] == PALETTE[0].lower()
    assert charts.style(-1, reference=True)["color"] == GREY
    seen = {tuple(charts.style(place, reference=False).values()) for place in range(24)}
    assert len(seen) == 24


def test_charts_take_the_page_s_ink_and_fetch_nothing() -> None:
    for spec in (charts.trade_off_chart(), charts.order_chart(["m", "n"], ["a", "b"], ["b"])):
        colours = set(re.findall(r"'(?:color|labelColor|titleColor|gridColor|stroke|fill)': '([^']+)'", str(spec)))
        assert colours <= {charts.INK}
        assert spec["config"]["aria"] is False
        assert '"url"' not in json.dumps(spec)


def test_the_bundled_library_is_of_the_version_that_the_specifications_name() -> None:
    newest = vl_convert.get_vegalite_versions()[-1]
    assert altair.SCHEMA_VERSION.removeprefix("v").split(".")[0] == newest.split(".")[0]


def test_names_slant_where_they_do_not_fit() -> None:
    few, long, many = ["gan", "var"], ["gan@truncation=0.7+bf16", "gan@truncation=1"], [f"m{i}" for i in range(30)]
    angles = [charts.order_chart(names, ["a"], [])["layer"][3]["mark"]["angle"] for names in (few, long, many)]
    assert angles == [0, 320, 320]


def test_json_keeps_its_value_and_ends_no_element() -> None:
    text = str(inline.as_json({"a": "</script><!--\u2028&"}))
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == {"a": "</script><!--\u2028&"}
    with pytest.raises(ValueError, match="[Oo]ut of range"):
        inline.as_json({"a": float("nan")})


def test_a_script_that_would_end_its_element_is_our_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bad.js").write_text("'</SCRIPT>'")
    monkeypatch.setattr(inline, "_STATIC", tmp_path)
    with pytest.raises(AssertionError, match="would end its own element"):
        inline.source("bad.js")


def test_triangle_reaches_its_frame_where_nothing_is_given_up(run_folder: Path) -> None:
    scores = tables.scores(load(run_folder))
    rows = {row["axis"]: row for row in scores[scores["model"] == "gan"].to_dict("records")}
    whole = triangle({axis: row | {"score": 10.0} for axis, row in rows.items()}, ())
    assert whole.shape == whole.frame
    picture = triangle(rows, ("diversity",))
    assert [corner.axis for corner in picture.corners if corner.gap] == ["diversity"]
    assert "quality 6.10 ± 0.12 (95 %: 5.86 to 6.34)" in picture.description


def test_triangle_without_a_score_has_no_shape_but_says_so(run_folder: Path) -> None:
    scores = tables.scores(load(run_folder))
    rows = {row["axis"]: row for row in scores[scores["model"] == "vqar"].to_dict("records")}
    picture = triangle(rows, ())
    assert picture.shape == ""
    assert [corner.mark is None for corner in picture.corners] == [False, False, True]
    assert picture.corners[2].text == "not measured"


def test_printed_orders_name_each_measure_and_model(run_folder: Path) -> None:
    run = load(run_folder)
    found = measures(run)
    figure = order_figure(run, found, ranked(run))
    for panel, axis in zip(figure.axes, found, strict=True):
        assert [text.get_text() for text in panel.get_yticklabels()] == [measure.label for measure in found[axis]]
        assert {text.get_text() for text in panel.texts} == {"gan", "var", "ldm", "vqar"}


def test_names_are_cut_and_turn_no_sentence_round() -> None:
    assert brief("a\u202eb\u2066c") == "abc"
    assert brief("x" * 99, 10) == "x" * 9 + "…"
    assert label("$a$") == r"\$a\$"
