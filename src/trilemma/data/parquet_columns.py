"""Which columns of a Parquet file hold images, classes and captions.

``datasets`` says it in the file's metadata, under "huggingface": ``{"info": {"features": {COLUMN: {"_type": "Image"},
COLUMN: {"_type": "ClassLabel", "names": [...]}, ...}}}``. An image is a struct of its encoded bytes and its path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.data.prompts import COLUMNS
from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

KEY = b"huggingface"
LABELS = ("label", "labels")
BYTES = "bytes"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns; ``image`` is a path inside the schema, such as ``image.bytes``. ``classes`` may be unknown."""

    image: str
    label: str | None
    caption: str | None
    classes: tuple[str, ...] = ()


def columns_of(schema: pa.Schema, options: Mapping[str, str], where: str) -> Columns:
    """Returns the columns of a schema: those that the options "image", "label", "caption" name, or the first of a kind.

    Raises:
        UserError: there are no images, or a column that is named is not there or of another kind.
    """
    features = _features(schema)
    image = _chosen("image", schema, options, lambda name: _holds_images(schema, name), where)
    if image is None:
        raise UserError(f"there are no images here, but {', '.join(schema.names)}.", where=where)
    label = _chosen("label", schema, options, lambda name: _holds_labels(schema, name, features, options), where)
    caption = _chosen("caption", schema, options, lambda name: _holds_captions(schema, name, options), where)
    nested = _is_struct(schema, image)
    return Columns(
        image=f"{image}.{BYTES}" if nested else image,
        label=label,
        caption=caption,
        classes=_classes(features.get(label)) if label is not None else (),
    )


def _chosen(
    kind: str, schema: pa.Schema, options: Mapping[str, str], fits: Callable[[str], bool], where: str
) -> str | None:
    wanted = options.get(kind)
    if wanted is None:
        return next(filter(fits, schema.names), None)
    if wanted not in schema.names:
        raise UserError(f'there is no column "{wanted}".', where=where, hint=suggest(wanted, schema.names))
    if not fits(wanted):
        raise UserError(f'the column "{wanted}" holds {schema.field(wanted).type}, no {kind}s.', where=where)
    return wanted


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What ``datasets`` wrote about the columns; nothing where it wrote nothing, or nothing readable."""
    try:
        found = json.loads((schema.metadata or {}).get(KEY, b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {str(name): told for name, told in _items(found) if isinstance(told, dict)}


def _items(found: Any) -> Iterator[tuple[Any, Any]]:
    yield from found.items() if isinstance(found, dict) else ()


def _classes(feature: dict[str, Any] | None) -> tuple[str, ...]:
    names = (feature or {}).get("names")
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if known and isinstance(names, list) else ()


def _is_struct(schema: pa.Schema, name: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(schema.field(name).type))


def _holds_images(schema: pa.Schema, name: str) -> bool:
    """A struct with bytes, or bytes alone."""
    import pyarrow as pa

    kind = schema.field(name).type
    if pa.types.is_struct(kind):
        index = kind.get_field_index(BYTES)
        return index >= 0 and _is_binary(kind.field(index).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_labels(
    schema: pa.Schema, name: str, features: Mapping[str, dict[str, Any]], options: Mapping[str, str]
) -> bool:
    import pyarrow as pa

    told = features.get(name, {}).get("_type") == "ClassLabel" or name in LABELS or options.get("label") == name
    return bool(told and pa.types.is_integer(schema.field(name).type))


def _holds_captions(schema: pa.Schema, name: str, options: Mapping[str, str]) -> bool:
    """Text, or a list of texts, the first of which is taken."""
    import pyarrow as pa

    kind = schema.field(name).type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text and (name.lower() in COLUMNS or options.get("caption") == name))
