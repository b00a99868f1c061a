"""What the header of a LoRA's file says of alpha: diffusers and PEFT write it there alone, and no tensor for it.

Under one key stands PEFT's configuration of each network as JSON: ``unet.lora_alpha``, ``unet.use_rslora`` and so on.
The scale is alpha / r, or alpha / sqrt(r) with ``use_rslora`` (Kalajdzievski, arXiv 2312.03732).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from trilemma.errors import UserError

KEY = "lora_adapter_metadata"  # LORA_ADAPTER_METADATA_KEY of diffusers' loaders/lora_base.py


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How the adapters of one network are scaled; the patterns are regular expressions of the ends of layers' paths."""

    where: str
    alpha: float
    alphas: Mapping[str, float]
    rank: float | None
    ranks: Mapping[str, float]
    by_root: bool

    def share(self, path: str, rank: int) -> float:
        """Returns the factor of the layer at ``path`` ("a.b.c"), whose A has ``rank`` rows.

        Raises:
            UserError: the header says another rank, so that it is not of these tensors.
        """
        said = _of_layer(self.ranks, path, self.rank)
        if said not in (None, rank):
            raise UserError(f'the header says rank {said:g} for "{path}", its tensors have {rank}.', where=self.where)
        alpha = _of_layer(self.alphas, path, self.alpha)
        assert alpha is not None
        return alpha / (math.sqrt(rank) if self.by_root else rank)


def stated_scalings(path: Path) -> dict[str, Scaling]:
    """Returns what the header says by the names of networks; nothing where it says nothing.

    Raises:
        UserError: it says something that cannot be read: a guess would be another adapter.
    """
    where = f"{path}: {KEY}"
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(KEY)
    try:
        said = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        raise UserError("this is no readable JSON.", where=where) from None
    if not isinstance(said, dict):
        raise UserError("this is no object with names and values.", where=where)
    networks = {key.partition(".")[0] for key in said if "." in key}
    return {name: _scaling(said, f"{name}.", where) for name in networks}


def _scaling(said: Mapping[str, object], prefix: str, where: str) -> Scaling:
    own = {key.removeprefix(prefix): value for key, value in said.items() if key.startswith(prefix)}
    by_root = own.get("use_rslora") or False
    if not isinstance(by_root, bool):
        raise UserError(f"must be true or false, got {by_root!r}.", where=f"{where}: {prefix}use_rslora")
    return Scaling(
        where=where,
        alpha=_number(own.get("lora_alpha"), f"{where}: {prefix}lora_alpha"),
        alphas=_pattern(own.get("alpha_pattern"), f"{where}: {prefix}alpha_pattern"),
        rank=None if own.get("r") is None else _number(own["r"], f"{where}: {prefix}r"),
        ranks=_pattern(own.get("rank_pattern"), f"{where}: {prefix}rank_pattern"),
        by_root=by_root,
    )


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UserError(f"must be a number, got {value!r}.", where=where)
    return value


def _pattern(value: object, where: str) -> dict[str, float]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"must be an object, got {value!r}.", where=where)
    found = {key: _number(number, where) for key, number in value.items()}
    try:
        for key in found:
            _regex(key)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f'"{key}" is no regular expression: {error}.', where=where) from None
    return found


def _of_layer(pattern: Mapping[str, float], path: str, default: float | None) -> float | None:
    return next((value for key, value in pattern.items() if _regex(key).match(path)), default)


def _regex(key: str) -> re.Pattern[str]:
    """A key is the end of a path, from a dot on, as PEFT reads it (``get_pattern_key`` in its utils/other.py)."""
    return re.compile(rf"(.*\.)?({key})$")
