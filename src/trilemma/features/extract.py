"""One pass over the images for any number of extractors, kept in the cache shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from trilemma.data.ordered import prefetched
from trilemma.errors import UserError
from trilemma.features.cache import Arrays, CachedFeatures, shards
from trilemma.features.preprocessing import Pixels
from trilemma.workspace import cache_folder

Progress = Callable[[int, int], None]
ON_PROCESSOR, ON_ACCELERATOR = 16, 32  # images at a time


class Images(Protocol):
    """What is asked of a source of images."""

    @property
    def name(self) -> str:
        """What was given, for people."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def digest(self) -> str:
        """Sha256 over the content in order."""
        ...

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Images uint8 ``(H, W, 3)`` from ``start`` up to ``stop``, in order."""
        ...


class Extracts(Protocol):
    """What is asked of an extractor."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that changes the arrays, as plain data."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the arrays are computed."""
        ...

    def batch(self, images: Sequence[Pixels]) -> Arrays:
        """Arrays of B rows for B images uint8 ``(H, W, 3)``."""
        ...


def extract(
    source: Images,
    extractors: Mapping[str, Extracts],
    *,
    batch_size: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    stop: int | None = None,
) -> dict[str, Arrays]:
    """Returns each extractor's arrays, mapped from disk and read-only; what the cache has is not computed.

    Args:
        source: the images.
        extractors: by any names; an image is decoded once for all of them.
        batch_size: images at a time; by default 16 on the processor, where more of Inception's take longer and half a
            gigabyte more, and 32 elsewhere. It changes speed, and features by float rounding alone.
        cache: the folder; by default ``$TRILEMMA_CACHE`` or the platform's.
        progress: is told how many images are done, and of how many.
        stop: take the first images only.

    Raises:
        UserError: there are no images, or fewer than ``stop``; an image cannot be read or measured.
    """
    count = _count(source, stop)
    digest = source.digest()
    stores = {
        name: CachedFeatures(root=cache or cache_folder(), source=digest, identity=extractor.identity, images=count)
        for name, extractor in extractors.items()
    }
    found = {name: store.read() for name, store in stores.items()}
    missing = [(extractors[name], store) for name, store in stores.items() if found[name] is None]
    if batch_size is None:
        batch_size = ON_ACCELERATOR if _accelerated(extractors.values()) else ON_PROCESSOR
    _Pass(source, batch_size, progress or (lambda done, total: None), count).fill(missing)
    return {name: stores[name].finish() if arrays is None else arrays for name, arrays in found.items()}


def _count(source: Images, stop: int | None) -> int:
    count = len(source) if stop is None else stop
    if not 1 <= count <= len(source):
        raise UserError(f"this source has {len(source)} images; {count} are asked for.", where=source.name)
    return count


@dataclass(frozen=True)
class _Pass:
    """The way through the first ``count`` images of a source."""

    source: Images
    batch_size: int
    progress: Progress
    count: int

    def fill(self, missing: Sequence[tuple[Extracts, CachedFeatures]]) -> None:
        """Computes every shard that one of the stores lacks, for those that lack it."""
        for start, end in shards(self.count) if missing else ():
            lacking = [pair for pair in missing if not pair[1].has(start)]
            if lacking:
                measured = self._measure(start, end, [extractor for extractor, _ in lacking])
                for (_, store), arrays in zip(lacking, measured, strict=True):
                    store.write(start, arrays)
                self.progress(end, self.count)
        self.progress(self.count, self.count)

    def _measure(self, start: int, end: int, extractors: Sequence[Extracts]) -> list[Arrays]:
        """Decodes the images of a shard once, and returns what each extractor says of them."""
        parts: list[list[Arrays]] = [[] for _ in extractors]
        done = start
        in_turn = _batches(self.source.images(start, end), self.batch_size)
        # On the processor, what is fetched ahead would only take cores from the network.
        with closing(prefetched(in_turn) if _accelerated(extractors) else in_turn) as batches:
            for batch in batches:
                for extractor, rows in zip(extractors, parts, strict=True):
                    rows.append(extractor.batch(batch))
                done += len(batch)
                self.progress(done, self.count)
        if done != end:
            raise UserError(f"{done - start} images came where {end - start} were due.", where=self.source.name)
        return [{name: np.concatenate([row[name] for row in rows]) for name in rows[0]} for rows in parts]


def _accelerated(extractors: Iterable[Extracts]) -> bool:
    return any(extractor.device.type != "cpu" for extractor in extractors)


def _batches(images: Iterable[Pixels], size: int) -> Generator[list[Pixels]]:
    remaining = iter(images)
    while batch := list(islice(remaining, size)):
        yield batch
