"""The plug-ins that ``list`` shows: each is loaded, and one that is broken says so without hiding the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trilemma.data.datasets import open_data_set
from trilemma.errors import UserError
from trilemma.features.named import recipe_of
from trilemma.metrics.plugin import brought
from trilemma.plugins import KINDS, Kind, Plugin, plugins
from trilemma.registry import find_card
from trilemma.workspace import Workspace


def installed(workspace: Workspace) -> list[dict[str, Any]]:
    """Returns every plug-in with its title, and the error where it cannot be used."""
    return [_row(plugin, workspace) for kind in KINDS for plugin in plugins(kind)]


def _row(plugin: Plugin, workspace: Workspace) -> dict[str, Any]:
    told = {name: getattr(plugin, name) for name in ("kind", "name", "distribution", "version")}
    titles: dict[Kind, Callable[[], str]] = {
        "models": lambda: find_card(plugin.name, workspace).title,
        "metrics": lambda: getattr(brought(plugin.name), "title", ""),
        "features": lambda: recipe_of(plugin.name).network,
        "data": lambda: open_data_set(plugin.name).name,
    }
    try:
        return told | {"title": titles[plugin.kind](), "error": None}
    except UserError as error:
        return told | {"title": "", "error": str(error)}
