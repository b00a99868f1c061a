"""A sweep's frontier in words and rows: the terminal, the page and the Markdown say the same."""

from __future__ import annotations

from collections.abc import Iterator

from trilemma.report.numbers import with_error
from trilemma.store.frontier import AXES, BESIDE, ModelFrontier, Number, Setting, Trade

CUBE = 1000.0
HEADER = ("setting", *AXES, *BESIDE, "")
MISSING = "–"
SAID = (
    "A setting is on the frontier unless another is at least as good in all three scores and better in one. The "
    "hypervolume is the part of the cube of scores, 10 × 10 × 10 = 1,000, that lies below some setting: which setting "
    "reaches farthest in which direction is chosen on one half of the samples and scored on the other, both ways "
    "averaged. It belongs to halves; the scores in the tables are those of all samples."
)


def setting_rows(model: ModelFrontier) -> Iterator[list[str]]:
    """Yields a line for each setting: scores with their errors, precision and coverage, where it stands."""
    for setting in model.settings:
        numbers = [text(setting.numbers[name]) for name in (*AXES, *BESIDE)]
        yield [setting_name(model, setting), *numbers, place(model, setting)]


def setting_name(model: ModelFrontier, setting: Setting) -> str:
    """Returns the values of the swept knobs, such as ``guidance_scale 2``; the default says that it is one."""
    values = ", ".join(f"{knob} {setting.knobs[knob]:g}" for knob in model.knobs if knob in setting.knobs)
    return f"{values} (default)" if setting.default else values or setting.entry


def place(model: ModelFrontier, setting: Setting) -> str:
    """Returns whether a setting is on the frontier, or by which it is dominated, or why it is no point."""
    if setting.dominated_by is not None:
        better = next(one for one in model.settings if one.entry == setting.dominated_by)
        return f"dominated by {setting_name(model, better)}"
    return "frontier" if setting.reason is None else f"no point: {setting.reason}"


def text(number: Number) -> str:
    """Returns a number with its standard error, or a dash."""
    return MISSING if number.value is None else with_error(number.value, number.se)


def volume_sentence(model: ModelFrontier) -> str:
    """Returns what the frontier of a model is worth, in one sentence."""
    found = model.hypervolume
    if found.value is None:
        return f"No hypervolume of {model.model}: {found.reason}."
    interval = "" if found.low is None or found.high is None else f", 95 % interval {found.low:.0f} to {found.high:.0f}"
    told = "" if found.reason is None else f" ({found.reason})"
    alone = "" if model.of_default is None else f" Its default alone takes {share(model.of_default)}."
    whole = "" if model.whole is None else f" All samples, choosing and scoring alike: {share(model.whole)}."
    said = f"Hypervolume of {model.model}: {text(found)} of 1,000{interval}: {share(found.value)} of the cube{told}."
    return f"{said}{alone}{whole}"


def share(volume: float) -> str:
    """Returns a volume as a share of the cube."""
    return f"{volume / CUBE:.1%}"


def trade_sentences(model: ModelFrontier) -> list[str]:
    """Returns what raising a knob does to precision and coverage, one sentence for each line of settings."""
    lines: dict[tuple[str, ...], list[Trade]] = {}
    for trade in model.trades:
        lines.setdefault((trade.knob, *trade.entries), []).append(trade)
    by_entry = {setting.entry: setting for setting in model.settings}
    return [_trades(trades, by_entry) for trades in lines.values()]


def _trades(trades: list[Trade], by_entry: dict[str, Setting]) -> str:
    first = trades[0]
    ends = [by_entry[entry].knobs[first.knob] for entry in (first.entries[0], first.entries[-1])]
    others = [f"{name} {value:g}" for name, value in _others(first, by_entry).items()]
    at = f" (at {', '.join(others)})" if others else ""
    return f"{first.knob} {ends[0]:g} → {ends[1]:g}{at}: {'; '.join(map(_change, trades))}."


def _others(trade: Trade, by_entry: dict[str, Setting]) -> dict[str, float | int]:
    """The other knobs that were swept are those in which the lines of a knob differ."""
    knobs = by_entry[trade.entries[0]].knobs
    varied = {name for setting in by_entry.values() for name, value in setting.knobs.items() if value != knobs[name]}
    return {name: knobs[name] for name in knobs if name in varied and name != trade.knob}


def _change(trade: Trade) -> str:
    value = trade.change.value
    if value is None:
        return f"{trade.number.replace('_', ' ')} {MISSING}"
    back = f", {trade.reversed} of {len(trade.steps)} steps back" if trade.reversed else ""
    return f"{trade.number.replace('_', ' ')} {'+' if value > 0 else ''}{with_error(value, trade.change.se)}{back}"
