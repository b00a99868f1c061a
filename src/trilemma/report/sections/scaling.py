"""How cost grows with the batch, with the number of images, with the resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report.drawing import inline_svg
from trilemma.report.figure_style import INK, look
from trilemma.report.scaling import batch_part, images_part, resolution_part
from trilemma.report.scaling_batch import batch_costs
from trilemma.report.scaling_figures import batch_figure, images_figure, resolution_figure
from trilemma.report.scaling_images import image_costs
from trilemma.report.scaling_resolution import resolution_costs
from trilemma.report.timed_calls import DECODER, calls, windows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from trilemma.report.record import Run


ID = "scaling"
TITLE = "Scaling"
CAPTIONS = {
    "batch": "On logarithmic scales a straight line is a power law, and the steeper it is, the less a batch saves. A "
    "cross on the last point says that the next batch did not fit in memory.",
    "images": "The time that making images had taken, and measuring them, when so many were there. Where every image "
    "costs the same, the line rises as the number of images.",
    "resolution": "Lines lead from the smallest images of a family to each of its larger ones.",
}


def content(run: Run) -> dict[str, Any]:
    """Returns a part with its table and figure for each kind of growth; of what was not measured a sentence."""
    found = windows(run, calls(run))
    batches, images, groups = batch_costs(found), image_costs(run), list(resolution_costs(run).values())
    parts = {"batch": batch_part(run, found), "images": images_part(run), "resolution": resolution_part(run)}
    timed = [cost for cost in batches if cost.sizes]
    figures = {
        "batch": batch_figure(timed, _looks(run, [cost.model for cost in timed])) if timed else None,
        "images": images_figure(images, _looks(run, [cost.model for cost in images])) if images else None,
        "resolution": resolution_figure(groups, _looks(run, run.models)) if groups else None,
    }
    return {
        "parts": [
            {**vars(part), "figure": _inline(name, figures[name]), "told": CAPTIONS[name]}
            for name, part in parts.items()
        ]
    }


def _looks(run: Run, models: Iterable[str]) -> dict[str, dict[str, Any]]:
    looks = {model: look(model, place=run.place(model), control=run.is_control(model)) for model in models}
    if DECODER in looks:
        looks[DECODER] |= {"color": INK, "marker": "", "control": True, "line": "--"}
    return looks


def _inline(name: str, figure: Figure | None) -> Markup | None:
    from markupsafe import Markup

    if figure is None:
        return None
    return Markup(inline_svg(figure, f"scaling-{name}", f"{CAPTIONS[name]} The numbers stand in the table below."))
