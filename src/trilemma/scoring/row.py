"""One number of a score: value, error, interval, what real images get in its place, and all that it depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trilemma.statistics.estimate import Estimate, Status, missing
from trilemma.statistics.intervals import LEVEL

Direction = Literal["lower", "higher"]


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What real images get in the place of the generated ones: as many of them, against the remaining real ones.

    For a metric without a reference it is the value of as many real images. ``value`` is None where that cannot be
    had, such as with fewer than twice as many real images, and ``reason`` says so.
    """

    value: float | None = None
    se: float | None = None
    n: int | None = None
    n_reference: int | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number.

    Attributes:
        preset, metric: their names; a metric's name is unique inside its preset.
        direction: which way is better.
        value: None unless ``status`` is "ok"; then ``reason`` says why. A value, too, may carry a reason: a caveat.
        se, se_method: as :class:`~trilemma.statistics.estimate.Estimate` has them.
        ci: interval at ``ci_level``, not clipped.
        n: generated images that went in.
        n_reference: real ones, for the copy test training ones; None for a metric without a reference, and where a
            statistics file does not tell.
        floor: what real images get.
        identity: everything that the value depends on, as plain data, keys in this order: ``function``,
            ``parameters`` (k, strict, splits, ...), ``output``, ``version``, ``extractor`` (network, sha256 of its
            files, resize, normalisation, dtype), ``resize`` (of the images, before the extractor's own), ``n``,
            ``n_reference``, ``real``, ``fake``, ``prompts`` (digests of content; None where a number does not depend
            on prompts), ``training`` (of the copy test alone), ``seed``. Numbers with unlike identities, but for
            ``fake``, are not to be compared.
        details: what was found beside the value, as plain data. Of the copy test: ``threshold`` (RMS grey levels),
            ``heldout_images`` that set it, ``p_value``, ``significance``, ``beyond_chance``.
    """

    preset: str
    metric: str
    direction: Direction
    value: float | None
    se: float | None
    se_method: str
    ci: tuple[float, float] | None
    n: int
    n_reference: int | None
    status: Status = "ok"
    reason: str | None = None
    ci_level: float = LEVEL
    floor: Floor = field(default_factory=Floor)
    identity: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Number:
    """An estimate, the number of real images behind it, the parameters that were settled on the way, and details."""

    estimate: Estimate
    n_reference: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def finite(self) -> Number:
        """Returns itself without what is NaN or infinite: such a value is no number, such an error is unknown."""
        estimate = self.estimate
        if estimate.value is not None and not math.isfinite(estimate.value):
            nothing = missing(f"the result is {estimate.value}", n=estimate.n, status="nan")
            return replace(self, estimate=nothing)
        if estimate.se is not None and not math.isfinite(estimate.se):
            return replace(self, estimate=replace(estimate, se=None, se_method="none"))
        return self
