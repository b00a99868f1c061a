"""Stand-ins for the packages that pickled generators name, and files that would leave a trace if they were executed."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

SOURCE = "from pathlib import Path\nPath({trace!r}).write_text('executed')\n"


class Trace:
    """A file that is there once anything was executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def source(self) -> str:
        return SOURCE.format(trace=str(self.path))

    @property
    def command(self) -> str:
        return f"touch {self.path}"

    @property
    def is_left(self) -> bool:
        return self.path.exists()


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Trace]:
    """Whatever a test does, nothing may be executed."""
    found = Trace(tmp_path / "executed")
    yield found
    assert not found.is_left


class EasyDict(dict[str, Any]):
    """As StyleGAN's ``dnnlib.util.EasyDict``: a dictionary of another name."""


@pytest.fixture
def stylegan(monkeypatch: pytest.MonkeyPatch, trace: Trace) -> ModuleType:
    """A module of torch's, pickled as ``torch_utils.persistence`` does it: with the text of its source."""
    persistence, dnnlib = ModuleType("torch_utils.persistence"), ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta: Any) -> Any:
        exec(meta["module_src"])
        raise AssertionError

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"

    class Persistent(nn.Module):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__()
            self._init_args, self._init_kwargs = copy.deepcopy(args), EasyDict(copy.deepcopy(kwargs))

        def __reduce__(self) -> tuple[Any, ...]:
            meta = {
                "type": "class", "version": 6, "module_src": trace.source, "class_name": type(self).__name__,
                "state": self.__dict__,
            }  # fmt: skip
            return _reconstruct_persistent_obj, (EasyDict(meta),), None

    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    persistence.Persistent = Persistent  # type: ignore[attr-defined]
    dnnlib.EasyDict = EasyDict  # type: ignore[attr-defined]
    for module in (persistence, dnnlib):
        monkeypatch.setitem(
            sys.modules, module.__name__.partition(".")[0], ModuleType(module.__name__.partition(".")[0])
        )
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return persistence


@pytest.fixture
def generator(stylegan: ModuleType) -> nn.Module:
    """A small generator of two parts, with parameters, a buffer, a half-precision tensor and a plain attribute."""

    class SynthesisLayer(stylegan.Persistent):  # type: ignore[name-defined,misc]
        def __init__(self, channels: int, *, up: int = 1) -> None:
            super().__init__(channels, up=up)
            self.weight = nn.Parameter(torch.randn(channels, 3))
            self.register_buffer("resample_filter", torch.arange(4.0)[::2])
            self.magnitude = torch.randn(2, 2, dtype=torch.float16)

    class Generator(stylegan.Persistent):  # type: ignore[name-defined,misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.mapping = SynthesisLayer(2)
            self.synthesis = SynthesisLayer(5, up=2)

    torch.manual_seed(0)
    return Generator(
        z_dim=8, img_resolution=16, noise={"mode": "const", "gain": 0.5}, activation=torch.nn.functional.relu
    )
