"""Every series of every model with its verdict: as a figure, and as the table behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.report import verdicts
from trilemma.report.comparison.forest import SIGNS, description, forest_figure, is_drawn
from trilemma.report.comparison.outcome import WORDS, counts, title_of
from trilemma.report.drawing import inline_svg
from trilemma.report.numbers import count, quantity
from trilemma.report.tables import Cell, cell_of
from trilemma.tracking.judged import Judged, failures_first

if TYPE_CHECKING:
    from markupsafe import Markup

    from trilemma.report.comparison.contents import Contents
    from trilemma.report.comparison.pair import Pair
    from trilemma.report.record import Run

ID = "verdicts"
TITLE = "Verdicts"
STYLES = ("comparison.css",)
LOUD = ("regressed", "improved", "invalid")
"""Words of which a reader wants to see the series at once."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series as a line of the table.

    Attributes:
        verdict: in brackets where the series is not gated, as everywhere.
        bounds: of the difference, one-sided at 99 %.
        a, b: either side's value with its error, and its n.
    """

    judged: Judged
    title: str
    verdict: str
    difference: str
    bounds: str
    margin: str
    why: str
    a: Cell
    b: Cell

    @property
    def word(self) -> str:
        """The verdict as an ordinary word."""
        return WORDS[self.judged.verdict]


@dataclass(frozen=True, kw_only=True)
class ModelVerdicts:
    """A model's series, failures first.

    Attributes:
        only_in: the one run that has the model, or "".
        failures: the runs in which it failed, each with the error.
        words: how many series, and how many gated ones, each word stands for.
    """

    model: str
    only_in: str
    failures: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    words: dict[str, tuple[int, int]]

    @property
    def totals(self) -> str:
        """The words with their numbers."""
        return ", ".join(f"{count(number)} {word}" for word, (number, _) in self.words.items())

    @property
    def unfolded(self) -> bool:
        """Whether there is something to see at once; what only one run has is no news of a model."""
        missing = self.words.get("missing", (0, 0))
        return not self.only_in and (any(word in LOUD for word in self.words) or missing[1] > 0)


def content(told: Contents) -> dict[str, Any]:
    """Returns every model's lines with their figure, and the words that occur."""
    models = told.verdicts
    return {
        "models": [(one, _figure(one, number)) for number, one in enumerate(models)],
        "words": [word for word in dict.fromkeys(WORDS.values()) if any(word in one.words for one in models)],
        "signs": SIGNS,
    }


def of_models(pair: Pair) -> list[ModelVerdicts]:
    """Returns every model that has numbers or an error, in the order of the page."""
    found = [_of_model(pair, model) for model in pair.models]
    return [one for one in found if one.lines or one.failures]


def _of_model(pair: Pair, model: str) -> ModelVerdicts:
    series = failures_first(one for one in pair.series if one.model == model)
    gated = counts(one for one in series if one.gated)
    return ModelVerdicts(
        model=model,
        only_in=pair.only_in(model),
        failures=tuple((name, error) for name, run in (("A", pair.a), ("B", pair.b)) if (error := run.error(model))),
        lines=tuple(_line(pair, one) for one in series),
        words={word: (number, gated.get(word, 0)) for word, number in counts(series).items()},
    )


def _line(pair: Pair, one: Judged) -> Line:
    texts = dict(zip(verdicts.COLUMNS, verdicts.cells(one), strict=True))
    return Line(
        judged=one,
        title=title_of(one.metric),
        bounds=verdicts.bounds_text(one),
        a=_side(pair.a, one, one.baseline),
        b=_side(pair.b, one, one.candidate),
        **{name: texts[name] for name in ("verdict", "difference", "margin", "why")},
    )


def _side(run: Run, one: Judged, value: float | None) -> Cell:
    row = run.find(one.model, one.metric)
    if row is None and value is not None:  # a count of images is no row of the record
        return Cell(text=quantity(value, None, one.unit), measured=True)
    if one.model not in run.models:
        return Cell(text="not in this run", measured=False)
    return cell_of(run, one.model, row)


def _figure(found: ModelVerdicts, number: int) -> Markup | None:
    """Returns the figure of a model; None where there is nothing to draw."""
    from markupsafe import Markup

    series = [line.judged for line in found.lines if is_drawn(line.judged)]
    if not series:
        return None
    # Our own drawing, in which ElementTree has escaped every name.
    return Markup(inline_svg(forest_figure(series), f"forest-{number}", description(found.model, series)))
