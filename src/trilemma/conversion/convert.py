"""A pickle's tensors as a safetensors file, and its settings as JSON beside it."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from trilemma.conversion.opened import open_source
from trilemma.conversion.walk import ROOT, Found, find
from trilemma.errors import UserError
from trilemma.store.atomic import UNFINISHED, write_json

if TYPE_CHECKING:
    import torch

    from trilemma.conversion.arrays import Array

T = TypeVar("T")

SUFFIX = ".safetensors"
MOST_BYTES = 2**36  # 64 GiB
LARGER_THAN_SOURCE = 4  # a tensor that has several names is written once for each
SPARE_BYTES = 2**26
MOST_CLASSES = 1_000


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What was written.

    Attributes:
        tensors: how many; numbers: how many in them; parameters: how many of those the pickle calls parameters.
        classes: names of code that unpickling would have imported, and that was left alone.
    """

    out: Path
    described: Path
    tensors: int
    numbers: int
    parameters: int
    classes: tuple[str, ...]


def convert(source: Path, out: Path, *, only: str | None = None) -> Converted:
    """Reads the tensors out of a pickle, without executing anything in it, and writes them.

    Args:
        source: torch's zip file, torch's older stream, or a plain pickle, such as StyleGAN's.
        out: the safetensors file; settings that were found go to the JSON file of the same name.
        only: keeps what lies under this name, and takes the name away: "G_ema" of StyleGAN, "state_dict" of Lightning.

    Raises:
        UserError: the source is damaged, too large, too deep, or holds no tensor that can be recovered; ``out`` exists.
    """
    described = out.with_suffix(".json")
    _check_paths(source, out, described)
    found = _kept(find(open_source(source), _allowed(source), only), only, source)
    _write(found.arrays, out)
    write_json(described, _description(found, source))
    sizes = {name: math.prod(array.shape) for name, array in found.arrays.items()}
    return Converted(
        out=out,
        described=described,
        tensors=len(sizes),
        numbers=sum(sizes.values()),
        parameters=sum(size for name, size in sizes.items() if found.arrays[name].parameter),
        classes=tuple(sorted(found.classes)),
    )


def _check_paths(source: Path, out: Path, described: Path) -> None:
    if out.suffix != SUFFIX:
        raise UserError(f"what is written ends in {SUFFIX}.", where=str(out))
    for path in (out, described):
        if path.exists():
            raise UserError("this file exists.", where=str(path), hint="Remove it, or name another.")
    if not source.is_file():
        raise UserError("there is no such file.", where=str(source))
    if source.stat().st_size > MOST_BYTES:
        raise UserError(f"this file is larger than {MOST_BYTES >> 30} GiB; it is not read.", where=str(source))


def _allowed(source: Path) -> int:
    return LARGER_THAN_SOURCE * source.stat().st_size + SPARE_BYTES


def _kept(found: Found, only: str | None, source: Path) -> Found:
    if only is not None:
        found.arrays = _below(found.arrays, only)
        found.made = _below(found.made, only)
        found.shared = _below(found.shared, only)
    if not found.arrays:
        under = f' under "{only}"' if only is not None else ""
        raise UserError(f"no tensor was found{under} in this file.", where=str(source))
    return found


def _below(named: dict[str, T], only: str) -> dict[str, T]:
    kept = {name: value for name, value in named.items() if f"{name}.".startswith(f"{only}.")}
    return {name.removeprefix(only).removeprefix(".") or ROOT: value for name, value in kept.items()}


def _description(found: Found, source: Path) -> dict[str, object]:
    described: dict[str, object] = {"source": source.name, "objects": found.made}
    if found.settings is not None:
        described["hyper_parameters"] = found.settings
    if found.shared:
        described["shared"] = found.shared
    return described | {"left_alone": sorted(found.classes)[:MOST_CLASSES]}


def _write(arrays: dict[str, Array], out: Path) -> None:
    from safetensors.torch import save_file

    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{out.name}.", suffix=UNFINISHED, dir=out.parent)
    os.close(descriptor)
    try:
        save_file({name: _tensor(array) for name, array in arrays.items()}, temporary)
        Path(temporary).chmod(0o644)
        os.replace(temporary, out)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _tensor(array: Array) -> torch.Tensor:
    import torch

    dtype: torch.dtype = getattr(torch, array.dtype)
    if not array.bytes:
        return torch.empty(array.shape, dtype=dtype)
    return torch.from_numpy(array.contents().copy()).view(dtype).reshape(array.shape)
