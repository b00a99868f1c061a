"""Files that were made to do harm: nothing is executed, imported or blown up, and a refusal is one line."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from trilemma.conversion import walk
from trilemma.conversion.convert import convert
from trilemma.conversion.opened import MAGIC
from trilemma.errors import UserError

TENSOR = {"a": torch.arange(6.0).view(2, 3)}


class Calls:
    """Calls a function with arguments when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.how = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.how


def contents(value: Any) -> dict[str, bytes]:
    """A value in every container."""
    found = {"pickle": pickle.dumps(value)}
    for kind, new in (("zip", True), ("stream", False)):
        buffer = io.BytesIO()
        torch.save(value, buffer, _use_new_zipfile_serialization=new)
        found[kind] = buffer.getvalue()
    return found


def convert_bytes(content: bytes, folder: Path) -> dict[str, torch.Tensor]:
    source, out = folder / "hostile.pkl", folder / "out.safetensors"
    for path in (out, out.with_suffix(".json")):
        path.unlink(missing_ok=True)
    source.write_bytes(content)
    convert(source, out)
    return load_file(out)


def refused(content: bytes, folder: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        convert_bytes(content, folder)
    assert "\n" not in str(raised.value)
    assert not (folder / "out.safetensors").exists()


@pytest.mark.parametrize("kind", ("pickle", "zip", "stream"))
def test_commands_are_not_run_and_the_tensors_beside_them_are_recovered(kind: str, tmp_path: Path, trace: Any) -> None:
    harm = [
        Calls(os.system, trace.command),
        Calls(subprocess.check_call, ["sh", "-c", trace.command]),
        Calls(builtins.exec, trace.source),
        Calls(builtins.eval, f"__import__('os').system({trace.command!r})"),
        Calls(builtins.open, str(trace.path), "w"),
        Calls(torch.load, io.BytesIO, state={"x": Calls(os.system, trace.command)}),
    ]
    found = convert_bytes(contents({**TENSOR, "harm": harm, "nested": {"deep": [harm]}})[kind], tmp_path)
    assert torch.equal(found["a"], TENSOR["a"]) and set(found) == {"a"}
    left_alone = (tmp_path / "out.json").read_text()
    assert "system" in left_alone and "exec" in left_alone and "check_call" in left_alone


@pytest.mark.parametrize("kind", ("pickle", "zip", "stream"))
def test_a_file_of_commands_alone_is_refused(kind: str, tmp_path: Path, trace: Any) -> None:
    refused(contents(Calls(os.system, trace.command))[kind], tmp_path, "no tensor was found")


@pytest.mark.parametrize(
    "text",
    [
        b"cos\nsystem\n(S'%s'\ntR.", b"(S'%s'\nios\nsystem\n.", b"(cos\nsystem\nS'%s'\no.",
        b"\x80\x02cos\nsystem\n(S'%s'\nt\x81.", b"\x80\x04cos\nsystem\n(S'%s'\nt}\x92.",
        b"cos\nsystem\n)RS'%s'\nb.", b"(lcos\nsystem\n(S'%s'\ntRa.",
    ],
)  # fmt: skip
def test_no_opcode_runs_a_command(text: bytes, tmp_path: Path, trace: Any) -> None:
    refused(text.replace(b"%s", trace.command.encode()), tmp_path, "no tensor was found")


def test_a_command_in_the_place_of_a_tensors_storage_is_refused(tmp_path: Path, trace: Any) -> None:
    storage = Calls(os.system, trace.command)
    tensor = Calls(torch._utils._rebuild_tensor_v2, storage, 0, (1,), (1,), False, {})
    refused(pickle.dumps({"a": tensor}), tmp_path, "its storage is of an unknown kind")
    inner = pickle.dumps(Calls(os.system, trace.command))
    tensor = Calls(torch._utils._rebuild_tensor_v2, Calls(torch.storage._load_from_bytes, inner), 0, (1,), (1,))
    refused(pickle.dumps({"a": tensor}), tmp_path, "its storage is of an unknown kind")


def test_a_module_that_a_pickle_names_is_not_imported(
    tmp_path: Path, trace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_package.py").write_text(trace.source)
    monkeypatch.syspath_prepend(str(tmp_path))
    refused(b"chostile_package\nanything\n.", tmp_path, "no tensor was found")
    refused(b"\x80\x04\x8c\x0fhostile_package\x8c\x08anything\x93)R.", tmp_path, "no tensor was found")
    assert "hostile_package" not in sys.modules


@pytest.mark.parametrize("kind", ("pickle", "zip", "stream"))
def test_a_file_that_is_cut_off_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    content = contents(TENSOR)[kind]
    for length in range(0, len(content), max(1, len(content) // 60)):
        with pytest.raises(UserError):
            convert_bytes(content[:length], tmp_path)


def test_what_follows_a_pickle_is_not_passed_over(tmp_path: Path) -> None:
    refused(contents(TENSOR)["pickle"] + contents(TENSOR)["pickle"], tmp_path, "something follows the pickle")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(("pickle", "zip", "stream")), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4)
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(contents({**TENSOR, "c": Calls(os.mkdir, str(tmp_path / "made"))})[kind])
    for place, value in changes:
        content[place % len(content)] = value
    try:
        convert_bytes(bytes(content), tmp_path)
    except UserError as error:
        assert "\n" not in str(error)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content", [b"]" * 100_000 + b"a" * 99_999 + b".", b")" + b"\x85" * 100_000 + b"."], ids=("lists", "tuples")
)
def test_deep_nesting_is_refused(content: bytes, tmp_path: Path) -> None:
    refused(content, tmp_path, f"nested more than {walk.MOST_DEPTH} deep")


