"""The machine that runs a pickle's opcodes on data alone, beside Python's own."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.conversion import machine
from trilemma.conversion.inert import Global, Made, Stored, Table
from trilemma.conversion.machine import run
from trilemma.errors import UserError

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)  # fmt: skip
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers(), max_size=4)
    ),
    max_leaves=20,
)


def plain(value: Any) -> Any:
    """What the machine made, as Python's own unpickler would have it; sets are lists of their elements here."""
    if isinstance(value, Table):
        return {key: plain(item) for key, item in value.pairs}
    if isinstance(value, Made) and value.is_of("_codecs.encode"):  # bytes, before there was an opcode for them
        return value.arguments[0].encode("latin-1")
    if isinstance(value, Made) and value.is_of("__builtin__.bytes", "builtins.bytes"):
        return b""
    if isinstance(value, Made):  # a set, before there was an opcode for it
        return sorted(value.arguments[0])
    return type(value)(map(plain, value)) if isinstance(value, (list, tuple)) else value


def without_sets(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, dict):
        return {key: without_sets(item) for key, item in value.items()}
    return type(value)(map(without_sets, value)) if isinstance(value, (list, tuple)) else value


def sets_sorted(value: Any, like: Any) -> Any:
    """The machine's tuple of a set's elements has no order to compare."""
    if isinstance(like, list) and isinstance(value, tuple):
        return sorted(value)
    if isinstance(like, dict):
        return {key: sets_sorted(item, like[key]) for key, item in value.items()}
    if isinstance(like, (list, tuple)):
        return type(value)(sets_sorted(item, other) for item, other in zip(value, like, strict=True))
    return value


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_come_out_as_pythons_own_unpickler_has_them(value: Any, protocol: int) -> None:
    found = plain(run(io.BytesIO(pickle.dumps(value, protocol))))
    expected = without_sets(pickle.loads(pickle.dumps(value, protocol)))
    assert sets_sorted(found, expected) == expected


def test_what_is_referred_to_twice_is_one_thing() -> None:
    shared = ["x"]
    first, second = run(io.BytesIO(pickle.dumps([shared, shared])))
    assert first is second
    circle: list[Any] = []
    circle.append(circle)
    found = run(io.BytesIO(pickle.dumps(circle)))
    assert found[0] is found


@pytest.mark.parametrize(
    ("text", "maker", "arguments"),
    [
        (b"cos\nsystem\n(S'x'\ntR.", Global("os", "system"), ("x",)),  # REDUCE
        (b"(S'x'\nios\nsystem\n.", Global("os", "system"), ("x",)),  # INST
        (b"(cos\nsystem\nS'x'\no.", Global("os", "system"), ("x",)),  # OBJ
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.", Global("os", "system"), ("x",)),  # STACK_GLOBAL
        (b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85\x81.", Global("os", "system"), ("x",)),  # NEWOBJ
        (b"\x80\x04cos\nsystem\n\x8c\x01x\x85}\x92.", Global("os", "system"), ("x",)),  # NEWOBJ_EX
    ],
)
def test_a_call_becomes_a_record_of_it(text: bytes, maker: Global, arguments: tuple[Any, ...]) -> None:
    found = run(io.BytesIO(text))
    assert isinstance(found, Made) and (found.maker, found.arguments) == (maker, arguments)


def test_state_items_and_elements_are_kept() -> None:
    found = run(io.BytesIO(b"cm\nf\n)R}S'a'\nI1\nsbS'k'\nI2\nsI3\na."))
    assert found.state.pairs == [("a", 1)] and found.items.pairs == [("k", 2)] and found.elements == [3]


def test_references_to_what_is_stored_are_asked_for() -> None:
    assert run(io.BytesIO(b"Pabc\n.")).key == "abc"
    assert run(io.BytesIO(b"S'abc'\nQ."), persistent=lambda key: f"<{key}>") == "<abc>"
    assert isinstance(run(io.BytesIO(b"S'abc'\nQ.")), Stored)


def test_the_next_pickle_of_a_stream_begins_where_one_ends() -> None:
    stream = io.BytesIO(pickle.dumps([1]) + pickle.dumps("two"))
    assert [run(stream), run(stream)] == [[1], "two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no whole pickle"),
        (b"I1\n", "no whole pickle"),
        (b".", "no whole pickle"),
        (b"0.", "no whole pickle"),
        (b"t.", "no whole pickle"),
        (b"\x86.", "no whole pickle: too few values"),
        (b"I1\nI2\na.", "appended to what has none"),
        (b"I1\nI2\nI3\ns.", "set in what has none"),
        (b"I1\nI2\nb.", "given to what has none"),
        (b"(I1\nd.", "no whole pickle"),
        (b"I1\nI2\n\x93.", "no text"),
        (b"cm\nf\nI1\nR.", "no tuple"),
        (b"h\x05.", "no whole pickle"),
        (b"\x82\x01.", "EXT1 needs what is not in the file"),
        (b"\x80\x05\x97.", "NEXT_BUFFER needs what is not in the file"),
        (b"\xff.", "no whole pickle"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "no whole pickle"),  # claims 2 ** 63 bytes
    ],
)
def test_what_is_no_pickle_is_a_users_error(text: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(io.BytesIO(text), where="file")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    try:
        run(io.BytesIO(content))
    except UserError as error:
        assert "\n" not in str(error)


def test_the_number_of_steps_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MOST_OPCODES", 100)
    run(io.BytesIO(b"N0" * 49 + b"N."))
    with pytest.raises(UserError, match="more than 100 steps"):
        run(io.BytesIO(b"N0" * 50 + b"N."))
