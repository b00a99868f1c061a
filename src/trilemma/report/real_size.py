"""At real size: the quality that papers publish of a network beside the speed that this run measured of it.

A row of ``results/published/`` stands beside a model whose card names it (``published_as``), whose images are of the
row's size, and that was timed at what of the row's settings costs time: as many steps, guided or not. Rows whose images
a classifier chose among are left out, for the choice is no part of what was timed; so are those of another variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.published import PublishedRow, PublishedTable, Source, load_published, published_home
from trilemma.report import tables
from trilemma.report.numbers import count

if TYPE_CHECKING:
    from trilemma.report.record import Run

STATEMENT = "Quality is published, for trained weights; speed is measured here with random weights."
CAPTION = (
    "FID and recall as the source prints them, of trained weights in the source's own arithmetic, as it measured them; "
    "images per second at the best batch and latency at batch 1 as this run measured them. No single experiment gave "
    "both: a lower precision may cost quality that no number here shows."
)
COLUMNS = ("FID", "Recall", "Images/s here", "Batch", "Latency here", "Published for", "Source")
TEXTS = COLUMNS[-2:]  # the columns that hold words
UNKNOWN = "not published"
VERIFIED = {
    "repository": "read in the official repository",
    "copy": "read in a copy of the table, not in the paper itself",
    "issue": "read in a thread of the official repository",
}
STEPS, GUIDANCE = "num_inference_steps", "guidance_scale"


@dataclass(frozen=True, kw_only=True)
class Match:
    """A published row and a timed model that it stands beside.

    Attributes:
        model: as the run calls it. network: its name without settings. settings: those; without any, its precision.
        rate, rate_error: images per second and its standard error; None where it could not be had.
        cells: a text for each of :data:`COLUMNS`.
    """

    model: str
    network: str
    settings: str
    row: PublishedRow
    rate: float | None
    rate_error: float | None
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The matches of one benchmark of the literature; ``notes`` say how its sources measured."""

    name: str
    title: str
    matches: tuple[Match, ...]
    notes: tuple[str, ...]

    @property
    def timed(self) -> list[Match]:
        """The matches with a speed."""
        return [match for match in self.matches if match.rate is not None]

    @property
    def is_drawn(self) -> bool:
        """Whether there is anything to compare: the speeds of two networks."""
        return len({match.network for match in self.timed}) > 1


@dataclass(frozen=True, kw_only=True)
class RealSize:
    """Everything that the section shows. ``missing`` holds (model, what there is not)."""

    statement: str
    groups: tuple[Group, ...]
    missing: tuple[tuple[str, str], ...]


def real_size(run: Run) -> RealSize | None:
    """Returns the section's contents; None where no model of the run is of a published network."""
    models = [model for model in run.models if _is_published(run.card(model))]
    if not models:
        return None
    known = load_published(published_home())
    fitting = {model: list(_fitting(run, model, known)) for model in models}
    groups = sorted((_group(run, table, fitting) for table in known), key=lambda group: -len(group.matches))
    missing = tuple(dict.fromkeys(pair for model in models for pair in _missing(run, model, known, fitting[model])))
    drawn = all(run.card(model).get("weights") == "random" for model in models)
    statement = STATEMENT if drawn else STATEMENT.replace("random weights.", "random weights where that is said.")
    return RealSize(statement=statement, groups=tuple(group for group in groups if group.matches), missing=missing)


def _is_published(card: Mapping[str, Any]) -> bool:
    return bool(card.get("published_as")) or card.get("weights") == "random"


def _fitting(run: Run, model: str, known: Sequence[PublishedTable]) -> Iterator[tuple[PublishedTable, PublishedRow]]:
    card, knobs = run.card(model), _knobs(run, model)
    unconditional = "unconditional" in run.info(model).get("capabilities", ())
    for table in _of_data(card, known):
        for row in table.rows:
            other_task = row.conditional is False and not unconditional
            if _of_model(row, table, card) and _same_cost(row, knobs) and not other_task:
                yield table, row


def _of_data(card: Mapping[str, Any], known: Sequence[PublishedTable]) -> Sequence[PublishedTable]:
    """Sources call networks of several data sets by one name: where a table is of the card's own, only it counts."""
    return [t for t in known if t.name == f"{card.get('data')}-{card.get('resolution')}"] or known


