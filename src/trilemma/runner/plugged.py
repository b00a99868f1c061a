"""What of a run comes from plug-ins: who they are, and the numbers of their metrics. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from trilemma import registry
from trilemma.card import Card
from trilemma.data import datasets
from trilemma.metrics.plugin import PluginMetric, brought, computed
from trilemma.plugins import Plugin, find
from trilemma.protocol import PROMPTED, Protocol

if TYPE_CHECKING:
    from trilemma.runner.anchors import Anchors
    from trilemma.runner.evaluate import Evaluation, Measured, SetData


def used_plugins(cards: Iterable[Card], protocol: Protocol) -> list[dict[str, str]]:
    """Returns kind, name, distribution and version of every plug-in that has a part in a run, for its record."""
    roles = protocol.extractors.roles().values() if protocol.extractors is not None else ()
    found = [registry.plugin_of(card) for card in cards]
    found += [find("metrics", name) for name in protocol.metrics if brought(name) is not None]
    found += [find("features", name) for name in roles if not protocol.knows_truth]
    found += [datasets.plugin_of(protocol.data)]
    return [_told(plugin) for plugin in dict.fromkeys(found) if plugin is not None]


def _told(plugin: Plugin) -> dict[str, str]:
    return {name: getattr(plugin, name) for name in ("kind", "name", "distribution", "version")}


def evaluate_plugged(found: Evaluation, sets: Mapping[str, SetData], anchors: Anchors) -> None:
    """Adds the numbers of the protocol's metrics that plug-ins bring; what lacks its set of images is not there."""
    for name in anchors.protocol.metrics:
        metric = brought(name)
        wanted = metric is not None and (anchors.protocol.main_set.name if metric.set == PROMPTED else metric.set)
        if metric is not None and wanted in sets:
            found.attempt((name,), partial(_measured, name, metric, sets[str(wanted)], str(wanted), anchors))


def _measured(name: str, metric: PluginMetric, images: SetData, set_name: str, anchors: Anchors) -> dict[str, Measured]:
    from trilemma.runner.evaluate import Measured

    real = anchors.arrays("reference") if metric.reference else {}
    estimate = computed(name, metric, images, real)
    params = {"reference": anchors.digests["reference"][:16]} if metric.reference else {}
    n_real = len(real["features"]) if metric.reference else None
    return {name: Measured(estimate=estimate, set=set_name, n_reference=n_real, params=params)}
