"""The figure of a history: what is joined, and what is written where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trilemma.report.drawing import png, svg
from trilemma.report.figure_style import PALETTE
from trilemma.report.history_figure import history_figure
from trilemma.tracking.history import History, Observation, SeriesName, history

NAME = SeriesName(model="gan", metric="fd_scenes")


def run(number: int, value: float | None, *, seed: int = 0, hardware: str = "h1") -> Observation:
    return Observation(
        run_id=f"run-{number:03d}",
        created=f"2026-08-{1 + number % 28:02d}T00:00:00Z",
        protocol="scenes/1",
        status="ok" if value is not None else "failed",
        value=value,
        se=0.1,
        ci=None if value is None else (value - 0.2, value + 0.2),
        hardware=hardware,
        identity={"seed": seed},
    )


def nights(count: int, step: float = 0.0) -> list[Observation]:
    noise = np.random.default_rng(1).normal(size=count)
    return [run(i, 10 + 0.01 * noise[i] + step * (i >= count // 2)) for i in range(count)]


def made(*observations: Observation, **baselines: list[str]) -> History:
    return history(NAME, observations, {key.replace("_", "-"): names for key, names in baselines.items()})


def words(figure: Figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def joined(axes: Axes) -> list[list[float]]:
    """The x of every line that joins points of a series."""
    series = [line for line in axes.lines if line.get_color() in PALETTE and line.get_linestyle() != "None"]
    return sorted([float(x) for x in line.get_xdata()] for line in series)  # type: ignore[union-attr]


def legend(figure: Figure) -> str:
    return figure.texts[0].get_text()


def test_only_what_is_comparable_is_joined_and_never_across_a_gap() -> None:
    figure = history_figure(
        [made(run(0, 5.0), run(1, 5.0), run(2, None), run(3, 5.0), run(4, 9.0, seed=1), run(5, 5.0))]
    )
    (axes,) = figure.axes
    assert joined(axes) == [[0.0, 1.0], [3.0, 5.0], [4.0]]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[2]]  # type: ignore[arg-type]
    assert "seed 0 → 1" in words(figure) and "seed 1 → 0" not in words(figure)
    assert legend(figure).count("no value") == 1 and "baseline" not in legend(figure)


def test_baselines_and_steps_are_labelled_where_they_are() -> None:
    figure = history_figure([made(*nights(24, step=1.0), run_002=["main"], run_003=["main", "other"])])
    found = words(figure)
    assert {"main", "other"} <= found
    assert sum(text.startswith("step +10.") for text in found) == 1
    assert "advisory" in legend(figure)
    heights = {text.get_text(): text.xy[1] for text in figure.axes[0].texts if text.get_text() in ("main", "other")}  # type: ignore[attr-defined]
    assert heights["main"] != heights["other"]


def test_without_a_step_no_level_is_drawn() -> None:
    assert "advisory" not in legend(history_figure([made(*nights(24))]))


def test_series_share_their_runs() -> None:
    first, second = made(*nights(6)), made(run(4, 5.0), run(9, 6.0))
    figure = history_figure([first, second])
    assert [axes.get_xlim() for axes in figure.axes] == [figure.axes[0].get_xlim()] * 2
    assert joined(figure.axes[1]) == [[4.0, 6.0]]
    shown = [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]
    assert not any(shown[0]) and shown[1][0] == "2026-08-01"


def test_many_runs_have_a_band_of_intervals() -> None:
    few, many = (history_figure([made(*nights(count))]).axes[0] for count in (100, 300))
    assert [type(item).__name__ for item in few.collections] == ["LineCollection"]
    assert "LineCollection" not in [type(item).__name__ for item in many.collections] and many.collections


def test_notes_that_would_collide_stand_above_each_other() -> None:
    one = [run(i, 5.0, seed=i) for i in range(4)]
    taller = history_figure([made(*one)]).get_figheight()
    plain = history_figure([made(*[replace(item, identity={}) for item in one])]).get_figheight()
    assert taller > plain


def test_files_are_written_and_repeat() -> None:
    figure = history_figure([made(*nights(24, step=1.0), run_002=["main"])])
    assert png(figure).startswith(b"\x89PNG")
    assert svg(figure) == svg(figure)


def test_a_history_of_gaps_and_one_value_is_drawn() -> None:
    bare = replace(run(1, 5.0), ci=None, created=None)
    assert png(history_figure([made(run(0, None), bare, run(2, None))]))


def test_ticks_have_the_digits_that_tell_them_apart() -> None:
    for scale in (1e-4, 0.5, 37.0, 2.4e6, 3e8):
        values = [run(i, scale * (1 + 1e-3 * i)) for i in range(5)]
        figure = history_figure([made(*[replace(one, ci=None) for one in values])])
        png(figure)  # ticks are placed when it is drawn
        ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert len(ticks) > 2 and len(set(ticks)) == len(ticks) and max(map(len, ticks)) <= 11
