"""One comparison of a claim in a sentence: both numbers, the effect with its interval, and what is not known."""

from __future__ import annotations

import math

from trilemma.claims.contrast import Contrast
from trilemma.claims.judge import Comparison
from trilemma.metrics.catalog import METRICS
from trilemma.report.numbers import at_error, quantity
from trilemma.report.prose import listed


def sentence(one: Comparison) -> str:
    """Returns a comparison in words: both numbers, the effect with its 95 % interval, why it is undecided."""
    metric = METRICS[one.metric]
    if one.contrast is None:
        return f"{metric.title} of {one.model} against {_others(one)}: {one.why}."
    found = one.contrast
    own, other = (quantity(number, None, metric.unit) for number in (found.value, found.other))
    unit = f" {metric.unit}" if metric.unit else ""
    effect, interval = _ratio(found) if found.log else _difference(found)
    how = ["counted"] if found.exact else [*filter(None, [interval]), *(["paired"] if found.paired else [])]
    bracket = f" ({'; '.join(how)})" if how else ""
    compared = f"{effect} the {other} of {_others(one)}{bracket}"
    return f"{metric.title} of {one.model}: {own}{unit}, {'; '.join([compared, *_added(one)])}."


def _added(one: Comparison) -> list[str]:
    """Returns what else there is to say: how much was claimed, and why nothing follows."""
    claimed = []
    if one.ratio is not None:
        claimed = [
            f"at {'least' if one.more else 'most'} {one.ratio if one.more else 1 / one.ratio:.3g} times is claimed"
        ]
    return [*claimed, one.why] if one.why else claimed


def _others(one: Comparison) -> str:
    names = listed(one.others)
    return f"{names} on average" if len(one.others) > 1 else names


def _ratio(found: Contrast) -> tuple[str, str]:
    assert found.effect.value is not None
    ratio = math.exp(found.effect.value)
    error = None if found.effect.se is None else ratio * found.effect.se
    ends = [at_error(math.exp(end), error) for end in _interval(found)]
    return f"{at_error(ratio, error)} times", " to ".join(ends)


def _difference(found: Contrast) -> tuple[str, str]:
    effect, interval = found.effect, _interval(found)
    assert effect.value is not None
    size = f"{at_error(abs(effect.value), effect.se)} {_way(effect.value)} than"
    if interval and interval[0] < 0 < interval[-1]:
        return size, " to ".join(f"{at_error(abs(end), effect.se)} {_way(end)}" for end in interval)
    return size, " to ".join(at_error(end, effect.se) for end in sorted(map(abs, interval)))


def _interval(found: Contrast) -> tuple[float, ...]:
    """Returns both ends, or nothing where the error is unknown."""
    ends = found.effect.interval() or ()
    return ends if all(map(math.isfinite, ends)) else ()


def _way(number: float) -> str:
    return "lower" if number < 0 else "higher"
