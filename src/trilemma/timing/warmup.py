"""Warm-up at the measured shape: until the last few calls agree, not for a number of calls that somebody guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trilemma.timing.clock import Call


@dataclass(frozen=True, kw_only=True)
class WarmupRule:
    """When a shape counts as warm.

    Attributes:
        least_calls, least_seconds: both are reached in any case: the first call may compile, and clocks rise slowly.
        last, within: so many blocks agree, the slowest being slower than the fastest by this share at most.
        block_seconds: a block is one call, or as many in a row as take so long: one call of a millisecond tells of the
            system's scheduler, not of the model.
        most_calls, most_seconds: the cap; what has not converged by then never will.
    """

    least_calls: int = 2
    least_seconds: float = 0.2
    last: int = 3
    within: float = 0.05
    block_seconds: float = 0.02
    most_calls: int = 5_000
    most_seconds: float = 30.0

    def may_stop(self, seconds: Sequence[float]) -> bool:
        """Whether the calls so far are enough to be looked at."""
        return len(seconds) >= self.least_calls and (sum(seconds) >= self.least_seconds or self.must_stop(seconds))

    def must_stop(self, seconds: Sequence[float]) -> bool:
        """Whether the cap is reached."""
        return len(seconds) >= self.most_calls or sum(seconds) >= self.most_seconds


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """The calls before the clock, and whether they had come to rest."""

    calls: tuple[Call, ...]
    converged: bool

    @property
    def seconds(self) -> float:
        """What they took together."""
        return sum(_seconds(self.calls))


def warm_up(call: Callable[[int], Call], rule: WarmupRule) -> Warmup:
    """Calls ``call(0)``, ``call(1)`` and so on until they agree, or the cap is reached.

    Where the cap leaves fewer than ``rule.last`` blocks, the last two may agree in their place: of a model that takes
    twenty seconds, a third call would tell nothing new.
    """
    calls: list[Call] = []
    seconds: list[float] = []
    while True:
        calls.append(call(len(calls)))
        seconds += _seconds(calls[-1:])
        if not rule.may_stop(seconds):
            continue
        means, capped = last_blocks(seconds, rule.last, rule.block_seconds), rule.must_stop(seconds)
        converged = agree(means, rule.within) and (capped or len(means) == rule.last)
        if converged or capped:
            return Warmup(calls=tuple(calls), converged=converged)


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


def _seconds(calls: Sequence[Call]) -> list[float]:
    return [(call.wall_ns or 0) / 1e9 for call in calls]
