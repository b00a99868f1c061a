from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pandas as pd
import pytest

from trilemma.report import tables
from trilemma.report.drawing import inline_svg, png, svg
from trilemma.report.figure_style import PALETTE
from trilemma.report.figures import sweep_figure, trilemma_figure
from trilemma.report.record import load


@pytest.fixture
def scores(run_folder: Path) -> pd.DataFrame:
    return tables.scores(load(run_folder))


def words(figure: matplotlib.figure.Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_gaps_are_words(scores: pd.DataFrame) -> None:
    figure = trilemma_figure(scores)
    assert len(figure.axes) == 6
    assert words(figure).count("withheld") == 3
    assert words(figure).count("failed") == 3
    assert words(figure).count("not measured") == 1
    assert png(figure).startswith(b"\x89PNG")


def test_models_without_a_score_are_in_no_scatter(scores: pd.DataFrame) -> None:
    panels = trilemma_figure(scores).axes[3:]
    labels = [{text.get_text() for text in axes.texts} for axes in panels]
    assert "vqar" in labels[0]
    assert "vqar" not in labels[1] | labels[2]
    assert all("memorizer" not in found and "broken" not in found for found in labels)


@pytest.mark.parametrize("missing", [["quality"], ["quality", "diversity", "speed", "speed_batch1"]])
def test_draws_without_any_score_of_an_axis(scores: pd.DataFrame, missing: list[str]) -> None:
    gone = scores["axis"].isin(missing)
    scores.loc[gone, ["score", "se", "ci_low", "ci_high"]] = float("nan")
    scores.loc[gone, "status"] = "not measured"
    figure = trilemma_figure(scores)
    assert "no model has both scores" in words(figure)
    png(figure)


def test_draws_without_models(scores: pd.DataFrame) -> None:
    figure = trilemma_figure(scores.iloc[:0])
    assert png(figure).startswith(b"\x89PNG")
    assert not any(model in words(figure) for model in scores["model"].unique())


def test_a_model_keeps_its_colour_in_every_figure(run_folder: Path) -> None:
    sweep = tables.sweep(load(run_folder))
    lines = {line.get_label(): line.get_color() for line in sweep_figure(sweep[sweep["model"] != "gan"]).axes[0].lines}
    assert lines["var"].lower() == PALETTE[1].lower()
    assert lines["ldm"].lower() == PALETTE[2].lower()


def test_global_state_stays_as_it_was(run_folder: Path, scores: pd.DataFrame) -> None:
    before = {key: value for key, value in matplotlib.rcParams.items() if key != "backend"}
    svg(trilemma_figure(scores))
    inline_svg(sweep_figure(tables.sweep(load(run_folder))), "sweep", "x")
    assert {key: value for key, value in matplotlib.rcParams.items() if key != "backend"} == before


def test_svg_of_equal_input_is_equal(scores: pd.DataFrame) -> None:
    assert svg(trilemma_figure(scores)) == svg(trilemma_figure(scores))


def test_inline_svg_needs_no_style_and_reaches_its_own_ids(scores: pd.DataFrame) -> None:
    text = inline_svg(trilemma_figure(scores), "trilemma", 'a "quoted" <text>')
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == 'a "quoted" <text>'
    assert "style" not in {element.tag for element in root.iter()}
    assert not any("style" in element.attrib for element in root.iter())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    assert referred
    assert referred <= set(ids)
    assert all(name.startswith("trilemma-") for name in ids if name)
