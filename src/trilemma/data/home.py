"""Where the files of data sets are looked for: beside those of weights (see ``features.weights``)."""

from __future__ import annotations

import os
from pathlib import Path

from trilemma.workspace import cache_folder

VARIABLE = "TRILEMMA_DATA"


def data_folders() -> list[Path]:
    """Returns the folders that hold one folder per data set, in the order in which they are looked at.

    ``$TRILEMMA_DATA``, then the suite's own cache. What is fetched goes to the first.
    """
    given = os.environ.get(VARIABLE)
    return [*([Path(given).expanduser()] if given else []), cache_folder() / "data"]
