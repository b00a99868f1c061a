"""What turns a loaded network into one of another precision or memory layout, or into a compiled one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.errors import UserError

T = TypeVar("T")

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MOST_SHAPES = 64
"""Beyond its limit of compilations torch.compile silently runs what is not compiled; its own limit is 8, and a sweep
over batch sizes has more."""


def cast(modules: Iterable[nn.Module], precision: Precision) -> None:
    """Turns the networks' parameters and buffers into that precision, in place."""
    for module in modules:
        nn.Module.to(module, DTYPES[precision])  # diffusers' own warns of every cast


def channels_last(modules: Iterable[nn.Module]) -> None:
    """Lays the weights of convolutions out with channels innermost, as their fast kernels on CPU and GPU want them."""
    for module in modules:
        module.to(memory_format=torch.channels_last)


def compile_in_place(modules: Iterable[nn.Module]) -> None:
    """Compiles each network's forward pass where it stands; another shape than those before is another compilation.

    On a GPU the kernels of a pass are replayed as one CUDA graph, and what it returns is copied out of that graph's
    memory: the next pass would overwrite it. Hooks stay outside of what is compiled.

    Raises:
        UserError: there is no compiler to do it with.
    """
    for module in modules:
        device = next(module.parameters()).device
        check_compiler(device.type)
        on_gpu = device.type == "cuda"
        mode = "reduce-overhead" if on_gpu else None
        compiled = _with_room(torch.compile(module.forward, dynamic=False, mode=mode))
        module.forward = _copying(compiled) if on_gpu else compiled


def compile_function(function: Callable[..., T]) -> Callable[..., T]:
    """Compiles a function that is called with many lengths: a size that changes is soon compiled as a variable."""
    return _with_room(torch.compile(function))


def _with_room(compiled: Callable[..., T]) -> Callable[..., T]:
    """Lets a compiled function be compiled for MOST_SHAPES shapes; the limit that others see stays as it is."""
    import torch._dynamo.config as settings

    def call(*args: Any, **kwargs: Any) -> T:
        with settings.patch(recompile_limit=MOST_SHAPES):
            return compiled(*args, **kwargs)

    return call


def check_compiler(device_type: str) -> None:
    """Raises UserError unless torch.compile finds the compiler that it needs: C++ for a CPU, C and Triton for a GPU."""
    gpu = device_type == "cuda"
    named = os.environ.get("CC" if gpu else "CXX")
    usual = ("gcc", "clang") if gpu else ("clang++",) if sys.platform == "darwin" else ("g++",)
    wanted = (named,) if named else usual
    if not any(shutil.which(name) for name in wanted):
        hint = f"Install it, or name another in the environment variable {'CC' if gpu else 'CXX'}."
        raise UserError(f"torch.compile needs a compiler that is not here: {' or '.join(wanted)}.", hint=hint)
    if gpu and importlib.util.find_spec("triton") is None:
        raise UserError("torch.compile needs the package triton on a GPU.")


def _copying(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return _copied(forward(*args, **kwargs))

    return call


def _copied(output: Any) -> Any:
    """Tensors, tuples of them, and the ordered dictionaries that transformers and diffusers return."""
    if isinstance(output, Tensor):
        return output.clone()
    if isinstance(output, tuple):
        return tuple(_copied(part) for part in output)
    if isinstance(output, dict):
        return type(output)(**{name: _copied(part) for name, part in output.items()})
    return output
