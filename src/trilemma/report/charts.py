"""The charts that move, as Vega-Lite specifications: the page's script gives them their data and scales.

They take the ink of the page around them (``currentColor``), so that they need to know nothing of its themes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trilemma.report.figure_style import GREY, PALETTE

if TYPE_CHECKING:
    import altair as alt

# Vega's names for the markers of the printed figures; a path stands for those that it lacks.
SHAPES = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "cross",
    "M-1,-0.5L-0.5,-1L0,-0.5L0.5,-1L1,-0.5L0.5,0L1,0.5L0.5,1L0,0.5L-0.5,1L-1,0.5L-0.5,0Z",
    "M0,-1L0.95,-0.31L0.59,0.81L-0.59,0.81L-0.95,-0.31Z",
)
INK = "currentColor"
FONT = "system-ui, sans-serif"
POINTS = "models"
"""The layer whose marks the script puts names beside."""
TRADE_OFF_HEIGHT = 300
STEP = 27
"""Pixels from one measure to the next in the chart of orders."""
_LEVEL = 36
"""So many letters fit side by side above the lines of the orders."""


def style(place: int, *, reference: bool) -> dict[str, Any]:
    """Returns colour, shape and size of a model's mark, as in the printed figures; a reference is a small grey dot."""
    if reference:
        return {"color": GREY, "shape": "circle", "size": 38}
    return {"color": PALETTE[place % len(PALETTE)].lower(), "shape": SHAPES[place % len(SHAPES)], "size": 110}


def trade_off_chart() -> dict[str, Any]:
    """Returns the scatter of two measures: intervals, the models that none dominates joined, controls in grey.

    The script fills the data sets ``points`` (x, y, their bounds, colour, shape, size, hover) and ``frontier`` (x, y,
    order), and the titles and scales of both channels.
    """
    import altair as alt

    points = alt.Chart(alt.NamedData("points"))
    bars = points.mark_rule(clip=True, strokeWidth=1.3, opacity=0.75).encode(color=_own("color"))
    size = alt.Size("size:Q", scale=None, legend=None)
    marks = points.mark_point(filled=True, opacity=1).encode(
        color=_own("color"), shape=_own("shape"), size=size, tooltip="hover:N"
    )
    layers = (
        _frontier(),
        bars.encode(x="x_low:Q", x2="x_high"),
        bars.encode(y="y_low:Q", y2="y_high"),
        marks.properties(name=POINTS),
    )
    layered = alt.layer(*layers).encode(x=alt.X("x:Q"), y=alt.Y("y:Q"))
    return _plain(layered.properties(width="container", height=TRADE_OFF_HEIGHT))


def order_chart(names: list[str], labels: list[str], flipped: list[str]) -> dict[str, Any]:
    """Returns the order of the models under each measure: a line per model, the best on the left.

    The script fills the data set ``places`` (model, label, measure, row, place or null, first, colour, shape, hover)
    and sets the signal ``chosen`` to the measure that the trade-offs show.

    Args:
        names: the models. labels: the measures, from above. flipped: those set in bold, because they put models in
            another order than the first one does.
    """
    import altair as alt

    axis = alt.Axis(domain=False, ticks=False, grid=False, labelLimit=190, labelFontWeight=_bold(flipped))
    measure = alt.Y("measure:N", sort=labels, title=None, scale=alt.Scale(domain=labels), axis=axis)
    place = alt.X("place:Q", title=None, scale=alt.Scale(domain=[0.6, max(len(names), 2) + 0.4]), axis=None)
    rows = alt.Chart(alt.NamedData("places"))
    slanted = len(names) * max(map(len, names), default=0) > _LEVEL
    lines = rows.mark_line(strokeWidth=2.2, opacity=0.85, interpolate="monotone", orient="vertical")
    marks = rows.mark_point(filled=True, opacity=1, size=85)
    layers = (
        _chosen_row(rows),
        lines.encode(x=place, color=_own("color"), detail=alt.Detail("model:N"), order="row:Q"),
        marks.encode(x=place, color=_own("color"), shape=_own("shape"), tooltip="hover:N"),
        _names(rows, slanted=slanted).encode(x=place, text="label:N"),
    )
    layered = alt.layer(*layers).encode(y=measure).add_params(alt.param(name="chosen", value=labels[0]))
    room = {"left": 5, "top": 5, "bottom": 5, "right": 105 if slanted else 5}
    return _plain(layered.properties(width="container", height=STEP * len(labels), padding=room))


def _frontier() -> alt.Chart:
    """Returns the border of what is dominated: from each model down to the height of the next one, then across."""
    import altair as alt

    line = alt.Chart(alt.NamedData("frontier")).mark_line(
        color=INK, opacity=0.45, strokeWidth=1.4, strokeDash=[5, 3], interpolate="step-before", clip=True
    )
    ordered: alt.Chart = line.encode(order="order:Q")
    return ordered


def _chosen_row(rows: alt.Chart) -> alt.Chart:
    import altair as alt

    chosen = rows.transform_filter("datum.measure === chosen").transform_aggregate(n="count()", groupby=["measure"])
    band: alt.Chart = chosen.mark_rule(color=INK, opacity=0.09, strokeWidth=STEP - 3).encode(
        x=alt.value(0), x2=alt.value("width")
    )
    return band


def _names(rows: alt.Chart, *, slanted: bool) -> alt.Chart:
    """Returns the models' names above their first places, slanted where they would not fit side by side."""
    names: alt.Chart = rows.transform_filter("datum.first").mark_text(
        color=INK, fontSize=11.5, fontWeight="bold", dy=-21, dx=4 if slanted else 0, angle=320 if slanted else 0,
        align="left" if slanted else "center",
    )  # fmt: skip
    return names


def _own(field: str) -> dict[str, Any]:
    """Returns a channel that takes the field's value as it is, with neither scale nor legend."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def _bold(labels: list[str]) -> Any:
    """Returns the weight of an axis' labels: these in bold."""
    test = f"indexof({json.dumps(labels)}, datum.value) >= 0"
    return {"condition": {"test": test, "value": "bold"}, "value": "normal"}


def _plain(chart: alt.LayerChart) -> dict[str, Any]:
    """Returns the specification in the page's ink, without frame; marks are not announced: the figure as a whole is."""
    import altair as alt

    fitted = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    spec: dict[str, Any] = fitted.configure(background="transparent", aria=False).to_dict()
    spec["config"] |= {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": INK, "titleColor": INK, "gridColor": INK, "gridOpacity": 0.13, "domain": False,
            "ticks": False, "labelFontSize": 11.5, "titleFontSize": 12, "titleFontWeight": "bold", "labelPadding": 5,
        },
    }  # fmt: skip
    return spec
