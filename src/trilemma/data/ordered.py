"""Items worked on in a few threads, with the results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = min(8, os.cpu_count() or 1)
AHEAD = 2 * WORKERS  # results that may wait for their reader: what bounds the memory. Of small ones there may be more:
FAR_AHEAD, HELD_BYTES = 256, 2**25  # batches, which are decoded while a network is at work on the one before
RUN, SMALL_BYTES = 64, 2**14
"""So many items are done one after the other, where turns would take longer than they do; of those that the reader does
itself only while their results are small."""


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], *, by_reader: Callable[[Item], bool] = lambda item: False
) -> Iterator[Result]:
    """Yields ``function(item)`` for every item; an exception is raised at its item's place.

    Threads serve what leaves the interpreter lock alone: reading, hashing, decoding. A reader that stops early leaves
    no work behind.

    Args:
        function: what is done. items: to what.
        by_reader: tells the items that are done in the reader's own thread, once their turn has come: what is short
            and needs the lock. A thread that did it beside a network would keep that waiting for longer than it takes.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="images")
    waiting: deque[Future[Result]] = deque()
    start, ahead = 0, AHEAD
    try:
        while waiting or start < len(items):
            while start < len(items) and len(waiting) < ahead and not by_reader(items[start]):
                waiting.append(pool.submit(function, items[start]))
                start += 1
            if waiting:
                results = [waiting.popleft().result()]
                ahead = _ahead(results[0])
            else:
                results = _own_results(function, items[start : start + RUN], by_reader)
                start += len(results)
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def in_runs(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yields what :func:`in_order` does, of work that may be short: a thread does several neighbours at a time.

    An exception is raised at the place of the first of the neighbours.
    """
    size = max(1, min(RUN, len(items) // (2 * AHEAD)))
    runs = [items[start : start + size] for start in range(0, len(items), size)]
    for results in in_order(lambda run: [function(item) for item in run], runs):
        yield from results


def prefetched(items: Generator[Item]) -> Generator[Item]:
    """Yields the items, each of which another thread fetches while the one before is in use."""
    end = object()
    with closing(items), ThreadPoolExecutor(1, thread_name_prefix="images") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def _own_results(
    function: Callable[[Item], Result], items: Sequence[Item], by_reader: Callable[[Item], bool]
) -> list[Result]:
    """Returns at least one result: up to the first that is not small, and not that of an item that fails later on."""
    results = [function(items[0])]
    for item in items[1:]:
        if not by_reader(item) or _bytes(results[-1]) > SMALL_BYTES:
            break
        try:
            results.append(function(item))
        except Exception:  # is raised when its turn has come, as the first
            break
    return results


def _bytes(result: object) -> int:
    return int(getattr(result, "nbytes", 0))


def _ahead(result: object) -> int:
    """Returns how many results may wait if all are as large as this one; of those without a size, few."""
    size = _bytes(result)
    return max(AHEAD, min(FAR_AHEAD, HELD_BYTES // size)) if size else AHEAD
