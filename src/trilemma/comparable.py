"""What a protocol's numbers can stand beside: published ones, and the bands that somebody accepts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trilemma.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Band:
    """An interval that a number is expected in: outside of it, on either side, something is not as it should be."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"must go from a number up to a larger one, got {self.low} to {self.high}.")

    def holds(self, value: float) -> bool:
        """Whether a number lies inside, bounds included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Comparable:
    """Which published numbers a protocol's can stand beside.

    Attributes:
        numbers: which, in words.
        table, protocol: where ``results/published`` has them: a table, and one of its protocols.
        provided: what else has to be alike, which a protocol cannot see to: the sampler's settings, labels, weights.
        bands: by metric, what the source accepts.
    """

    numbers: str
    table: str | None = None
    protocol: str | None = None
    provided: str = ""
    bands: dict[str, Band] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.numbers:
            raise UserError("must say which numbers.", where="numbers")
        if (self.table is None) != (self.protocol is None):
            raise UserError('"table" and "protocol" belong together.')

    @property
    def sentence(self) -> str:
        """What there is to say of it, for people."""
        where = f" (results/published/{self.table}.toml, {self.protocol})" if self.table is not None else ""
        provided = f", provided that {self.provided}" if self.provided else ""
        return f"Comparable with {self.numbers}{where}{provided}."
