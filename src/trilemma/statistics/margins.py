"""How large a difference must be to matter: the part of a decision that is not significance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from trilemma.errors import UserError

NOISE_FACTOR = 3.0
"""Identical versions differ by more than three of their standard deviations in 1 of 740 comparisons each way."""

Part = Literal["relative", "absolute", "noise"]


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The largest of three margins counts.

    Attributes:
        relative: share of the baseline's value.
        absolute: in the metric's own unit, for values about 0.
        noise: standard deviation of the difference between identical versions, as calibration measured it, on the
            scale of the difference: of logs where logs are compared.
    """

    relative: float = 0.0
    absolute: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("relative", "absolute", "noise"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"A margin is a number from 0 up; {name} is {value}.")

    def of(self, baseline: float) -> float:
        """Returns the margin of a difference from ``baseline``."""
        return max(self._parts(baseline).values())

    def of_log(self, baseline: float) -> float:
        """Returns the margin of a difference of logs from that of a positive ``baseline``.

        The relative part applies as it is: log 1.03 is 0.0296, and the difference of 0.0004 is not worth a second rule.
        """
        return max(self._log_parts(baseline).values())

    def largest(self, baseline: float, *, log: bool = False) -> Part:
        """Returns which of the three decides: "noise" says that calibration widened the margin."""
        parts = self._log_parts(baseline) if log else self._parts(baseline)
        return max(parts, key=lambda part: parts[part])

    def _parts(self, baseline: float) -> dict[Part, float]:
        relative = self.relative * abs(baseline)
        return {"relative": relative, "absolute": self.absolute, "noise": NOISE_FACTOR * self.noise}

    def _log_parts(self, baseline: float) -> dict[Part, float]:
        absolute = self.absolute / baseline
        return {"relative": self.relative, "absolute": absolute, "noise": NOISE_FACTOR * self.noise}
