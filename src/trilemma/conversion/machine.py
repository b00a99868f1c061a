"""A machine that runs a pickle's opcodes on data alone (PEP 307, 574; the opcodes are documented in ``pickletools``).

Python's own unpickler imports and calls. This one has no way to: an import becomes a name, a call a record of it.
"""

from __future__ import annotations

import io
import mmap
import pickletools
import struct
from collections.abc import Callable
from typing import Any, cast

from trilemma.conversion.inert import Global, Made, Stored, Table
from trilemma.errors import UserError

MOST_OPCODES = 5_000_000
LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
WITHOUT_EFFECT = {"PROTO", "FRAME", "READONLY_BUFFER", "STOP"}
DAMAGED = (ValueError, EOFError, IndexError, KeyError, struct.error, OverflowError)


def run(stream: io.BytesIO | mmap.mmap, persistent: Callable[[Any], Any] = Stored, where: str = "") -> Any:
    """Returns what the pickle that begins here holds, and leaves the stream behind its end.

    Args:
        stream: reading stops at the pickle's own end.
        persistent: makes the value of a reference to what is stored elsewhere.
        where: the file, for messages.

    Raises:
        UserError: the pickle is damaged or cut off, too long, or needs what is not in the file.
    """
    machine = Machine(persistent)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(io.BytesIO, stream))):
            if count >= MOST_OPCODES:
                raise UserError(f"this pickle has more than {MOST_OPCODES:,} steps; it is not read.", where=where)
            machine.step(opcode.name, argument)
        return machine.pop()
    except DAMAGED as error:
        raise UserError(f"this is no whole pickle: {_first_line(error)}.", where=where) from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


class Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(self, persistent: Callable[[Any], Any]) -> None:
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Does one opcode."""
        if name in LITERALS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in OPERATIONS:
            OPERATIONS[name](self, argument)
        elif name not in WITHOUT_EFFECT:
            raise ValueError(f"the opcode {name} needs what is not in the file")

    def pop(self) -> Any:
        """Takes the top of the stack."""
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """Takes all that lies above the last mark."""
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        self.stack.append(value)


def _mark(machine: Machine, _: Any) -> None:
    machine.marks.append(len(machine.stack))


def _pop(machine: Machine, _: Any) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _pop_mark(machine: Machine, _: Any) -> None:
    machine.pop_to_mark()


def _put(machine: Machine, key: int) -> None:
    machine.memo[key] = machine.stack[-1]


def _memoize(machine: Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: Machine, key: int) -> None:
    machine.push(machine.memo[key])


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    def operation(machine: Machine, _: Any) -> None:
        if len(machine.stack) < count:
            raise IndexError("too few values on the stack")
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return operation


def _dict(machine: Machine, _: Any) -> None:
    machine.push(Table(_paired(machine.pop_to_mark())))


def _paired(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _set(machine: Machine, pairs: list[tuple[Any, Any]]) -> None:
    target = machine.stack[-1]
    if isinstance(target, Made):
        target = target.items
    if not isinstance(target, Table):
        raise ValueError("an item is set in what has none")
    target.pairs.extend(pairs)


def _set_item(machine: Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    _set(machine, [(key, value)])


def _append(machine: Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, Made):
        target = target.elements
    if not isinstance(target, list):
        raise ValueError("an element is appended to what has none")
    target.extend(values)


def _global(machine: Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    machine.push(Global(module, name))


def _stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise ValueError("a name that is to be imported is no text")
    machine.push(Global(module, name))


def _make(machine: Machine, maker: Any, arguments: Any, keywords: Any = None) -> None:
    if not isinstance(arguments, tuple):
        raise ValueError("the arguments of a call are no tuple")
    machine.push(Made(maker, arguments, keywords))


def _call(machine: Machine, _: Any) -> None:
    arguments, maker = machine.pop(), machine.pop()
    _make(machine, maker, arguments)


def _call_with_keywords(machine: Machine, _: Any) -> None:
    keywords, arguments, maker = machine.pop(), machine.pop(), machine.pop()
    _make(machine, maker, arguments, keywords)


def _object(machine: Machine, _: Any) -> None:
    maker, *arguments = machine.pop_to_mark()
    _make(machine, maker, tuple(arguments))


def _instance(machine: Machine, argument: str) -> None:
    arguments = tuple(machine.pop_to_mark())
    _global(machine, argument)
    _make(machine, machine.pop(), arguments)


def _build(machine: Machine, _: Any) -> None:
    state, target = machine.pop(), machine.stack[-1]
    if not isinstance(target, Made):
        raise ValueError("a state is given to what has none")
    target.state = state


OPERATIONS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "PUT": _put, "BINPUT": _put, "LONG_BINPUT": _put, "MEMOIZE": _memoize,
    "GET": _get, "BINGET": _get, "LONG_BINGET": _get,
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push(Table()),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "FROZENSET": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": _tuple_of(1), "TUPLE2": _tuple_of(2), "TUPLE3": _tuple_of(3),
    "DICT": _dict,
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: _set(machine, _paired(machine.pop_to_mark())),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: _append(machine, machine.pop_to_mark()),
    "GLOBAL": _global, "STACK_GLOBAL": _stack_global,
    "REDUCE": _call, "NEWOBJ": _call, "NEWOBJ_EX": _call_with_keywords,
    "OBJ": _object, "INST": _instance, "BUILD": _build,
    "PERSID": lambda machine, key: machine.push(machine.persistent(key)),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent(machine.pop())),
}  # fmt: skip
