"""From the setting of one number to that of another: every field that can be changed, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trilemma.errors import UserError
from trilemma.features.presets import MetricUse, preset
from trilemma.features.recipe import Normalization, Recipe, Resize
from trilemma.scoring.row import Row
from trilemma.scoring.side import Side

_IMPLEMENTED = (
    ("tensorflow1", "bilinear", False, False), ("pillow", "bicubic", True, False), ("pillow", "bicubic", True, True),
)  # fmt: skip
"""Implementation, kernel, antialias and quantized: what preprocessing can do."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Images, or what is left of them, that a user gave; two are equal where their content is.

    Attributes:
        digest: of the content, before any resizing.
        source: what the user typed. count: how many of its images.
    """

    digest: str
    count: int | None
    source: str = field(compare=False)
    side: Side = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All that a number depends on, ready to be computed.

    Attributes:
        preset: the name of the one that the recipe comes from.
        recipe: of the network. use: the metric with its parameters. resize: of the images, before the network's own.
        real, fake: the two sides. seed: of the score.
    """

    preset: str
    recipe: Recipe
    use: MetricUse
    resize: int | None
    seed: int
    real: Given
    fake: Given


def setting(row: Row, real: Given, fake: Given) -> Setting:
    """Returns the setting that a row was computed in.

    Raises:
        UserError: the row is of a preset that this version does not know, or its identity is damaged.
    """
    identity = row.identity
    base = preset(row.preset)
    try:
        told = identity["extractor"]
        recipe = replace(
            base.recipe,
            resize=None if told["resize"] is None else Resize(**told["resize"]),
            normalization=Normalization(**{name: _settled(value) for name, value in told["normalization"].items()}),
            dtype=told["dtype"],
            unit_length=told["unit_length"],
        )
        use, resize, seed = _use(row, identity), identity["resize"], identity["seed"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the identity of {row.metric} is damaged: {error!r}.") from None
    _require_implemented(recipe.resize)
    return Setting(preset=row.preset, recipe=recipe, use=use, resize=resize, seed=seed, real=real, fake=fake)


def steps(a: Setting, b: Setting) -> Iterator[tuple[str, Setting]]:
    """Yields the name of each field in which two settings differ, and A with this one changed to B's."""
    yield from _of_recipe(a, b)
    if a.resize != b.resize:
        yield "resize", replace(a, resize=b.resize)
    yield from _of_use(a, b)
    for name, size in (("real", "n_reference"), ("fake", "n")):
        own, other = getattr(a, name), getattr(b, name)
        if own != other:
            label = size if own.source == other.source and own.count != other.count else name
            yield label, replace(a, **{name: other})
    if a.seed != b.seed:
        yield "seed", replace(a, seed=b.seed)


def _use(row: Row, identity: Mapping[str, Any]) -> MetricUse:
    parameters = {name: _settled(value) for name, value in identity["parameters"].items()}
    return MetricUse(
        name=row.metric,
        function=identity["function"],
        output=identity["output"],
        parameters=tuple(sorted(parameters.items())),
    )


def _of_recipe(a: Setting, b: Setting) -> Iterator[tuple[str, Setting]]:
    """A network brings its own preprocessing along: nothing of another's can be put before it."""
    if (a.recipe.network, a.recipe.files) != (b.recipe.network, b.recipe.files):
        moved = replace(a.use, output=b.use.output)
        yield "extractor.network", replace(a, preset=b.preset, recipe=b.recipe, use=moved)
        return
    for name in ("normalization", "dtype", "unit_length"):
        value = getattr(b.recipe, name)
        if getattr(a.recipe, name) != value:
            yield f"extractor.{name}", replace(a, recipe=replace(a.recipe, **{name: value}))
    for name, resize in _of_resize(a.recipe.resize, b.recipe.resize):
        yield name, replace(a, recipe=replace(a.recipe, resize=resize))


def _of_resize(a: Resize | None, b: Resize | None) -> Iterator[tuple[str, Resize | None]]:
    """One implementation changes field by field; two, only as a whole: neither has the other's kernel."""
    if a == b:
        return
    if a is None or b is None or a.implementation != b.implementation:
        yield "extractor.resize", b
        return
    for name in ("size", "quantized", "fit"):
        value = getattr(b, name)
        if getattr(a, name) != value:
            yield f"extractor.resize.{name}", replace(a, **{name: value})


def _require_implemented(resize: Resize | None) -> None:
    """Raises UserError for a way of resizing that no network here is fed by: it would be computed as another one."""
    if resize is None:
        return
    way = (resize.implementation, resize.kernel, resize.antialias, resize.quantized)
    if way not in _IMPLEMENTED or (resize.fit != "stretch" and not resize.quantized):
        raise UserError(f"this version cannot resize as that number was: {resize}.")


def _of_use(a: Setting, b: Setting) -> Iterator[tuple[str, Setting]]:
    if a.use.function != b.use.function:
        yield "function", replace(a, use=replace(b.use, output=a.use.output))
        return
    own, other = dict(a.use.parameters), dict(b.use.parameters)
    for name in dict.fromkeys([*own, *other]):
        if own.get(name) != other.get(name):
            changed = {key: value for key, value in own.items() if key != name}
            changed |= {name: other[name]} if name in other else {}
            yield f"parameters.{name}", replace(a, use=replace(a.use, parameters=tuple(sorted(changed.items()))))


def _settled(value: Any) -> Any:
    """Returns a value of JSON as dataclasses hold it: lists become tuples."""
    return tuple(value) if isinstance(value, list) else value
