"""What is special about the official checkpoints of VAR: names, and a guidance scale of their own.

Source: https://github.com/FoundationVision/VAR, ``models/basic_vae.py``, ``models/var.py`` (arXiv 2404.02905).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from trilemma.errors import UserError
from trilemma.generator import Knob

SAMPLED = ("decoder.", "post_quant_conv.", "quantize.embedding.", "quantize.quant_resi.")
USAGE = "ema_vocab_hit_SV"  # how often each code was used in training; its shape may be of other scales
SCALES = "attn.scale_mul_1H11"


def scale_of_cfg(cfg: float) -> float:
    """Returns the guidance scale s of ``u + s (c - u)`` at the last of the scales, of the official ``cfg``.

    The official sampler takes ``(1 + t) c - t u`` with t = cfg · si / (S - 1) at scale si of S: s rises from 1 to
    1 + cfg.
    """
    return 1 + cfg


def cfg_of_scale(scale: float) -> float:
    """Returns the official ``cfg`` that ends at a guidance scale; see :func:`scale_of_cfg`."""
    return scale - 1


def strength(scale: float, place: int, scales: int, *, linear: bool) -> float:
    """Returns the guidance scale at one of the scales: everywhere the same, or rising linearly from 1 to ``scale``."""
    return scale_of_cfg(cfg_of_scale(scale) * place / (scales - 1)) if linear and scales > 1 else scale


def guidance_knobs(knobs: Sequence[Knob], options: Mapping[str, Any], where: str) -> tuple[Knob, ...]:
    """Returns the knobs of a model whose guidance rises; ``options.cfg`` is their default in the official scale.

    Raises:
        UserError: ``options.cfg`` is no number of 0 or more.
    """
    (guidance,) = [knob for knob in knobs if knob.name == "guidance_scale"]
    cfg = options.get("cfg", cfg_of_scale(guidance.default))
    if isinstance(cfg, bool) or not isinstance(cfg, (int, float)) or not 0 <= cfg <= cfg_of_scale(guidance.maximum):
        raise UserError(f"must be a number of 0 or more, got {cfg!r}.", where=f"{where}: options.cfg")
    rising = replace(
        guidance,
        default=scale_of_cfg(cfg),
        description="classifier-free guidance u + s (c - u) at the last scale, rising linearly from 1, which is none; "
        "the official cfg is one less",
    )
    return tuple(rising if knob is guidance else knob for knob in knobs)


def tokenizer_tensors(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Returns what sampling needs of an official ``vae_*.pth``: one projection to queries, keys and values is three.

    Raises:
        UserError: the file is no tokenizer of VAR.
    """
    if "quantize.embedding.weight" not in tensors:
        raise UserError("this is no tokenizer of VAR.", where=str(path))
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if not name.startswith(SAMPLED):
            continue
        before, joined, kind = name.rpartition(".qkv.")
        if joined:
            found |= {f"{before}.{part}.{kind}": third for part, third in zip("qkv", value.chunk(3), strict=True)}
        else:
            found[name] = value
    return found


def transformer_tensors(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Returns the tensors of an official ``var_d*.pth``.

    Raises:
        UserError: the file is no transformer of VAR, or one of those that its authors replaced under the same name.
    """
    if "pos_1LC" not in tensors:
        raise UserError("this is no transformer of VAR.", where=str(path))
    if not any(name.endswith(SCALES) for name in tensors):
        hint = "Its authors replaced the first files under the same names; get today's."
        raise UserError("this is a checkpoint of before queries and keys were normalised.", where=str(path), hint=hint)
    return dict(tensors)
