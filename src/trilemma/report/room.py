"""What a figure has beside its marks: a legend with all names, and a logarithmic axis with plain numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

# Inches: a letter and a line of a legend, what surrounds its names, and what surrounds it.
_LETTER, _LINE, _HANDLE, _MARGIN = 0.072, 0.195, 0.5, 0.4
# Up to this ratio of its ends an axis needs ticks between the powers of ten, and up to the other ones evenly spaced.
_WIDE, _NARROW = 300.0, 6.0


def legend_size(names: Iterable[str]) -> tuple[float, float]:
    """Returns the inches that a legend of one column takes: width and height."""
    known = list(names)
    return _HANDLE + _LETTER * max(map(len, known), default=0), _MARGIN + _LINE * len(known)


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Puts plain numbers, two of them at least, at a logarithmic axis from ``low`` to ``high``, both positive."""
    if high > _NARROW * low:
        subs = (1.0,) if high > _WIDE * low else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    else:
        axis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
