"""Finds every tensor in what a pickle holds, with the name that its module would give it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trilemma.conversion.arrays import Array, array_of
from trilemma.conversion.inert import Global, Made, Table, get, pairs_of, printable
from trilemma.conversion.opened import Opened
from trilemma.conversion.plain import Plain
from trilemma.errors import UserError

REGISTERED = ("_parameters", "_buffers", "_modules")  # of torch's modules: their names do not stand in a state dict
PERSISTENT = "_reconstruct_persistent_obj"  # of StyleGAN's torch_utils.persistence, which would execute the source
HARMLESS = {
    "collections.OrderedDict", "collections.defaultdict", "torch.Size", "torch.device", "builtins.set",
    "__builtin__.set",
}  # fmt: skip
MOST_DEPTH = 400
MOST_KEYS = 64  # of the table that describes a persistent object; there are five
LONGEST_NAME = 2_000
GONE_INTO = (Table, Made, list, tuple)
ROOT = "(root)"
RESERVED = "__metadata__"
ALONE = "tensor"  # what a tensor is called that is all that the file holds


@dataclass(kw_only=True)
class Found:
    """What was recovered of a file.

    Attributes:
        arrays: by dotted name.
        made: for each object whose settings were kept: its class, ``args`` and ``kwargs``, by dotted name.
        settings: of a Lightning checkpoint: its hyper-parameters.
        shared: names of parts that are another part: of them the tensors stand under the first name alone.
        classes: the names of code that unpickling would have imported.
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: Any = None
    shared: dict[str, str] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Place:
    """A value, where it was found, how deep, and whether it is the attributes of an object."""

    name: str
    value: Any
    depth: int
    attributes: bool = False


def find(opened: Opened, most_bytes: int, only: str | None = None) -> Found:
    """Returns what can be recovered.

    Args:
        opened: the file's content.
        most_bytes: of all tensors together: a view may claim to be larger than what is stored.
        only: looks at nothing but what lies under this name.

    Raises:
        UserError: a tensor cannot be recovered, two have one name, or the bounds of depth and size are passed.
    """
    return _Walk(opened, most_bytes, only).done()


class _Walk:
    """Depth first, in the file's order, with a stack of its own; every container is gone into once."""

    def __init__(self, opened: Opened, most_bytes: int, only: str | None) -> None:
        self.opened, self.left, self.only = opened, most_bytes, only
        self.found = Found(settings=_settings(opened.root))
        self.plain = Plain()
        self.seen: dict[int, str] = {}
        self.arrays: dict[int, Array | None] = {}

    def done(self) -> Found:
        ways = [iter([Place("", self.opened.root, 0)])]
        while ways:
            place = next(ways[-1], None)
            if place is None:
                ways.pop()
            elif isinstance(place.value, Global):
                self._keep_global(place.value)
            elif isinstance(place.value, GONE_INTO) and self._wanted(place):
                ways.append(self._inside(place))
        self.found.classes -= HARMLESS
        return self.found

    def _inside(self, place: Place) -> Iterator[Place]:
        self._check(place)
        if isinstance(place.value, Made):
            array = self._array(place.value, place.name)
            if array is not None:
                self._keep(place.name or ALONE, array)
                return iter(())
            self._keep_class(place.name, place.value)
        if id(place.value) in self.seen:
            self._note_shared(place)
            return iter(())
        self.seen[id(place.value)] = place.name
        self._keep_settings(place)
        return _children(place)

    def _wanted(self, place: Place) -> bool:
        """Whether the place lies under the name that is wanted, or on the way to it."""
        if self.only is None or not place.name:
            return True
        name, only = f"{place.name}.", f"{self.only}."
        return name.startswith(only) or only.startswith(name)

    def _array(self, made: Made, name: str) -> Array | None:
        if id(made) not in self.arrays:
            self.arrays[id(made)] = array_of(made, self.opened, name or ALONE)
        return self.arrays[id(made)]

    def _keep(self, name: str, array: Array) -> None:
        if name == RESERVED:
            raise UserError(f'a tensor cannot be called "{name}" in a safetensors file.', where=self.opened.where)
        if name in self.found.arrays:
            raise UserError(f'two tensors would be called "{name}".', where=self.opened.where)
        self.left -= array.bytes
        if self.left < 0:
            raise UserError(
                "its tensors claim to be far larger than the file; it is not read.", where=self.opened.where
            )
        self.found.arrays[name] = array

    def _check(self, place: Place) -> None:
        if place.depth > MOST_DEPTH or len(place.name) > LONGEST_NAME:
            raise UserError(
                f"this pickle is nested more than {MOST_DEPTH} deep; it is not read.", where=self.opened.where
            )

    def _note_shared(self, place: Place) -> None:
        first = self.seen[id(place.value)]
        if isinstance(place.value, Made) and first != place.name and _has_attributes(place.value):
            self.found.shared[place.name or ROOT] = first or ROOT

    def _keep_global(self, value: Global) -> None:
        if id(value) not in self.seen:
            self.seen[id(value)] = ""
            self.found.classes.add(str(value))

    def _keep_class(self, name: str, made: Made) -> None:
        described = get(_description(made), "class_name")
        if isinstance(described, str):
            self.found.made.setdefault(name or ROOT, {})["class"] = self.plain.of(described)

    def _keep_settings(self, place: Place) -> None:
        """Of an object of StyleGAN: what it was constructed with, which it keeps among its attributes."""
        if not place.attributes or get(place.value, "_init_kwargs") is None:
            return
        known = self.found.made.setdefault(place.name or ROOT, {})
        known["args"] = self.plain.of(get(place.value, "_init_args") or [])
        known["kwargs"] = self.plain.of(get(place.value, "_init_kwargs"))


