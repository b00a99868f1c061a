"""Extractors that an installed distribution brings: a recipe, whose network is built by a function of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from trilemma.errors import UserError, suggest
from trilemma.features.recipe import TARGET, Network, Recipe
from trilemma.plugins import find, load


def recipe_of_plugin(name: str, *, own: bool) -> Recipe | None:
    """Returns the recipe of an entry point of the group "trilemma.features"; None where there is none of that name.

    Preprocessing, weights with their sha256 and arithmetic are the suite's, and so the identity says all of them; the
    network's code is known by its distribution's version.

    Args:
        own: whether the suite has an extractor of that name itself.

    Raises:
        UserError: the plug-in is broken, or two have the name.
    """
    plugin = find("features", name, own=own)
    if plugin is None:
        return None
    found = load(plugin)
    if not isinstance(found, Recipe):
        raise UserError(f"must be a Recipe, it is {found!r}.", where=plugin.where)
    if TARGET not in found.network and found.network not in get_args(Network):
        hint = f"{suggest(found.network, get_args(Network))} Or package.module:function."
        raise UserError(f'there is no network "{found.network}".', where=plugin.where, hint=hint)
    return replace(found, plugin=plugin.owner)
