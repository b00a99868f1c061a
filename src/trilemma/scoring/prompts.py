"""Prompts for images that came without: a text file with one prompt per line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trilemma.data.sources import ImageSource
from trilemma.errors import UserError
from trilemma.scoring.side import Side

Rows = NDArray[np.int64]


def read_prompts(path: Path, source: ImageSource) -> list[str]:
    """Returns the prompts of a source's images: line i belongs to image i, in the order of their names.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or has another number of lines than there are images.
    """
    try:
        prompts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"these prompts cannot be read: {reason}.", where=str(path)) from None
    if len(prompts) != len(source):
        raise UserError(f"there are {len(prompts)} prompts for the {len(source)} images.", where=str(path))
    return prompts


def with_prompts(side: Side, prompts: Sequence[str], rows: Rows) -> Side:
    """Returns a side, of the images ``rows`` of a source, with their prompts; where these repeat, they make groups."""
    chosen = tuple(prompts[row] for row in rows)
    return replace(side, prompts=chosen, grouped=len(set(chosen)) < len(chosen))
