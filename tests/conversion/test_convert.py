"""Tensors out of pickles of every container: all of them, under the names that their modules give them."""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from trilemma.cli import main
from trilemma.conversion import convert as module
from trilemma.conversion.convert import Converted, convert
from trilemma.errors import UserError

Writer = Callable[[Any, Path], None]
DTYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64,
)  # fmt: skip


def zipped(value: Any, path: Path) -> None:
    torch.save(value, path)


def streamed(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def pickled(protocol: int) -> Writer:
    def write(value: Any, path: Path) -> None:
        path.write_bytes(pickle.dumps(value, protocol))

    return write


WRITERS: dict[str, Writer] = {"zip": zipped, "stream": streamed, **{f"pickle {p}": pickled(p) for p in range(2, 6)}}


def converted(value: Any, folder: Path, write: Writer = zipped, only: str | None = None) -> dict[str, Tensor]:
    """What is read back of a value that was written and converted."""
    source, out = folder / "source.pkl", folder / "out.safetensors"
    for path in (out, out.with_suffix(".json")):
        path.unlink(missing_ok=True)
    write(value, source)
    convert(source, out, only=only)
    return load_file(out)


def bytes_of(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.reshape(-1)).view(torch.uint8)


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Also where a number is NaN."""
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype
        and found[name].shape == tensor.shape
        and (not tensor.numel() or bytes_of(found[name]).equal(bytes_of(tensor)))
        for name, tensor in expected.items()
    )


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Of any type and shape, also as views with gaps, turned around, or of one number many times."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    numbers = torch.randint(0, 2, [2 * size + 1 for size in shape], generator=torch.Generator().manual_seed(1))
    tensor = numbers.to(draw(st.sampled_from(DTYPES)))
    tensor = tensor[tuple(slice(draw(st.integers(0, 1)), None, 2) for _ in shape)]
    if shape and draw(st.booleans()):
        tensor = tensor.transpose(0, -1)
    return (
        tensor[:1].expand(3, *tensor.shape[1:])
        if len(tensor.shape) and tensor.shape[0] and draw(st.booleans())
        else tensor
    )


NAMES = st.text(alphabet="abc_0", min_size=1, max_size=4)
NESTED = st.recursive(
    tensors() | st.none() | st.integers() | st.text(max_size=3) | st.floats(),
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=4)
        | st.dictionaries(NAMES, inner, max_size=4).map(OrderedDict)
        | st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


def flat(value: Any, name: str = "") -> dict[str, Tensor]:
    """The tensors of nested tables and lists, by dotted names."""
    if isinstance(value, Tensor):
        return {name or "tensor": value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {k: v for key, item in items for k, v in flat(item, f"{name}.{key}" if name else str(key)).items()}


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NESTED, st.sampled_from(sorted(WRITERS)))
def test_any_nested_state_comes_back(tmp_path: Path, value: Any, kind: str) -> None:
    expected = flat(value)
    if expected:
        assert same(converted(value, tmp_path, WRITERS[kind]), expected)
    else:
        with pytest.raises(UserError, match="no tensor was found"):
            converted(value, tmp_path, WRITERS[kind])


@pytest.mark.parametrize("kind", WRITERS)
def test_tensors_of_one_storage_and_of_two_names_come_back(kind: str, tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    state = {"whole": whole, "again": whole, "column": whole[:, 1], "row": whole[2], "last": whole[2, 3]}
    assert same(converted(state, tmp_path, WRITERS[kind]), state)


def test_numpy_arrays_come_back(tmp_path: Path) -> None:
    arrays = {
        "rows": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "bits": np.array([True, False]),
        "one": np.float64(2.5),
        "none": np.zeros((0, 3), np.float16),
        "text": np.array(["a"]),
        "objects": np.array([None, {}], dtype=object),
    }
    expected = {
        n: torch.from_numpy(np.array(a)) for n, a in arrays.items() if n in ("rows", "columns", "bits", "one", "none")
    }
    for protocol in range(6):
        found = converted(arrays, tmp_path, pickled(protocol))
        assert same(found, {name: tensor.contiguous() for name, tensor in expected.items()})


@pytest.mark.parametrize("dtype", (">f4", "c16"))
def test_numbers_that_safetensors_cannot_hold_are_told(dtype: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='"a" cannot be recovered: its numbers are of numpy'):
        converted({"a": np.ones(2, dtype)}, tmp_path, pickled(4))


def test_a_pickled_module_gives_the_names_of_its_state_dict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As R3GAN's: no source in it, but classes of a package that is not here."""
    package = ModuleType("training.networks_baseline")

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.layers = nn.ModuleList([nn.Linear(3, 3, bias=False), nn.Conv2d(1, 2, 3)])

    Block.__module__, Block.__qualname__ = "training.networks_baseline", "Block"
    package.Block = Block  # type: ignore[attr-defined]
    for name in ("training", "training.networks_baseline"):
        monkeypatch.setitem(sys.modules, name, package)
    block = Block()
    for write in (pickled(4), zipped, streamed):
        found = converted({"ema": block}, tmp_path, write, only="ema")
        assert same(found, dict(block.state_dict()))
    for name in ("training", "training.networks_baseline"):
        monkeypatch.delitem(sys.modules, name)
    described = json.loads((tmp_path / "out.json").read_text())
    assert "training.networks_baseline.Block" in described["left_alone"]
    assert "training.networks_baseline" not in sys.modules


def test_stylegan_comes_back_with_its_settings_and_its_source_is_not_executed(
    generator: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "network.pkl", tmp_path / "network.safetensors"
    source.write_bytes(pickle.dumps({"G": None, "G_ema": generator, "training_set_kwargs": {"path": "x"}}))
    assert b"write_text" in source.read_bytes()  # the source is in it
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.delitem(sys.modules, name)
    done = convert(source, out, only="G_ema")
    expected = dict(generator.state_dict())
    magnitudes = {f"{part}.magnitude": getattr(generator, part).magnitude for part in ("mapping", "synthesis")}
    assert same(load_file(out), expected | magnitudes)
    assert (done.tensors, done.numbers, done.parameters) == (6, 6 + 15 + 2 * 2 + 2 * 4, 21)
    described = json.loads(out.with_suffix(".json").read_text())
    assert described["objects"]["(root)"] == {
        "class": "Generator",
        "args": [],
        "kwargs": {
            "z_dim": 8, "img_resolution": 16, "noise": {"mode": "const", "gain": 0.5},
            "activation": {"left out": "torch.nn.functional.relu"},
        },
    }  # fmt: skip
    assert described["objects"]["synthesis"] == {"class": "SynthesisLayer", "args": [5], "kwargs": {"up": 2}}
    assert "torch_utils.persistence._reconstruct_persistent_obj" in described["left_alone"]
    assert "torch_utils" not in sys.modules and "torch_utils.persistence" not in sys.modules


class ModelCheckpoint:
    """What Lightning 1 used as a key of its table of callbacks."""


def test_a_lightning_checkpoint_that_torch_refuses_comes_back(tmp_path: Path) -> None:
    state = {"transformer.head.weight": torch.randn(3, 2), "loss.logvar": torch.zeros(())}
    checkpoint = {
        "epoch": 3, "global_step": 7, "state_dict": OrderedDict(state), "callbacks": {ModelCheckpoint: {"best": 1.0}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3}]}],
        "hyper_parameters": {"lr": 1e-3, "config": {"width": 4}, "bad": float("nan"), "huge": 10**400},
    }  # fmt: skip
    zipped(checkpoint, tmp_path / "last.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "last.ckpt", weights_only=True)
    found = converted(checkpoint, tmp_path)
    expected = {f"state_dict.{name}": tensor for name, tensor in state.items()}
    assert same(found, expected | {"optimizer_states.0.state.0.exp_avg": torch.ones(2)})
    described = json.loads((tmp_path / "out.json").read_text())
    plain = {"lr": 1e-3, "config": {"width": 4}, "bad": "nan", "huge": "left out"}
    assert described["hyper_parameters"] == plain
    assert same(converted(checkpoint, tmp_path, only="state_dict"), state)


def test_parameters_are_told_from_buffers(tmp_path: Path) -> None:
    layer = nn.BatchNorm1d(4)
    zipped(layer, tmp_path / "a.pt")
    done = convert(tmp_path / "a.pt", tmp_path / "a.safetensors")
    assert (done.tensors, done.numbers, done.parameters) == (5, 4 * 4 + 1, 8)


def test_a_part_that_is_another_part_is_told(tmp_path: Path) -> None:
    shared = nn.Linear(2, 2)
    both = nn.Module()
    both.first, both.second = shared, shared
    assert set(converted(both, tmp_path)) == {"first.weight", "first.bias"}
    assert json.loads((tmp_path / "out.json").read_text())["shared"] == {"second": "first"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "_rebuild_qtensor makes a kind of tensor"),
        (torch.eye(2).to_sparse(), "_rebuild_sparse_tensor makes a kind of tensor"),
        (torch.zeros(2, dtype=torch.complex128), "no place for the type"),
        ({"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}, 'two tensors would be called "a.b"'),
        ({"a": 1}, "no tensor was found in this file"),
    ],
)
def test_what_cannot_be_recovered_is_told_in_one_line(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as raised:
        converted(value, tmp_path)
    assert "\n" not in str(raised.value) and "source.pkl" in str(raised.value)
    assert not (tmp_path / "out.safetensors").exists() and not list(tmp_path.glob(".*"))


def test_what_lies_outside_of_the_name_that_is_wanted_does_no_harm(tmp_path: Path) -> None:
    value = {"D": torch.eye(2).to_sparse(), "G": {"w": torch.ones(2)}, "G2": torch.ones(1)}
    assert set(converted(value, tmp_path, only="G")) == {"w"}
    with pytest.raises(UserError, match='no tensor was found under "H"'):
        converted(value, tmp_path, only="H")


def test_torchscript_is_told_where_to_go(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    with pytest.raises(UserError, match="TorchScript"):
        convert(tmp_path / "a.pt", tmp_path / "a.safetensors")


def test_paths_are_checked_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.pt"
    with pytest.raises(UserError, match="no such file"):
        convert(source, tmp_path / "a.safetensors")
    zipped({"a": torch.zeros(1)}, source)
    with pytest.raises(UserError, match=r"ends in \.safetensors"):
        convert(source, tmp_path / "a.bin")
    for name in ("b.safetensors", "b.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="this file exists"):
            convert(source, tmp_path / "b.safetensors")
        (tmp_path / name).unlink()
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="larger than"):
        convert(source, tmp_path / "a.safetensors")


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "a.pt", tmp_path / "deep" / "a.safetensors"
    zipped({"net": nn.Linear(3, 2), "x": ModelCheckpoint()}, source)
    assert main(["convert", str(source), str(out), "--only", "net"]) == 0
    told = capsys.readouterr().err
    assert "2 tensors of 8 numbers, 8 of them parameters." in told and str(out) in told
    assert "Nothing was executed. Code that was left alone: " in told and "torch.nn.modules.linear.Linear" in told
    assert main(["convert", str(source), str(out)]) == 2
    assert "this file exists" in capsys.readouterr().err
    assert main(["convert", str(source), str(tmp_path / "b.safetensors"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tensors"], found["numbers"], found["parameters"]) == (2, 8, 8)
    assert any(name.endswith("ModelCheckpoint") for name in found["left_alone"])


def test_what_is_written_is_a_converted(tmp_path: Path) -> None:
    zipped({"a": torch.zeros(2)}, tmp_path / "a.pt")
    done = convert(tmp_path / "a.pt", tmp_path / "a.safetensors")
    assert done == Converted(
        out=tmp_path / "a.safetensors", described=tmp_path / "a.json", tensors=1, numbers=2, parameters=0, classes=()
    )


def test_a_file_within_a_pickle_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trilemma.conversion import arrays

    opened: list[str] = []
    original = arrays.open_content
    monkeypatch.setattr(arrays, "open_content", lambda content, where: opened.append(where) or original(content, where))
    whole = torch.arange(8.0)
    storage = whole.untyped_storage()
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 4)
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
    views = [(torch._utils._rebuild_tensor_v2, (typed, place, (2,), (1,), False, OrderedDict())) for place in (0, 4)]

    class View:
        def __init__(self, how: Any) -> None:
            self.how = how

        def __reduce__(self) -> Any:
            return self.how

    pickler.dump([View(how) for how in views])
    (tmp_path / "a.pkl").write_bytes(buffer.getvalue())
    convert(tmp_path / "a.pkl", tmp_path / "a.safetensors")
    assert same(load_file(tmp_path / "a.safetensors"), {"0": whole[:2], "1": whole[4:6]})
    assert len(opened) == 1
