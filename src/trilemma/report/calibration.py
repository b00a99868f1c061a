"""A calibration as Markdown and as a heat map: which metric saw which distortion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from trilemma.report.markdown import escape, grid
from trilemma.report.numbers import count, with_error
from trilemma.scoring.distortions import DISTORTIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trilemma.scoring.calibration import Calibration, Cell
    from trilemma.scoring.calibration_truth import Agreement
    from trilemma.scoring.calibration_verdict import Reading

MISSING = "–"
EXPECTED = "*"
# Okabe and Ito: blue for what was seen, vermilion for what nobody expected; what is documented or absent stays pale.
_COLOURS = ("#f4f4f4", "#D55E00", "#d5d9de", "#0072B2")
_INK_ON = ("#1f2328", "#ffffff", "#1f2328", "#ffffff")
_FIGURE = "calibration.png"


def word(cell: Cell) -> str:
    """Returns the verdict of one cell, marked where it is a documented failure."""
    return f"{cell.verdict}{EXPECTED}" if _state(cell) == 2 else cell.verdict


def matrix(calibration: Calibration) -> list[list[str]]:
    """Returns one line per distortion: its title, and the verdict of every metric."""
    return [
        [DISTORTIONS[name].title, *(word(calibration.cell(name, metric)) for metric in calibration.metrics)]
        for name in calibration.distortions
    ]


def explanations(calibration: Calibration) -> list[str]:
    """Returns one sentence for every documented failure that showed, with what it explains."""
    documented = [cell for cell in calibration.cells if _state(cell) == 2]
    return _by_reason((cell.expected.reason, cell) for cell in documented if cell.expected is not None)


def surprises(calibration: Calibration) -> list[str]:
    """Returns one sentence for every failure that is not documented."""
    return [f"{cell.metric} ({cell.distortion}): {cell.verdict}." for cell in calibration.unexpected]


def gaps(calibration: Calibration) -> list[str]:
    """Returns one sentence for every cell, or level of one, that has no value, each reason once."""
    return _by_reason(
        (one.reason or "no value", cell)
        for cell in calibration.cells
        for one in (cell.clean, *cell.levels)
        if one.value is None
    )


def markdown(calibration: Calibration, agreements: Sequence[Agreement] = ()) -> str:
    """Returns the whole calibration; its figure is expected beside it as ``calibration.png``."""
    identity = calibration.identity
    blocks = [
        "# What the metrics see",
        escape(
            f"Preset {identity['preset']}, {count(identity['samples'])} images of {identity['source']}, "
            f"{identity['levels']} levels, seed {identity['seed']}."
        ),
        f"![Verdict of every metric on every distortion]({_FIGURE})",
        grid(["Distortion", *map(escape, calibration.metrics)], matrix(calibration)),
        "saw: worse at the strongest level by more than 3 standard errors, and no step back on the way. Fewer samples "
        "are no distortion: there a metric should be steady. \\* marks a failure that is documented.",
        *_section("Unexpected failures", surprises(calibration) or ["None."]),
        *_section("Expected failures", explanations(calibration) or ["None."]),
        *_section("Not measured", gaps(calibration)),
        "## Kendall's tau with the severity",
        grid(["Distortion", *map(escape, calibration.metrics)], _taus(calibration)),
        *_agreements(agreements),
        "## Values",
        "Value ± one standard error.",
        *(block for name in calibration.distortions for block in _values(calibration, name)),
    ]
    return "\n\n".join(blocks) + "\n"


def agreement_rows(agreements: Sequence[Agreement]) -> list[list[str]]:
    """Returns one line per metric: its tau with each truth, and how many models it is over."""
    metrics = dict.fromkeys(one.metric for one in agreements)
    found = {(one.metric, one.truth): one for one in agreements}
    return [[metric, *(_agreement(found.get((metric, truth))) for truth in truths(agreements))] for metric in metrics]


def truths(agreements: Iterable[Agreement]) -> list[str]:
    """Returns the truths that there are agreements with."""
    return list(dict.fromkeys(one.truth for one in agreements))


def heat_map(calibration: Calibration) -> Figure:
    """Draws the matrix: blue where a metric saw a distortion, vermilion where it failed and nobody expected it."""
    import numpy as np
    import seaborn as sns
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    cells = [[calibration.cell(name, metric) for metric in calibration.metrics] for name in calibration.distortions]
    states = np.array([[_state(cell) for cell in line] for line in cells])
    figure = Figure(figsize=(2.2 + 1.02 * len(calibration.metrics), 1.5 + 0.46 * len(cells)), layout="constrained")
    axes = figure.add_subplot()
    sns.heatmap(
        states, ax=axes, cmap=ListedColormap(_COLOURS), vmin=-0.5, vmax=3.5, cbar=False, linewidths=2,
        annot=np.array([[word(cell) for cell in line] for line in cells]), fmt="", annot_kws={"fontsize": 8.5},
        xticklabels=calibration.metrics, yticklabels=[DISTORTIONS[name].title for name in calibration.distortions],
    )  # fmt: skip
    for text, state in zip(axes.texts, states.ravel(), strict=True):
        text.set_color(_INK_ON[state])
    axes.tick_params(length=0, labelsize=9)
    for label in axes.get_xticklabels():
        label.set(rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="y", rotation=0)
    axes.set_title(
        f"What the metrics of {calibration.identity['preset']} see, N = {calibration.identity['samples']:,}",
        loc="left", fontsize=11,
    )  # fmt: skip
    figure.supxlabel(f"{EXPECTED} a failure that is documented", fontsize=8.5, x=0.01, ha="left")
    return figure


def _state(cell: Cell) -> int:
    """Returns the cell's place in the colours: nothing, an unexpected failure, an expected one, a success."""
    if cell.verdict == "not measured":
        return 0
    if cell.verdict in ("saw", "steady"):
        return 3
    return 1 if cell.unexpected else 2


