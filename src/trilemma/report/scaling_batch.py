"""How the time of a call grows with the batch, as far as it was timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trilemma.report.timed_calls import Window
from trilemma.statistics.power_law import Exponent, exponent

BATCHED = ("offline", "reference_decoder")
"""The scenarios of calls with several images."""


@dataclass(frozen=True, kw_only=True)
class BatchCost:
    """One model over its batch sizes.

    Attributes:
        sizes: ascending, those with counted calls. call_ms, image_ms: median milliseconds of a call, and of an image.
        growth: the time of a call grows as the batch to this power: at 1 a larger batch saves nothing, at 0 it is free;
            None below two sizes.
        last_growth: the same between the two largest sizes alone.
        ends: (size, status, reason) of every size that could not be timed.
    """

    model: str
    sizes: tuple[int, ...]
    call_ms: tuple[float, ...]
    image_ms: tuple[float, ...]
    growth: Exponent | None
    last_growth: Exponent | None
    ends: tuple[tuple[int, str, str], ...]

    @property
    def best(self) -> tuple[int, float]:
        """The batch size at which an image takes least, and its milliseconds there."""
        least = min(range(len(self.sizes)), key=lambda place: self.image_ms[place])
        return self.sizes[least], self.image_ms[least]


def batch_costs(windows: Sequence[Window]) -> list[BatchCost]:
    """Returns the cost of every model that was to be timed in batches, in the order of the windows."""
    batched = [window for window in windows if window.scenario in BATCHED]
    models = dict.fromkeys(window.model for window in batched)
    return [_cost(model, [window for window in batched if window.model == model]) for model in models]


def _cost(model: str, windows: Sequence[Window]) -> BatchCost:
    points = [(window.batch_size, window.median) for window in windows if window.median is not None]
    sizes, image_ms = [size for size, _ in points], [median for _, median in points]
    call_ms = [size * median for size, median in points]
    return BatchCost(
        model=model,
        sizes=tuple(sizes),
        call_ms=tuple(call_ms),
        image_ms=tuple(image_ms),
        growth=exponent(sizes, call_ms),
        last_growth=exponent(sizes[-2:], call_ms[-2:]),
        ends=tuple((one.batch_size, one.ended, one.reasons[-1]) for one in windows if one.ended),
    )