def _settings(root: Any) -> Any:
    given = get(root, "hyper_parameters")
    return None if given is None else Plain().of(given)


def _children(place: Place) -> Iterator[Place]:
    value = place.value
    if isinstance(value, Made):
        yield from _parts(place, value)
    elif isinstance(value, Table):
        yield from _items(place, value.pairs)
    else:
        yield from (_child(place, number, item) for number, item in enumerate(value))


def _parts(place: Place, made: Made) -> Iterator[Place]:
    below, described = place.depth + 1, _description(made)
    yield Place(place.name, made.maker, below)
    if described is not None:
        yield Place(place.name, get(described, "state"), below, attributes=True)
    else:
        yield Place(place.name, made.arguments, below)
        yield Place(place.name, made.keywords, below)
    slotted = isinstance(made.state, tuple) and len(made.state) == 2  # those of __dict__, then those of slots
    for state in made.state if slotted else (made.state,):
        yield Place(place.name, state, below, attributes=isinstance(state, (Table, Made)))
    yield from _items(place, pairs_of(made))
    yield from (_child(place, number, item) for number, item in enumerate(made.elements))


def _items(place: Place, pairs: list[tuple[Any, Any]]) -> Iterator[Place]:
    """What a dictionary holds, and the classes that are keys, as in the first checkpoints of Lightning."""
    yield from (Place(place.name, key, place.depth + 1) for key, _ in pairs if isinstance(key, Global))
    yield from (_child(place, key, item) for key, item in pairs)


def _has_attributes(made: Made) -> bool:
    return made.state is not None or _description(made) is not None


def _description(made: Made) -> Any:
    """Of what StyleGAN's persistence would have executed the source of: class, source, state; else None."""
    persistent = isinstance(made.maker, Global) and made.maker.name == PERSISTENT and len(made.arguments) == 1
    fits = persistent and len(pairs_of(made.arguments[0])) <= MOST_KEYS
    return made.arguments[0] if fits else None


def _child(place: Place, key: Any, value: Any) -> Place:
    if place.attributes and key in REGISTERED:
        return Place(place.name, value, place.depth + 1)
    named = isinstance(key, (str, Global)) or (isinstance(key, int) and key.bit_length() < 64)
    own = printable(str(key)[: LONGEST_NAME + 1]) if named else type(key).__name__
    return Place(f"{place.name}.{own}" if place.name else own, value, place.depth + 1)