def _by_reason(reasons: Iterable[tuple[str, Cell]]) -> list[str]:
    """Returns one sentence per reason, with the metrics and the distortions that it is about."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for reason, cell in reasons:
        found.setdefault(reason, {}).setdefault(cell.metric, {})[cell.distortion] = None
    return [f"{_listed(metrics)}: {reason}." for reason, metrics in found.items()]


def _listed(metrics: dict[str, dict[str, None]]) -> str:
    return "; ".join(f"{metric} ({', '.join(names)})" for metric, names in metrics.items())


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {escape(line)}" for line in lines)] if lines else []


def _taus(calibration: Calibration) -> Iterator[list[str]]:
    for name in calibration.distortions:
        cells = [calibration.cell(name, metric) for metric in calibration.metrics]
        yield [DISTORTIONS[name].title, *(MISSING if cell.tau is None else f"{cell.tau:+.2f}" for cell in cells)]


def _agreements(agreements: Sequence[Agreement]) -> list[str]:
    if not agreements:
        return []
    return [
        "## Agreement with the truth",
        "Kendall's tau between a metric's ranking of the run's models and the ranking by what is known of them.",
        grid(["Metric", *map(escape, truths(agreements))], agreement_rows(agreements)),
    ]


def _agreement(one: Agreement | None) -> str:
    return MISSING if one is None or one.tau is None else f"{one.tau:+.2f} ({len(one.models)} models)"


def _values(calibration: Calibration, name: str) -> list[str]:
    cells = [calibration.cell(name, metric) for metric in calibration.metrics]
    strengths = [f"{strength:g}" for strength in cells[0].strengths]
    rows = [[cell.metric, *(_value(one) for one in (cell.clean, *cell.levels))] for cell in cells]
    distortion = DISTORTIONS[name]
    return [f"### {distortion.title}", f"{distortion.meaning}.", grid(["Metric", "clean", *strengths], rows)]


def _value(reading: Reading) -> str:
    return MISSING if reading.value is None else with_error(reading.value, reading.se)
