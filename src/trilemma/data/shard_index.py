"""The index of a WebDataset shard: made by one walk over it, and kept in the suite's cache."""

from __future__ import annotations

import json
import os
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trilemma.data.damage import reading
from trilemma.data.shard_walk import ShardIndex, Stat, walked
from trilemma.identity import digest
from trilemma.workspace import cache_folder

FORMAT = 1
SETTLED_SECONDS = 2.0  # a shard may be written again within one tick of its clock: a younger one is not remembered


def stat_of(file: BinaryIO) -> Stat:
    """Returns size and last change of an open file."""
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def index_of(path: Path) -> ShardIndex:
    """Returns the index of a shard: the one that is kept, or by a walk over the shard.

    Raises:
        UserError: the shard is damaged, or a member of it; shard and member are named.
    """
    with reading("shard", str(path)), path.open("rb") as file:
        stat = stat_of(file)
        kept = cache_folder() / "shards" / f"{digest([FORMAT, str(path.resolve()), *stat])[:32]}.npz"
        index = _kept(kept, stat)
        if index is None:
            index = walked(file, stat, str(path))
            if time.time() - stat[1] / 1e9 > SETTLED_SECONDS:
                _keep(kept, index)
    return index


def _kept(path: Path, stat: Stat) -> ShardIndex | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names = tuple(json.loads(stored["names"].tobytes()))
            skipped = int(stored["skipped"])
            return ShardIndex(stat=stat, names=names, numbers_N6=stored["numbers"], skipped=skipped)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _keep(path: Path, index: ShardIndex) -> None:
    """Writes an index whole or not at all. A cache that cannot be written costs time and nothing else."""
    names = np.frombuffer(json.dumps(index.names).encode(), np.uint8)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, names=names, numbers=index.numbers_N6, skipped=np.array(index.skipped))
        os.replace(temporary, path)