def test_deep_calls_are_refused(tmp_path: Path) -> None:
    content = b"cm\nf\n" * 5000 + b")" + b"R\x85" * 4999 + b"R."
    refused(content, tmp_path, "nested more than")
    wrapped = b"ctorch._utils\n_rebuild_parameter\n" * 50 + b")" + b"R\x85" * 49 + b"R."
    refused(wrapped, tmp_path, "makes a kind of tensor that is not recovered")


def test_what_refers_to_itself_over_and_over_is_no_bomb(tmp_path: Path) -> None:
    """2 ** 60 of them, were they counted out: as values, as the key of a table, and as settings."""
    bomb = b")" + b"2\x86" * 60
    refused(bomb + b".", tmp_path, "no tensor was found")
    refused(b"}" + bomb + b"I1\ns.", tmp_path, "no tensor was found")
    settings_of = b"}S'hyper_parameters'\n}S'x'\n" + bomb + b"ss."
    refused(settings_of, tmp_path, "no tensor was found")
    refused(b"cm\nf\n)R}S'_init_kwargs'\n}S'x'\n" + bomb + b"ssb.", tmp_path, "no tensor was found")


def test_a_list_that_holds_itself_comes_to_an_end(tmp_path: Path) -> None:
    circle: list[Any] = [TENSOR]
    circle.append(circle)
    assert set(convert_bytes(pickle.dumps(circle), tmp_path)) == {"0.a"}


def claiming(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """A file whose one tensor of four numbers says that it is of this shape."""
    storage = torch.storage.TypedStorage(
        wrap_storage=torch.ones(4).untyped_storage(), dtype=torch.float32, _internal=True
    )
    return pickle.dumps({"a": Calls(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, {})})


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "message"),
    [
        ((2**40,), (0,), 0, "far larger than the file"),  # one number, many times
        ((2**62, 2**62), (0, 0), 0, "far larger than the file"),
        ((5,), (1,), 0, "larger than what is stored"),
        ((2,), (4,), 0, "larger than what is stored"),
        ((1,), (1,), 4, "larger than what is stored"),
        ((2,), (1,), -1, "makes no sense"),
        ((2,), (-1,), 3, "makes no sense"),
        ((-2,), (1,), 0, "makes no sense"),
        ((2, 2), (1,), 0, "makes no sense"),
        ((1,) * 40, (1,) * 40, 0, "makes no sense"),
    ],
)
def test_a_tensor_is_not_larger_than_what_is_stored(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, message: str, tmp_path: Path
) -> None:
    refused(claiming(shape, strides, offset), tmp_path, message)


def test_a_tensor_of_nothing_needs_nothing(tmp_path: Path) -> None:
    assert convert_bytes(claiming((0, 2**40), (1, 1)), tmp_path)["a"].shape == (0, 2**40)


def rezipped(content: bytes, compression: int, replaced: dict[str, bytes] | None = None) -> bytes:
    """A zip file of torch's, its members written anew."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, (replaced or {}).get(name.rpartition("/")[2], old.read(name)))
    return out.getvalue()


def test_what_is_compressed_is_not_unpacked(tmp_path: Path) -> None:
    """A thousandth of its size in the file: a bomb, were it unpacked."""
    zeros = contents({"a": torch.zeros(1 << 20)})["zip"]
    bomb = rezipped(zeros, zipfile.ZIP_DEFLATED)
    assert len(bomb) < len(zeros) / 100
    refused(bomb, tmp_path, "is compressed or encrypted")
    assert convert_bytes(rezipped(zeros, zipfile.ZIP_STORED), tmp_path)["a"].shape == (1 << 20,)


def test_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    refused(rezipped(contents(TENSOR)["zip"], zipfile.ZIP_STORED, {"byteorder": b"big"}), tmp_path, "big-endian")


def test_a_zip_file_of_something_else_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../data.pkl/x", b"")
    refused(out.getvalue(), tmp_path, "none of torch's")


def test_a_name_without_end_is_refused(tmp_path: Path) -> None:
    refused(pickle.dumps({"a" * 5000: TENSOR}), tmp_path, "nested more than")


def test_a_stream_that_names_what_it_does_not_store_is_refused(tmp_path: Path) -> None:
    """Magic number, version, machine, object, and keys that are no keys."""
    parts = [MAGIC, 1001, {"little_endian": True}, {"a": 1}]
    for keys in ([["x"]], [10**5000], ["x"]):
        content = b"".join(pickle.dumps(part, 2) for part in [*parts, keys])
        refused(content, tmp_path, "cut off, or names what it does not store")
    refused(b"".join(pickle.dumps(part, 2) for part in [*parts, []]), tmp_path, "no tensor was found")
    parts[2] = {"little_endian": False}
    refused(b"".join(pickle.dumps(part, 2) for part in [*parts, []]), tmp_path, "big-endian")


def test_long_words_that_are_referred_to_often_are_not_copied_each_time(tmp_path: Path) -> None:
    """Were each of the 200,000 copied whole, it would be 200 GB."""
    long = b"X" + (1_000_000).to_bytes(4, "little") + b"x" * 1_000_000
    keys = b"}" + long + b"q\x000(" + b"h\x00]" * 200_000 + b"u."
    refused(keys, tmp_path, "nested more than")
    named = b"]" + long + long.replace(b"x", b"y") + b"\x93q\x00a(" + b"h\x00" * 200_000 + b"e."
    refused(b"\x80\x04" + named, tmp_path, "no tensor was found")
