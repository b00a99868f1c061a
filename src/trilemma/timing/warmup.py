"""Warm-up at the measured shape: until the last few calls agree, not for a number of calls that somebody guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from trilemma.timing.clock import Call


@dataclass(frozen=True, kw_only=True)
class WarmupRule:
    """When a shape counts as warm. Calls in which torch compiled count for nothing: it begins after the last of them.

    Attributes:
        least_calls, least_seconds: both are reached in any case: clocks rise slowly.
        last, within: so many blocks agree, the slowest being slower than the fastest by this share at most.
        block_seconds: a block is one call, or as many in a row as take so long: one call of a millisecond tells of the
            system's scheduler, not of the model.
        most_calls, most_seconds: the cap; what has not converged by then never will.
        most_compiled: nor will what compiles in more calls than that.
    """

    least_calls: int = 2
    least_seconds: float = 0.2
    last: int = 3
    within: float = 0.05
    block_seconds: float = 0.02
    most_calls: int = 5_000
    most_seconds: float = 30.0
    most_compiled: int = 5

    def capped(self, seconds: float) -> WarmupRule:
        """Returns the rule of a warm-up that takes so many seconds at most, compilation apart."""
        return replace(self, most_seconds=min(self.most_seconds, seconds))


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """The calls before the clock, and whether they had come to rest."""

    calls: tuple[Call, ...]
    converged: bool

    @property
    def seconds(self) -> float:
        """What they took together, compilation included."""
        return sum(map(_seconds, self.calls))


def warm_up(call: Callable[[int], Call], rule: WarmupRule) -> Warmup:
    """Calls ``call(0)``, ``call(1)`` and so on until they agree, or the cap is reached.

    Where the cap leaves fewer than ``rule.last`` blocks, the last two may agree in their place: of a model that takes
    twenty seconds, a third call would tell nothing new.
    """
    calls: list[Call] = []
    seconds: list[float] = []  # of the calls since the last that compiled
    waited, compiled = 0.0, 0
    while compiled <= rule.most_compiled:
        calls.append(call(len(calls)))
        if calls[-1].compiled:
            compiled, seconds = compiled + 1, []
            continue
        seconds.append(_seconds(calls[-1]))
        waited += seconds[-1]
        at_cap = len(calls) >= rule.most_calls or waited >= rule.most_seconds
        if len(seconds) < rule.least_calls or not (at_cap or sum(seconds) >= rule.least_seconds):
            continue
        means = last_blocks(seconds, rule.last, rule.block_seconds)
        converged = agree(means, rule.within) and (at_cap or len(means) == rule.last)
        if converged or at_cap:
            return Warmup(calls=tuple(calls), converged=converged)
    return Warmup(calls=tuple(calls), converged=False)


def last_blocks(seconds: Sequence[float], count: int, least: float) -> list[float]:
    """Returns the mean time of a call in each of the last so many blocks, or fewer; a block takes ``least`` seconds."""
    means: list[float] = []
    total, calls = 0.0, 0
    for one in reversed(seconds):  # from the end, so that the newest block is whole
        total, calls = total + one, calls + 1
        if total >= least:
            means.append(total / calls)
            total, calls = 0.0, 0
        if len(means) == count:
            break
    return means


def agree(means: Sequence[float], within: float) -> bool:
    """Whether there are at least two, and the longest exceeds the shortest by this share at most."""
    return len(means) > 1 and max(means) <= min(means) * (1 + within)


def _seconds(call: Call) -> float:
    return (call.wall_ns or 0) / 1e9
