"""``list``: models, protocols, metrics, presets, plug-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.cli.options import Json, Root, people, print_json
from trilemma.strict_toml import dump

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.card import Card
    from trilemma.features.presets import Preset
    from trilemma.metrics.catalog import Metric
    from trilemma.protocol import Protocol


def list_(root: Root = None, json: Json = False) -> None:
    """Shows the models, the protocols, their metrics, the presets of score, and what plug-ins are installed.

    Example: trilemma list --json
    """
    from trilemma.cli.plugins import installed
    from trilemma.features.presets import PRESETS
    from trilemma.metrics.catalog import METRICS
    from trilemma.protocols import protocols
    from trilemma.registry import cards
    from trilemma.workspace import find_workspace

    workspace = find_workspace(root)
    models, benchmarks, plugged = cards(workspace), protocols(workspace), installed(workspace)
    if json:
        print_json(
            {
                "root": str(workspace.root),
                "models": [_model(card) for card in models.values()],
                "protocols": [_protocol(protocol) for protocol in benchmarks.values()],
                "metrics": [_metric(metric) for metric in METRICS.values()],
                "presets": [_preset(preset) for preset in PRESETS.values()],
                "plugins": plugged,
            }
        )
        return
    console = people()
    rows = [_model(card) | {"takes part in": _takes_part_in(card)} for card in models.values()]
    console.print(_table("Models", ("name", "family", "title", "takes part in"), rows))
    listed = [_protocol(p) | {"comparable with": _numbers(p)} for p in benchmarks.values()]
    console.print(_table("Protocols", ("name", "title", "images", "data", "comparable with"), listed))
    console.print(_table("Metrics", ("name", "better", "axis", "description"), [_metric(m) for m in METRICS.values()]))
    presets = [row | {"metrics": ", ".join(row["metrics"])} for row in map(_preset, PRESETS.values())]
    console.print(_table("Presets of score", ("name", "title", "metrics"), presets))
    if plugged:
        rows = [row | {"works": row["error"] or "yes"} for row in plugged]
        console.print(_table("Plug-ins", ("kind", "name", "distribution", "version", "title", "works"), rows))


def _model(card: Card) -> dict[str, Any]:
    described = {"name": card.name, "family": card.family or card.factory, "title": card.title}
    marks = {"control": card.control, "random_weights": card.random_weights, "missing": _missing(card)}
    return described | marks | {"resolution": card.resolution, "licence": card.licence}


def _takes_part_in(card: Card) -> str:
    if card.random_weights:
        return "speed only (random weights)"
    return "everything" if _missing(card) is None else "nothing yet: not at hand"


def _missing(card: Card) -> str | None:
    from trilemma.at_hand import missing

    absent = missing(card)
    return None if absent is None else str(absent)


def _protocol(protocol: Protocol) -> dict[str, Any]:
    images = sum(entry.images for entry in protocol.sets)
    described = {"name": protocol.name, "version": protocol.version, "title": protocol.title, "images": images}
    described |= {
        "data": protocol.data,
        "comparable": None if protocol.comparable is None else dump(protocol.comparable),
    }
    return described | {"resolution": protocol.resolution, "models": list(protocol.models)}


def _numbers(protocol: Protocol) -> str:
    return "" if protocol.comparable is None else protocol.comparable.numbers


def _metric(metric: Metric) -> dict[str, Any]:
    described = {"name": metric.name, "title": metric.title, "axis": metric.axis, "better": metric.direction}
    return described | {"unit": metric.unit, "version": metric.version, "description": metric.description}


def _preset(preset: Preset) -> dict[str, Any]:
    names = list(dict.fromkeys(use.name for use in preset.metrics))
    return {"name": preset.name, "title": preset.title, "digest": preset.digest(), "metrics": names}


def _table(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*[str(row[column]) for column in columns])
    return table
