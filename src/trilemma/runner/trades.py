"""What each swept knob trades: precision against coverage along its values, by differences of paired settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trilemma.statistics.estimate import Estimate, missing
from trilemma.statistics.intervals import LEVEL
from trilemma.statistics.paired import paired
from trilemma.store.frontier import TRADED, Number, Setting, Trade
from trilemma.store.replicates import Sources, read_replicates
from trilemma.store.run import Run


def trades(run: Run, knobs: Sequence[str], settings: Sequence[Setting]) -> list[Trade]:
    """Returns one trade for every knob, every choice of the others and each number; neighbours share their samples."""
    return [
        _trade(run, knob, number, line)
        for knob in knobs
        for line in _lines(knob, settings)
        for number in TRADED
        if all(setting.numbers[number].value is not None for setting in line)
    ]


def number_of(estimate: Estimate) -> Number:
    """Returns an estimate as a sweep's record holds it."""
    if estimate.value is None:
        return Number(reason=estimate.reason)
    low, high = estimate.interval(LEVEL) or (None, None)
    return Number(value=estimate.value, se=estimate.se, low=low, high=high, reason=estimate.reason)


def _lines(knob: str, settings: Sequence[Setting]) -> Iterator[list[Setting]]:
    """Yields the settings that differ in this knob alone, by ascending value, where there are at least two."""
    by_others: dict[tuple[tuple[str, float], ...], list[Setting]] = {}
    for setting in settings:
        if knob not in setting.knobs:
            continue  # it failed before it could tell them
        others = tuple((name, value) for name, value in sorted(setting.knobs.items()) if name != knob)
        by_others.setdefault(others, []).append(setting)
    yield from (sorted(line, key=lambda s: s.knobs[knob]) for line in by_others.values() if len(line) > 1)


def _trade(run: Run, knob: str, number: str, line: Sequence[Setting]) -> Trade:
    values = [_estimate(run, setting.entry, number) for setting in line]
    steps = [number_of(_difference(*pair)) for pair in zip(values, values[1:], strict=False)]
    change = number_of(_difference(values[0], values[-1]))
    return Trade(
        knob=knob,
        number=number,
        entries=tuple(setting.entry for setting in line),
        steps=tuple(steps),
        change=change,
        reversed=None if change.value is None else sum(_leads_back(step, change.value) for step in steps),
    )


def _difference(before: Estimate, after: Estimate) -> Estimate:
    if not before.replicates or not after.replicates:
        return missing("the run keeps nothing to pair this number by", n=before.n)
    return paired(before, after)


def _estimate(run: Run, entry: str, metric: str) -> Estimate:
    row = run.row(entry, metric)
    assert row is not None and row.value is not None, "only numbers that are there have trades"
    path = run.folder.replicates(entry)
    sources: Sources = read_replicates(path).get(metric, ()) if path.is_file() else ()
    return Estimate(
        value=row.value, se=row.se, se_method=row.se_method or "none", n=row.n or 0, replicates=sources
    )  # fmt: skip


def _leads_back(step: Number, change: float) -> bool:
    """Whether a step leads the other way than the whole, with its interval on that side of 0."""
    if step.low is None or step.high is None:
        return False
    return step.high < 0 if change > 0 else step.low > 0
