"""The report as Markdown: the same tables, the figure beside it as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.report import comparable, facts, frontier, gives_up, overhead, prose, real_size, tables
from trilemma.report.claim_texts import AXES, SIGNS, AssertedText, ClaimText, claim_texts
from trilemma.report.markdown_costs import coverage_blocks, name, timing_blocks
from trilemma.report.markdown_text import escape, grid
from trilemma.report.tables import SCORE_TITLES

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.record import Run
    from trilemma.store.frontier import Frontier

__all__ = ["escape", "grid", "markdown"]


def markdown(run: Run) -> str:
    """Returns the report; its figures are expected under ``figures/``."""
    blocks = [
        f"# {escape(prose.protocol_title(run))}",
        *(f"> **{escape(stamp.title)}** {escape(stamp.text)}" for stamp in prose.stamps(run)),
        escape(prose.statement(run)),
        *(_scored(run) if tables.is_scored(run) else []),
        *_bands(run),
        *_claims(run),
        "## Measurements",
        *_measurements(tables.raw_table(run)),
        *timing_blocks(run),
        *_real_size(run),
        *_overhead(run),
        *coverage_blocks(run),
        "## Failures",
        *_failures(run),
        "## Environment",
        grid(["", ""], facts.environment(run)),
    ]
    return "\n\n".join(blocks) + "\n"


def _scored(run: Run) -> list[str]:
    scores = tables.scores(run)
    picture = ["![Scores of every model on quality, diversity and speed, and pair by pair](figures/trilemma.svg)"]
    lines = [f"- {escape(verdict.sentence)}" for verdict in gives_up.verdicts(run, scores)]
    return [
        *filter(None, [escape(gives_up.headline(run, scores))]),
        *(_frontier(run.frontier) if run.is_sweep else picture),
        "## Scores",
        "0 to 10, ± one standard error. Scores are clipped to 0–10.",
        _scores(run, scores),
        *_absences(scores),
        *([] if run.is_sweep else ["### What each model gives up", "\n".join(lines) or "No model took part."]),
    ]


def _frontier(found: Frontier | None) -> list[str]:
    if found is None:
        return []
    blocks = [
        "![Every setting in pairs of scores, and the part of the cube of scores that each model takes]"
        "(figures/frontier.svg)",
        "## Frontiers",
        frontier.SAID,
    ]
    for model in found.models:
        sentences = [frontier.volume_sentence(model), *frontier.trade_sentences(model)]
        rows = list(frontier.setting_rows(model))
        blocks += [f"### {escape(model.model)}", grid(frontier.HEADER, rows), *map(escape, sentences)]
    return [*blocks, "![Precision and coverage along each knob](figures/trades.svg)"]


def _scores(run: Run, scores: pd.DataFrame) -> str:
    rows = []
    for model in run.models:
        found = {row["axis"]: row for row in scores[scores["model"] == model].to_dict("records")}
        rows.append([name(run, model), *(tables.score_text(found[axis]) for axis in SCORE_TITLES)])
    return grid(["Model", *SCORE_TITLES.values()], rows)


def _absences(scores: pd.DataFrame) -> list[str]:
    """Returns one list of the scores that are missing, with why; nothing when all are there."""
    absent = scores[scores["status"] != "ok"].groupby(["model", "status", "reason"], sort=False)["axis"]
    lines = [
        f"- {escape(str(model))}: {', '.join(axes).replace('_', ' ')} {escape(str(status))}, {escape(str(reason))}"
        for (model, status, reason), axes in absent
    ]
    return ["\n".join(lines)] if lines else []


def _bands(run: Run) -> list[str]:
    lines = comparable.band_lines(run)
    if not lines:
        return []
    rows = [[line.model, line.metric, line.value, line.band, line.verdict] for line in lines]
    return ["## Accepted bands", comparable.CAPTION, grid(["Model", "Metric", "Value", "Band", "Verdict"], rows)]


def _claims(run: Run) -> list[str]:
    texts = claim_texts(run)
    if texts is None:
        return []
    lines = [line for claim in texts.claims for line in _claim(claim)]
    blocks = [
        "## What people say",
        "Verdicts for these checkpoints at this scale, as their cards set them. In brackets 95 % intervals; a "
        "difference counts beyond the suite's margin and beyond chance, after Holm's adjustment over all "
        f"{texts.tests} comparisons.",
        "\n".join(lines),
    ]
    rows = [line for row in texts.asserted for line in _asserted(row)]
    header = ["Asserted, and measured here", *(SCORE_TITLES[axis] for axis in AXES)]
    notes = "\n".join(f"- {escape(note)}" for note in texts.notes)
    return [*blocks, *([grid(header, rows)] if rows else []), *([notes] if notes else [])]


def _claim(claim: ClaimText) -> list[str]:
    why = f": {escape(claim.why)}" if claim.why else ""
    lines = [f"- **{escape(claim.sentence)}** ({escape(claim.source)}) **{claim.verdict}**{why}"]
    for part in claim.parts:
        reason = f", {escape(part.why)}" if part.why else ""
        lines.append(f"  - “{escape(part.says)}”: {part.verdict}{reason}")
        lines += [f"    - {SIGNS[one.verdict]} {escape(one.text)}" for one in part.evidence]
    return lines


def _asserted(row: AssertedText) -> list[list[str]]:
    measured = [[f"{model}, measured", *scores] for model, scores in row.measured]
    return [[f"{row.name}, asserted", *row.scores], *(measured or [[row.absent, *("" for _ in AXES)]])]


def _measurements(raw: tables.RawTable) -> list[str]:
    if not raw.groups:
        return ["Nothing was measured: the run ended before its metrics were computed."]
    blocks = [
        "Value ± one standard error. ↑ higher is better, ↓ lower is better; numbers in brackets are notes. What "
        "each metric sees and misses, and how it is gamed: [glossary](report.html#glossary)."
    ]
    for title, rows in raw.groups:
        header = ["Metric", "Unit", "n", *raw.models]
        lines = [[_metric(row), row.unit, row.n, *map(_cell, row.cells)] for row in rows]
        blocks += [f"### {title}", grid([escape(name) for name in header], lines)]
    notes = "\n".join(f"{number}. {escape(note)}" for number, note in enumerate(raw.notes, start=1))
    return [*blocks, notes] if notes else blocks


def _metric(row: tables.TableRow) -> str:
    where = ", ".join(part for part in (row.set.replace("_", " "), row.variant) if part)
    return f"{row.described.title} {row.arrow}".strip() + (f" ({where})" if where else "")


def _cell(cell: tables.Cell) -> str:
    return cell.text if cell.measured else f"{cell.text} [{cell.note}]"


def _real_size(run: Run) -> list[str]:
    found = real_size.real_size(run)
    if found is None:
        return []
    blocks = ["## At real size", f"**{found.statement}** {real_size.CAPTION}"]
    for group in found.groups:
        figure = [f"![{found.statement}](figures/real-size-{group.name}.svg)"] if group.is_drawn else []
        rows = [[name(run, match.model), match.row.model, *match.cells] for match in group.matches]
        notes = "\n".join(f"- {escape(note)}" for note in group.notes)
        header = ["Model", "Published as", *real_size.COLUMNS]
        blocks += [f"### {escape(group.title)}", *figure, grid(header, rows), notes]
    missing = [f"- {escape(model)}: {escape(what)}" for model, what in found.missing]
    return [*blocks, *(["### What is missing", "\n".join(missing)] if missing else [])]


def _overhead(run: Run) -> list[str]:
    lines = overhead.overheads(run)
    if not lines:
        return []
    rows = [[name(run, line.model), *line.cells] for line in lines]
    reasons = "\n".join(f"- {escape(line.model)}: {escape(line.reason)}" for line in lines if line.reason)
    table = grid(["Model", *overhead.COLUMNS], rows)
    blocks = ["## Overhead of the suite", overhead.CAPTION, table, reasons, overhead.closing(run)]
    return [block for block in blocks if block]


def _failures(run: Run) -> list[str]:
    failures = [f"- **{escape(model)}**, {escape(what)}: {escape(why)}" for model, what, why in tables.failures(run)]
    omissions = [f"- {escape(model)}, {escape(what)}: {escape(why)}" for model, what, why in tables.omissions(run)]
    left_out = ["Left out:", "\n".join(omissions)] if omissions else []
    return ["\n".join(failures) or "None.", *left_out]
