"""Scores from 0 to 10: raw numbers anchored by controls, so that they do not move when a model joins.

    quality    10 · ln(F₀/F) / ln(F₀/F₁), with F₁ the mean distance of real images at this N and F₀ that of `reduced`
    diversity  10 · (M + W)/2, with M from the modes and W from the spread within prompts, where the truth is known;
               elsewhere 10 · coverage / coverage of real images, averaged over what is covered
    speed      10 · (1 − log₁₀(t/t_ref)/3), with t seconds per image and t_ref one pass of the reference decoder

The shown value is clipped to [0, 10], its interval is not. Standard errors are propagated to first order (the delta
method; Oehlert, The American Statistician 46, 1992), the inputs taken as independent; so are the replicates of the
inputs, by which two models' scores are compared in pairs. The scores are this suite's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trilemma.metrics.copying import CopyTest
from trilemma.statistics.estimate import Estimate, missing
from trilemma.statistics.standard_error import StandardError, combined


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score: the value clipped to [0, 10], and the unclipped estimate that its interval comes from."""

    value: float | None
    unclipped: Estimate

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Returns the interval of the unclipped score, which may reach below 0 or above 10."""
        return self.unclipped.interval(level)


def quality_score(distance: Estimate, reduced: Estimate, floor: Estimate) -> Score:
    """Returns the quality score.

    Args:
        distance: F, the model's Fréchet distance.
        reduced: F₀, that of the control `reduced` at the same N.
        floor: F₁, the mean of that of real images at the same N.
    """
    f, f0, f1 = distance.value, reduced.value, floor.value
    if f is None or f0 is None or f1 is None:
        return _without(distance, reduced, floor)
    if f <= 0 or f1 <= 0:
        return _failed(f"a Fréchet distance is not positive (model {f:.4g}, real {f1:.4g})", distance.n)
    if f0 <= f1:
        return _failed(f"the control `reduced` ({f0:.4g}) is not farther than real images ({f1:.4g})", distance.n)
    width = math.log(f0 / f1)
    value = 10 * math.log(f0 / f) / width
    slopes = (-10 / (f * width), (10 - value) / (f0 * width), value / (f1 * width))
    return _score(value, slopes, (distance, reduced, floor))


def diversity_score(modes: Estimate, spread: Estimate) -> Score:
    """Returns the diversity score from M (``mode_score``) and W (``within_prompt_spread``), where truth is known."""
    if modes.value is None or spread.value is None:
        return _without(modes, spread)
    return _score(5 * (modes.value + spread.value), (5, 5), (modes, spread))


def coverage_score(parts: Sequence[tuple[Estimate, Estimate]]) -> Score:
    """Returns the diversity score where the truth is not known.

    Args:
        parts: pairs of a coverage by the model's images and that by real images in their place: without prompts, and
            within them. The score is the mean of the ratios.
    """
    inputs = tuple(item for part in parts for item in part)
    if any(item.value is None for item in inputs):
        return _without(*inputs)
    value, slopes = 0.0, []
    for covered, real in parts:
        assert covered.value is not None and real.value is not None
        if real.value <= 0:
            return _failed("real images cover no real image", covered.n)
        value += 10 * covered.value / real.value / len(parts)
        slopes += [10 / real.value / len(parts), -10 * covered.value / real.value**2 / len(parts)]
    return _score(value, tuple(slopes), inputs)


def speed_score(seconds_per_image: Estimate, reference_seconds: Estimate) -> Score:
    """Returns the speed score from seconds per image of the model and of one pass of the reference decoder."""
    t, t_ref = seconds_per_image.value, reference_seconds.value
    if t is None or t_ref is None:
        return _without(seconds_per_image, reference_seconds)
    if t <= 0 or t_ref <= 0:
        return _failed(f"a time is not positive (model {t:.4g} s, reference {t_ref:.4g} s)", seconds_per_image.n)
    slope = 10 / (3 * math.log(10))
    value = 10 * (1 - math.log10(t / t_ref) / 3)
    return _score(value, (-slope / t, slope / t_ref), (seconds_per_image, reference_seconds))


def withhold_if_copying(score: Score, copying: CopyTest) -> Score:
    """Returns the score, or none with the reason when the model copies its training images beyond chance."""
    if not copying.beyond_chance:
        return score
    reason = (
        f"copies training images: {copying.rate.value:.1%} lie below the copy threshold, more than held-out real "
        f"images show (p = {copying.p_value:.1g})"
    )
    return Score(value=None, unclipped=missing(reason, n=score.unclipped.n, status="withheld"))


def _score(value: float, slopes: tuple[float, ...], inputs: tuple[Estimate, ...]) -> Score:
    score = min(10.0, max(0.0, value))
    errors = [
        StandardError(se=item.se, degrees_of_freedom=item.degrees_of_freedom or math.inf).scaled(slope)
        for slope, item in zip(slopes, inputs, strict=True)
        if item.se is not None
    ]
    if len(errors) < len(inputs):
        # An input without a standard error would make the score's too small: better none.
        return Score(value=score, unclipped=Estimate(value=value, se=None, se_method="none", n=inputs[0].n))
    error = combined(errors)
    moved = [source.scaled(slope) for slope, item in zip(slopes, inputs, strict=True) for source in item.replicates]
    unclipped = Estimate(
        value=value,
        se=error.se,
        se_method="delta",
        n=inputs[0].n,
        degrees_of_freedom=error.degrees_of_freedom,
        replicates=tuple(moved),
    )
    return Score(value=score, unclipped=unclipped)


def _failed(reason: str, n: int) -> Score:
    return Score(value=None, unclipped=missing(reason, n=n, status="failed"))


def _without(*inputs: Estimate) -> Score:
    """Returns the score that lacks an input, with the status and reason of the first that has no value."""
    first = next(item for item in inputs if item.value is None)
    reason = first.reason or "an input has no value"
    return Score(value=None, unclipped=missing(reason, n=first.n, status=first.status))