def _of_model(row: PublishedRow, table: PublishedTable, card: Mapping[str, Any]) -> bool:
    same_size = (row.resolution or table.resolution) == card.get("resolution")
    return row.model == card.get("published_as") and same_size and row.metrics.fid is not None and not row.variant


def _same_cost(row: PublishedRow, knobs: Mapping[str, Any]) -> bool:
    sampler = row.sampler
    other_steps = STEPS in knobs and sampler.steps is not None and knobs[STEPS] != sampler.steps
    guided = knobs.get(GUIDANCE, 1.0) != 1.0
    # A classifier's guidance is another network's; where the source does not say, nothing contradicts.
    kinds = (None, "classifier-free") if guided else (None, "none")
    return not other_steps and sampler.guidance_kind in kinds and not sampler.rejection


def _knobs(run: Run, model: str) -> dict[str, Any]:
    return {**(run.card(model).get("knobs") or {}), **(run.info(model).get("knobs") or {})}


def _group(run: Run, table: PublishedTable, fitting: Mapping[str, list[tuple[PublishedTable, PublishedRow]]]) -> Group:
    pairs = [(model, row) for model, found in fitting.items() for own, row in found if own is table]
    protocols = dict.fromkeys(row.protocol for _, row in pairs)
    notes = [f"{name}: {table.protocols[name].summary}" for name in protocols]
    remarks = dict.fromkeys(f"{row.model}: {row.note}" for _, row in pairs if row.note)
    sources = [_source(name, table.sources[name]) for name in dict.fromkeys(row.source for _, row in pairs)]
    matches = tuple(_match(run, model, row) for model, row in pairs)
    return Group(name=table.name, title=table.title, matches=matches, notes=(*sources, *notes, *remarks))


def _source(name: str, source: Source) -> str:
    where = ", ".join(part for part in (source.title, source.table, *(f"arXiv {key}" for key in source.arxiv)) if part)
    return " ".join(part for part in (f"{name}: {where}; {VERIFIED[source.verified]}.", source.note) if part)


def _match(run: Run, model: str, row: PublishedRow) -> Match:
    network, _, settings = model.partition("@")
    rate, latency = run.find(model, "images_per_second"), run.find(model, "latency_batch1")
    batch = rate.params.get("batch_size") if rate is not None and rate.value is not None else None
    recall = row.metrics.recall
    cells = (
        f"{row.metrics.fid:.2f}",
        UNKNOWN if recall is None else f"{recall:.2f}",
        tables.cell_of(run, model, rate).text,
        count(batch) if isinstance(batch, int) else "",
        _with_unit(tables.cell_of(run, model, latency)),
        _settings(row),
        row.source,
    )
    return Match(
        model=model,
        network=network,
        settings=settings or str(run.card(model).get("precision") or "fp32"),
        row=row,
        rate=rate.value if rate is not None else None,
        rate_error=rate.se if rate is not None else None,
        cells=cells,
    )


def _settings(row: PublishedRow) -> str:
    sampler = row.sampler
    steps = [f"{count(sampler.steps)} step{'s' if sampler.steps > 1 else ''}"] if sampler.steps else []
    solver = [sampler.solver] if sampler.solver else []
    guidance = [f"guidance {sampler.guidance:g}"] if sampler.guidance is not None else []
    none = ["no guidance"] if sampler.guidance_kind == "none" else []
    return ", ".join([*steps, *solver, *guidance, *none]) or "settings not given"


def _with_unit(cell: tables.Cell) -> str:
    return f"{cell.text} s" if cell.measured else cell.text


def _missing(
    run: Run, model: str, known: Sequence[PublishedTable], fitting: list[tuple[PublishedTable, PublishedRow]]
) -> Iterator[tuple[str, str]]:
    """Yields what a model lacks: a published row, or a measurement."""
    card = run.card(model)
    named = card.get("published_as")
    if not named:
        yield model.partition("@")[0], "no published number is known that is surely of this network."
    elif not fitting:
        there = sum(_of_model(row, table, card) for table in known for row in table.rows)
        yield model, f"of {named}, {_rows(there)} published, none at the steps and guidance that were timed."
    for metric in ("images_per_second", "latency_batch1"):
        cell = tables.cell_of(run, model, run.find(model, metric))
        if not cell.measured:
            yield model, f"{metric.replace('_', ' ')} {cell.text}: {cell.reason}"


def _rows(number: int) -> str:
    return "no row is" if number == 0 else f"{count(number)} row{' is' if number == 1 else 's are'}"
