"""What the record says beside its numbers: each model's card, the identity of its series, the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.report import tables
from trilemma.report.catalog import describe
from trilemma.report.fields import flatten
from trilemma.report.numbers import count

if TYPE_CHECKING:
    from trilemma.report.record import Run

Pairs = list[tuple[str, str]]
CARD_METRICS = ("parameters", "evaluations_per_image")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A model as the report introduces it."""

    model: str
    title: str
    control: bool
    description: str
    facts: Pairs
    training: Pairs


def model_card(run: Run, model: str) -> ModelCard:
    """Returns what the record holds about a model: what it is, what it costs, how it was trained."""
    card, info = run.card(model), run.info(model)
    about = {name: card.get(name) or info.get(name) for name in ("family", "factory", "resolution", "licence")}
    costs = [(describe(metric).title, _cost(run, model, metric)) for metric in CARD_METRICS]
    return ModelCard(
        model=model,
        title=run.title(model),
        control=run.is_control(model),
        description=str(card.get("description") or ""),
        facts=[*flatten(about), *costs, *flatten(info.get("knobs") or card.get("knobs") or {}, "knob ")],
        training=flatten({**(card.get("training") or {}), **(card.get("measured") or {})}),
    )


def _cost(run: Run, model: str, metric: str) -> str:
    cell = tables.cell_of(run, model, run.find(model, metric))
    if cell.measured:
        return cell.text
    stated = (run.info(model) or run.card(model)).get(metric)
    return count(stated) if isinstance(stated, int) else f"{cell.text}: {cell.reason}"


def identity(run: Run) -> list[tuple[str, Pairs]]:
    """Returns (model, [(digest's name, digest)]) of every model that has digests."""
    return [
        (model, [(kind, str(key.get("digest", ""))) for kind, key in keys.items()])
        for model, keys in run.record.keys.items()
        if keys
    ]


def environment(run: Run) -> Pairs:
    """Returns the run's identity, command, host and software as pairs of texts."""
    record = run.record
    known: dict[str, Any] = {
        "run": record.run_id,
        "identity": record.identity,
        "status": record.status,
        "attempts": record.attempts,
        "command": " ".join(record.argv),
        "tool": record.tool,
        "host": record.host,
        "environment": record.env,
        "instruments": record.instruments,
        "reference": record.reference,
    }
    return flatten(known)
