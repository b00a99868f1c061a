"""Reads TOML into frozen dataclasses: types checked, unknown keys refused with the nearest right one."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from trilemma.errors import UserError, suggest

T = TypeVar("T")
Field = dataclasses.Field[Any]
NOT_IN_FILE = {"in_file": False}  # metadata of a field that the reader's caller computes
PLAIN = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}


def key_in_file(name: str) -> dict[str, str]:
    """Returns the metadata of a field that has another name in the file.

    Two fields may share a key, where a word may stand in place of a table: the word goes to the Literal field. It comes
    second, and its default is None.
    """
    return {"key": name}


def read(path: Path, kind: type[T], /, **computed: Any) -> T:
    """Returns the dataclass ``kind`` as the TOML file says it; ``computed`` fills the fields marked NOT_IN_FILE.

    Raises:
        UserError: no such file, not TOML, an unknown or a missing key, a value of another type. It names file and key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("there is no such file.", where=str(path)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"this is not readable TOML: {error}.", where=str(path)) from None
    return build(kind, table, where=str(path), **computed)


def build(kind: type[T], table: dict[str, Any], /, *, where: str, **computed: Any) -> T:
    """Returns the dataclass ``kind`` from a parsed table; see :func:`read`."""
    hints = typing.get_type_hints(kind)
    fields = {key: _reader(table.get(key), sharing) for key, sharing in _by_key(kind).items()}
    for key in table:
        if key not in fields:
            raise UserError(f'unknown key "{key}".', where=where, hint=suggest(key, fields))
    values = {f.name: _convert(table[k], hints[f.name], f"{where}: {k}") for k, f in fields.items() if k in table}
    missing = [key for key, field in fields.items() if key not in table and _required(field)]
    if missing:
        raise UserError(f'the key "{missing[0]}" is missing.', where=where)
    try:
        return kind(**values, **computed)
    except UserError as error:
        inside = f"{where}: {error.where}" if error.where else where
        raise UserError(error.what, where=inside, hint=error.hint) from None


def dump(value: Any) -> dict[str, Any]:
    """Returns the table that :func:`build` makes this dataclass of: names as in the file, without what is None."""
    items = [(_key(field), getattr(value, field.name)) for field in _fields(type(value))]
    # Of two fields that share a key the later one, unless it is None.
    return {key: _dump_value(item) for key, item in items if item is not None}


def check_references(kind: str, known: Mapping[str, Any], used: Iterable[tuple[str, str]]) -> None:
    """Checks what entries of a file call by name: each name is known, and each known one is named somewhere.

    Args:
        used: (place, name): where in the file an entry says ``kind``, and what it says there.

    Raises:
        UserError: naming the place and the nearest right name, or what nobody names.
    """
    named = set()
    for place, name in used:
        if name not in known:
            raise UserError(f"there is no {kind} {name!r}.", where=f"{place}: {kind}", hint=suggest(name, known))
        named.add(name)
    if idle := sorted(known.keys() - named):
        raise UserError(f"nothing names {idle[0]!r}.", where=f"{kind}s")


def _dump_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return dump(value)
    if isinstance(value, tuple):
        return [_dump_value(item) for item in value]
    return {key: _dump_value(item) for key, item in value.items()} if isinstance(value, dict) else value


def _fields(kind: type) -> list[Field]:
    return [field for field in dataclasses.fields(kind) if field.metadata.get("in_file", True)]


def _key(field: Field) -> str:
    return str(field.metadata.get("key", field.name))


def _by_key(kind: type) -> dict[str, list[Field]]:
    keyed: dict[str, list[Field]] = {}
    for field in _fields(kind):
        keyed.setdefault(_key(field), []).append(field)
    return keyed


def _reader(value: Any, sharing: list[Field]) -> Field:
    """The field that a value is for, of those that share its key: a word is for the one that has words."""
    return sharing[-1] if isinstance(value, str) else sharing[0]


def _required(field: Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(hint), where)
    if origin is Literal:
        return _convert_literal(value, get_args(hint), where)
    if origin is tuple:
        return _convert_tuple(value, get_args(hint)[0], where)
    if origin is dict:
        return _convert_dict(value, get_args(hint)[1], where)
    if dataclasses.is_dataclass(hint):
        _expect(isinstance(value, dict), "a table", value, where)
        return build(hint, value, where=where)  # type: ignore[arg-type]
    return _convert_plain(value, hint, where)


def _convert_union(value: Any, members: tuple[Any, ...], where: str) -> Any:
    kinds = [member for member in members if member is not type(None)]
    exact = [kind for kind in kinds if type(value) is kind]
    return _convert(value, (exact or kinds)[0], where)


def _convert_literal(value: Any, members: tuple[Any, ...], where: str) -> Any:
    if value not in members or isinstance(value, bool):
        raise UserError(f"{value!r} is not possible here.", where=where, hint=suggest(str(value), map(str, members)))
    return value


def _convert_tuple(value: Any, member: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), "a list", value, where)
    return tuple(_convert(item, member, f"{where}[{number}]") for number, item in enumerate(value))


def _convert_dict(value: Any, member: Any, where: str) -> dict[str, Any]:
    _expect(isinstance(value, dict), "a table", value, where)
    return {key: _convert(item, member, f"{where}.{key}") for key, item in value.items()}


def _convert_plain(value: Any, hint: Any, where: str) -> Any:
    # bool is an int to Python, never to a reader of the file; an integer is a fine number.
    fits = type(value) is hint or (hint is float and type(value) is int)
    _expect(fits, PLAIN[hint], value, where)
    return float(value) if hint is float else value


def _expect(fits: bool, wanted: str, value: Any, where: str) -> None:
    if not fits:
        raise UserError(f"must be {wanted}, got {value!r}.", where=where)
