"""The verdicts of a gate or a comparison: one text per column, and Markdown for a pull request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trilemma.report.markdown import escape, grid
from trilemma.report.numbers import interval, quantity, with_error
from trilemma.tracking.judged import FAILING, PASSING, Judged, failures_first

if TYPE_CHECKING:
    from trilemma.tracking.gate import Outcome

COLUMNS = ("verdict", "series", "baseline", "candidate", "difference", "margin", "why")
MISSING = "–"


def cells(one: Judged) -> tuple[str, ...]:
    """Returns a series as texts, one for each of ``COLUMNS``."""
    values = (one.baseline, one.candidate)
    before, after = (MISSING if value is None else quantity(value, None, one.unit) for value in values)
    verdict = one.verdict if one.gated else f"({one.verdict})"
    return verdict, one.name, before, after, _difference(one), _margin(one), one.message


def bounds_text(one: Judged) -> str:
    """Returns the one-sided bounds of the difference that the verdict is made of, as ``low to high``."""
    low, high = one.decision.lower, one.decision.upper
    if low is None or high is None:
        return MISSING
    if one.worse != one.difference:  # bounds are of what is worse, the difference is candidate − baseline
        low, high = -high, -low
    if not one.log:
        return interval(low, high, one.se, one.unit)
    return f"{interval(100 * math.expm1(low), 100 * math.expm1(high), _percent(one.se))} %"


def markdown(outcome: Outcome, *, strict: bool) -> str:
    """Returns a summary for a pull request: the result in a sentence, what changed, failures in full."""
    blocks = [f"### {escape(headline(outcome, strict=strict))}", _counts(outcome.count())]
    changed = [f"- `{escape(model)}`: {escape('; '.join(fields))}" for model, fields in outcome.facts.items()]
    if changed:
        blocks += ["What differs beside the numbers:", "\n".join(changed)]
    shown = [one for one in failures_first(outcome.gated) if one.verdict not in PASSING]
    if shown:
        blocks.append(table(shown))
    rest = [one for one in failures_first(outcome.gated) if one.verdict in PASSING]
    if rest:
        blocks.append(f"<details><summary>{len(rest)} gated series passed</summary>\n\n{table(rest)}\n\n</details>")
    return "\n\n".join(blocks) + "\n"


def headline(outcome: Outcome, *, strict: bool) -> str:
    """Returns the result of a gate in one line."""
    failing = [one for one in outcome.gated if one.verdict in FAILING]
    failed = f"failed: {len(failing)} of {len(outcome.gated)} gated series"
    said = {0: "passed", 1: failed, 3: "could not decide"}
    code = outcome.exit_code(strict=strict)
    why = f" ({'; '.join(outcome.other_plan)})" if code == 3 and outcome.other_plan else ""
    return f"Gate against {outcome.baseline} {said[code]}{why}"


def table(series: Iterable[Judged]) -> str:
    """Returns a Markdown table."""
    return grid(COLUMNS, [cells(one) for one in series])


def totals(count: Mapping[str, int]) -> str:
    """Returns the verdicts with their numbers in one line."""
    return ", ".join(f"{number} {verdict}" for verdict, number in count.items()) or "nothing is gated"


def as_rows(series: Sequence[Judged]) -> list[dict[str, object]]:
    """Returns plain data for JSON, the decision's fields among the others."""
    return [_plain(one) for one in series]


def _plain(one: Judged) -> dict[str, object]:
    told = {name: value for name, value in vars(one).items() if name != "decision"}
    decided = {name: value for name, value in vars(one.decision).items() if name != "verdict"}
    return {"verdict": one.verdict, "series": one.name, **told, **decided}


def _counts(count: Mapping[str, int]) -> str:
    return escape(totals(count))


def _difference(one: Judged) -> str:
    if one.difference is None:
        return MISSING
    if not one.log:
        return with_error(one.difference, one.se)
    return f"{with_error(100 * math.expm1(one.difference), _percent(one.se))} %"


def _percent(se: float | None) -> float | None:
    return None if se is None else 100 * se


def _margin(one: Judged) -> str:
    if one.margin is None:
        return MISSING
    size = f"{with_error(100 * one.margin)} %" if one.log else with_error(one.margin)
    return size if one.margin_from in (None, "default") else f"{size} ({one.margin_from})"
