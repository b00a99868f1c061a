"""Of a sweep: where its settings lie, how much of the cube of scores each model takes, and what its knobs trade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import frontier, tables
from trilemma.report.drawing import inline_svg
from trilemma.report.frontier_figures import frontier_figure, trade_figure

if TYPE_CHECKING:
    from trilemma.report.record import Run
    from trilemma.store.frontier import ModelFrontier


ID = "frontiers"
TITLE = "Frontiers"


def content(run: Run) -> dict[str, Any] | None:
    """Returns the figures, and a table and the sentences of each model; None for a run that is no finished sweep."""
    from markupsafe import Markup

    found = run.frontier
    if found is None:
        return None
    described = "Every setting in pairs of scores, and the part of the cube of scores that each model takes: "
    volumes = " ".join(map(frontier.volume_sentence, found.models))
    along = "Precision and coverage along each knob; the changes from end to end stand below."
    return {
        "figure": Markup(inline_svg(frontier_figure(found), "frontier", described + volumes)),  # ElementTree escaped it
        "trades": Markup(inline_svg(trade_figure(found), "trades", along)),
        "said": frontier.SAID,
        "header": frontier.HEADER,
        "metrics": tables.AXES,
        "frontiers": [_model(model) for model in found.models],
    }


def _model(model: ModelFrontier) -> dict[str, Any]:
    return {
        "model": model.model,
        "rows": list(frontier.setting_rows(model)),
        "volume": frontier.volume_sentence(model),
        "trades": frontier.trade_sentences(model),
    }
