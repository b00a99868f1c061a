"""The networks of several presets, each loaded once: presets that differ in the outputs they keep share one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.presets import Preset
from trilemma.features.recipe import DType, Recipe


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Loaded extractors.

    Attributes:
        extractors: by the name of the first preset that uses them.
        owners: for every preset, the name of that first one.
    """

    extractors: dict[str, Extractor]
    owners: dict[str, str]

    def of(self, preset: Preset) -> Extractor:
        """Returns the extractor that a preset's features come from."""
        return self.extractors[self.owners[preset.name]]

    def only(self, presets: Sequence[Preset]) -> Networks:
        """Returns those that some of the presets need."""
        return replace(self, extractors={self.owners[preset.name]: self.of(preset) for preset in presets})

    def identity(self, preset: Preset) -> dict[str, Any]:
        """Returns the identity of a preset's features; which outputs are kept beside them changes none."""
        return without_outputs(self.of(preset).identity)


def without_outputs(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an extractor's identity apart from the list of the outputs that it keeps."""
    return {name: value for name, value in identity.items() if name != "outputs"}


def load_networks(presets: Sequence[Preset], device: str, dtype: DType | None, download: bool) -> Networks:
    """Returns the networks of the presets.

    Raises:
        UserError: weights are missing (the message says how to get them), damaged, or not the published ones.
    """
    owners: dict[str, str] = {}
    recipes: dict[str, Recipe] = {}
    for preset in presets:
        owner = next((name for name, known in recipes.items() if _same_network(known, preset.recipe)), preset.name)
        outputs = (*recipes[owner].outputs, *preset.recipe.outputs) if owner in recipes else preset.recipe.outputs
        recipes[owner] = replace(preset.recipe, outputs=tuple(dict.fromkeys(outputs)))
        owners[preset.name] = owner
    extractors = {
        name: load_extractor(recipe, device, dtype=dtype, download=download) for name, recipe in recipes.items()
    }
    return Networks(extractors=extractors, owners=owners)


def _same_network(a: Recipe, b: Recipe) -> bool:
    return replace(a, outputs=()) == replace(b, outputs=())
