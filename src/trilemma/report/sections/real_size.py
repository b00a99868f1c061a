"""At real size: published quality beside the speed measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import real_size
from trilemma.report.drawing import inline_svg
from trilemma.report.real_size_figure import real_size_figure

if TYPE_CHECKING:
    from markupsafe import Markup

    from trilemma.report.real_size import Group
    from trilemma.report.record import Run

ID = "real-size"
TITLE = "At real size"


def content(run: Run) -> dict[str, Any] | None:
    """Returns a table and a figure for each benchmark of the literature; None without a published network."""
    found = real_size.real_size(run)
    if found is None:
        return None
    words = [name in real_size.TEXTS for name in real_size.COLUMNS]
    groups = [{**vars(group), "figure": _figure(group)} for group in found.groups]
    told = {**vars(found), "groups": groups, "caption": real_size.CAPTION, "columns": real_size.COLUMNS, "words": words}
    return {"real_size": told}


def _figure(group: Group) -> Markup | None:
    from markupsafe import Markup

    if not group.is_drawn:
        return None
    description = f"{real_size.STATEMENT} {group.title}; the numbers stand in the table below."
    return Markup(inline_svg(real_size_figure(group), f"real-size-{group.name}", description))  # it was escaped
