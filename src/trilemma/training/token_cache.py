"""Encodes the finite training split once, so that a prior's steps need no encoder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trilemma.training.loop import progress_bar
from trilemma.training.split import TrainingSplit

BATCH = 250


def encode_training_split(
    path: Path,
    data: TrainingSplit,
    encode: Callable[[Tensor], Tensor],
    device: torch.device,
    *,
    quiet: bool = True,
) -> Tensor:
    """Returns ``encode`` of every picture of the training split, from ``path`` if it was done before.

    Args:
        path: a ``.npy`` file, written when the work is complete.
        data: whose pictures.
        encode: float images ``(B, 3, H, W)`` in [-1, 1] to a tensor ``(B, ...)``.
        device: where to encode.
        quiet: no progress bar.

    Returns:
        ``(N, ...)`` on the CPU: int16 for integer codes, else float16.
    """
    if not path.exists():
        parts = []
        with torch.inference_mode(), progress_bar(quiet) as bar:
            task = bar.add_task("encoding", total=data.count, note="")
            for start in range(0, data.count, BATCH):
                codes = encode(data.pictures(np.arange(start, min(start + BATCH, data.count)), device))
                parts.append(codes.to(torch.float16 if codes.is_floating_point() else torch.int16).cpu().numpy())
                bar.update(task, advance=len(codes))
        temporary = path.with_suffix(".partial.npy")
        np.save(temporary, np.concatenate(parts))
        os.replace(temporary, path)
    return torch.from_numpy(np.load(path))
