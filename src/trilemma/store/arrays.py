"""Arrays beside the sample rows: features, logits, thumbnails."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Returns every array of an ``.npz``.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise UserError("this part of the record is missing.", where=str(path))
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None
