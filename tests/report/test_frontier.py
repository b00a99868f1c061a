"""A sweep in the report: the words, the rows and the figures of a frontier that is made up."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.report import frontier as words
from trilemma.report import write_report
from trilemma.report.drawing import inline_svg, png, svg
from trilemma.report.frontier_figures import frontier_figure, trade_figure
from trilemma.statistics.frontier import dominators
from trilemma.store.frontier import (
    AXES,
    TRADED,
    Frontier,
    ModelFrontier,
    Number,
    Setting,
    State,
    Trade,
    read_frontier,
    write_frontier,
)

GAN = {0.4: (4.3, 4.6, 9.2), 0.7: (4.7, 5.8, 9.2), 1.0: (4.6, 6.4, 9.1)}
LDM = {2.0: (6.5, 6.0, 7.3), 4.0: (8.6, 6.8, 6.4), 6.0: (9.0, 6.9, 5.8), 10.0: (9.0, 6.8, 5.1)}


def number(value: float | None, se: float = 0.1) -> Number:
    return (
        Number(reason="why") if value is None else Number(value=value, se=se, low=value - 2 * se, high=value + 2 * se)
    )


def model(name: str, knob: str, points: dict[float, tuple[float, float, float]], default: float) -> ModelFrontier:
    entries = [name if value == default else f"{name}@{knob}={value:g}" for value in points]
    by = dominators(np.array(list(points.values())))
    settings = []
    for place, (value, scores) in enumerate(points.items()):
        state: State = "dominated" if by[place] >= 0 else "frontier"
        traded = (0.8 + 0.05 * place, 0.9 - 0.05 * place) * 2
        named = dict(zip((*AXES, *TRADED), (*scores, *traded), strict=True))
        settings.append(
            Setting(
                entry=entries[place],
                knobs={knob: value, "other": 1},
                default=value == default,
                state=state,
                dominated_by=entries[by[place]] if by[place] >= 0 else None,
                numbers={key: number(one, 0.01) for key, one in named.items()},
            )
        )
    return ModelFrontier(
        model=name,
        knobs={knob: tuple(points)},
        settings=tuple(settings),
        hypervolume=number(321.4, 6.0),
        of_default=250.0,
        whole=333.0,
        trades=trades(knob, entries),
    )


def trades(knob: str, entries: Sequence[str]) -> tuple[Trade, ...]:
    steps = len(entries) - 1
    return tuple(
        Trade(
            knob=knob,
            number=name,
            entries=tuple(entries),
            steps=(number(sign * 0.05, 0.01),) * steps,
            change=number(sign * 0.05 * steps, 0.02),
            reversed=back,
        )
        for name, sign, back in (("precision", 1, 0), ("coverage", -1, 1))
    )


@pytest.fixture
def found() -> Frontier:
    models = (model("gan", "truncation", GAN, 1.0), model("ldm", "steps", LDM, 6.0))
    return Frontier(run_id="r", images_of_half=512, groups=20, models=models)


def without_scores(one: ModelFrontier) -> ModelFrontier:
    gone = {"quality": Number(reason="copies training images")}
    settings = tuple(
        replace(s, state="no scores", dominated_by=None, reason="quality: copies", numbers=s.numbers | gone)
        for s in one.settings
    )
    volume = Number(reason="no setting has all three scores")
    return replace(one, settings=settings, hypervolume=volume, of_default=None)


def test_it_is_read_as_it_was_written(found: Frontier, tmp_path: Path) -> None:
    whole = replace(found, models=(*found.models, without_scores(found.models[0])))
    write_frontier(tmp_path / "frontier.json", tmp_path / "frontier.csv", whole)
    assert read_frontier(tmp_path / "frontier.json") == whole
    assert (tmp_path / "frontier.csv").read_text().splitlines()[1].startswith("gan,gan@truncation=0.4,false,4.3,0.01,")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"schema": "trilemma.frontier/9"}', '{"schema": "trilemma.frontier/1"}']
)
def test_what_is_no_frontier_is_one_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "frontier.json").write_text(content)
    with pytest.raises(UserError, match=r"frontier\.json"):
        read_frontier(tmp_path / "frontier.json")
    with pytest.raises(UserError, match="no sweep"):
        read_frontier(tmp_path / "nothing.json")


def test_rows_say_where_a_setting_stands(found: Frontier) -> None:
    rows = list(words.setting_rows(found.models[1]))
    assert [row[0] for row in rows] == ["steps 2", "steps 4", "steps 6 (default)", "steps 10"]
    assert [row[-1] for row in rows] == ["frontier", "frontier", "frontier", "dominated by steps 6 (default)"]
    assert rows[0][1:4] == ["6.500 ± 0.010", "6.000 ± 0.010", "7.300 ± 0.010"]
    lacking = list(words.setting_rows(without_scores(found.models[1])))
    assert lacking[0][1] == "–" and lacking[0][-1] == "no point: quality: copies"


def test_sentences(found: Frontier) -> None:
    assert words.volume_sentence(found.models[0]) == (
        "Hypervolume of gan: 321 ± 6 of 1,000, 95 % interval 309 to 333: 32.1% of the cube. "
        "Its default alone takes 25.0%. All samples, choosing and scoring alike: 33.3%."
    )
    partial = replace(found.models[0], hypervolume=Number(value=321.4, reason="2 of 6 settings have no scores"))
    assert words.volume_sentence(partial) == (
        "Hypervolume of gan: 321.4 of 1,000: 32.1% of the cube (2 of 6 settings have no scores). "
        "Its default alone takes 25.0%. All samples, choosing and scoring alike: 33.3%."
    )
    none = words.volume_sentence(without_scores(found.models[0]))
    assert none == "No hypervolume of gan: no setting has all three scores."
    assert words.trade_sentences(found.models[0]) == [
        "truncation 0.4 → 1: precision +0.10 ± 0.02; coverage −0.10 ± 0.02, 1 of 2 steps back."
    ]


def test_the_figure_shows_every_point_and_every_volume(found: Frontier) -> None:
    figure = frontier_figure(found)
    assert len(figure.axes) == 3 + 2
    for axes in figure.axes[:3]:
        filled = [line for line in axes.lines if line.get_marker() in "os" and line.get_markersize() == 6.0]
        hollow = [line for line in axes.lines if line.get_markersize() == 4.5]
        assert (len(filled), len(hollow)) == (5, 2)
        assert len([line for line in axes.lines if line.get_markersize() == 12]) == 2
    assert figure.axes[3].get_title() == "gan: 32.1% of the cube [30.9%, 33.3%]"
    assert png(figure).startswith(b"\x89PNG")
    assert svg(frontier_figure(found)) == svg(frontier_figure(found))


def test_figures_without_points_and_with_many_models(found: Frontier) -> None:
    nothing = replace(found, models=(without_scores(found.models[0]),))
    assert frontier_figure(nothing).axes[3].get_title() == "gan: no hypervolume"
    png(frontier_figure(nothing))
    many = replace(found, models=tuple(replace(found.models[0], model=f"m{place}") for place in range(9)))
    assert len(frontier_figure(many).axes) == 3 + 9
    png(frontier_figure(replace(found, models=())))
    png(trade_figure(replace(found, models=())))


def test_trades_have_a_panel_a_knob(found: Frontier) -> None:
    figure = trade_figure(found)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["gan", "ldm"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["truncation →", "steps →"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["precision", "coverage"]


def test_the_global_state_stays_as_it_was(found: Frontier) -> None:
    before = {key: value for key, value in matplotlib.rcParams.items() if key != "backend"}
    inline_svg(frontier_figure(found), "frontier", "x")
    assert {key: value for key, value in matplotlib.rcParams.items() if key != "backend"} == before


def test_the_page_of_a_sweep_shows_it(run_folder: Path, found: Frontier, tmp_path: Path) -> None:
    folder = shutil.copytree(run_folder, tmp_path / "run")
    record = (folder / "run.json").read_text().replace('"seed": 0', '"seed": 0, "sweep": {"gan": {"truncation": [1]}}')
    (folder / "run.json").write_text(record)
    write_frontier(folder / "frontier.json", folder / "frontier.csv", found)
    page = write_report(folder).read_text()
    assert 'href="#frontiers"' in page and "dominated by steps 6 (default)" in page
    assert "What each model gives up" not in page and "Trilemma figure" not in page
    assert "9 settings of 1 model ran the protocol" in page
    assert {"frontier.png", "frontier.svg", "trades.png"} <= {path.name for path in (folder / "figures").iterdir()}
    text = (folder / "report.md").read_text()
    assert "figures/frontier.svg" in text and "| steps 6 (default) | 9.000 ± 0.010 |" in text


def test_the_page_of_another_run_says_nothing_of_it(run_folder: Path, tmp_path: Path) -> None:
    page = write_report(Path(shutil.copytree(run_folder, tmp_path / "run"))).read_text()
    assert "#frontiers" not in page and "What each model gives up" in page
