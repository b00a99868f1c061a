"""Presets: their names, and an identity that every field changes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import pytest

from trilemma import metrics
from trilemma.errors import UserError
from trilemma.features.presets import PRESETS, Preset, preset
from trilemma.metrics.clip_score import ClipConvention
from trilemma.scoring.copies import PIXELS

NAMES = ("fid", "fid-clean", "fid-pytorch", "fid-adm", "fd-dinov2", "clip-fid", "cmmd", "clip-score", "scenes")


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """Every value that differs from this one in a single leaf that equality compares, with the leaf's name."""
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            for name, other in changed(getattr(value, item.name)) if item.compare else ():
                yield f"{item.name}.{name}", replace(value, **{item.name: other})
    elif isinstance(value, tuple):
        yield "length", (*value, "more")
        for index, entry in enumerate(value):
            for name, other in changed(entry):
                yield f"{index}.{name}", (*value[:index], other, *value[index + 1 :])
    else:
        yield "", changed_leaf(value)


def changed_leaf(value: bool | str | float | None) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, str):
        return "float64" if value == "float32" else value + "x"  # the one field that is checked
    return value + 1


def test_the_names_of_the_field() -> None:
    assert tuple(PRESETS) == NAMES
    assert all(preset(name).name == name for name in NAMES)


@pytest.mark.parametrize("known", [*PRESETS.values(), PIXELS], ids=lambda known: known.name)
def test_every_field_changes_the_identity(known: Preset) -> None:
    digests = {leaf: other.digest() for leaf, other in changed(known)}
    assert len(digests) > 20
    assert known.digest() not in digests.values()
    assert len(set(digests.values())) == len(digests)


def test_the_title_and_the_places_of_files_do_not() -> None:
    known = preset("fid")
    moved = replace(known.recipe, files=tuple(replace(f, url="https://elsewhere") for f in known.recipe.files))
    assert replace(known, title="other", recipe=moved).digest() == known.digest()


def test_presets_differ() -> None:
    assert len({entry.digest() for entry in PRESETS.values()}) == len(NAMES)


def test_the_same_network_under_another_resize_has_another_identity() -> None:
    sha256 = {preset("fid").recipe.files[0].name: "0" * 64}
    first, second = (preset(name).recipe.identity(sha256) for name in ("fid", "fid-clean"))
    assert first["files"] == second["files"] == sha256
    assert {key for key in first if first[key] != second[key]} == {"resize", "outputs"}


def test_published_files_are_pinned() -> None:
    for entry in PRESETS.values():
        for file in entry.recipe.files:
            assert file.instrument or re.fullmatch("[0-9a-f]{64}", file.sha256 or "")
            assert file.instrument or (file.url or "").startswith("https://")


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match='no preset "fid-dinov2".*Did you mean "fd-dinov2"'):
        preset("fid-dinov2")


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(UserError, match='"float16"'):
        replace(preset("fid").recipe, dtype="float16")  # type: ignore[arg-type]


def test_presets_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        preset("fid").name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        PRESETS["mine"] = preset("fid")  # type: ignore[index]


def test_metrics_read_what_the_recipe_keeps() -> None:
    for entry in (*PRESETS.values(), PIXELS):
        assert {use.output for use in entry.metrics} <= set(entry.recipe.outputs)
        names = [use.name for use in entry.metrics]
        assert len(names) == len(set(names))


def test_metrics_take_the_parameters_of_presets() -> None:
    functions = {
        name: set(inspect.signature(found).parameters)
        for module in pkgutil.iter_modules(metrics.__path__, "trilemma.metrics.")
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
    }
    beside = {
        "clip_score": {item.name for item in fields(ClipConvention)},
        "inception_score_of_logits": {"images_per_split"},
    }
    for use in (use for entry in (*PRESETS.values(), PIXELS) for use in entry.metrics):
        known = functions[use.function] | beside.get(use.function, set())
        assert {name for name, _ in use.parameters} <= known, use


def test_listing_presets_imports_no_network_library() -> None:
    heavy = "('torch', 'timm', 'transformers')"
    code = f"import sys, trilemma.features.presets; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"


def test_a_preset_is_plain_data() -> None:
    assert isinstance(preset("cmmd"), Preset)
    assert preset("cmmd").identity()["recipe"]["unit_length"] is True
    assert preset("cmmd").identity()["metrics"][0]["parameters"] == [["unbiased", False]]
