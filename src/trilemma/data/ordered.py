"""Items worked on in a few threads, with the results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = min(8, os.cpu_count() or 1)
AHEAD = 2 * WORKERS  # results that may wait for their reader: what bounds the memory. Of lesser ones there may be more:
FAR_AHEAD, HELD_BYTES = 256, 2**25  # batches, which are decoded while a network is at work on the one before
SMALL_BYTES = 2**14
"""Results as small as this are made by their reader when it asks for them: most of decoding such an image is Python,
and a thread that does it beside a network keeps that waiting, for the interpreter and for a core, longer than it takes.
"""
RUN = 64  # small results that are made at a time, and short pieces of work that a thread does: turns take time, too


def in_order(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yields ``function(item)`` for every item; an exception is raised at its item's place.

    Threads serve what leaves the interpreter lock alone: reading, hashing, decoding. The first result tells how large
    they are, the later ones whether that has changed. A reader that stops early leaves no work behind.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="images")
    waiting: deque[Future[Result]] = deque()
    start, ahead = 0, 0
    try:
        while waiting or start < len(items):
            while start < len(items) and len(waiting) < ahead:
                waiting.append(pool.submit(function, items[start]))
                start += 1
            if waiting:
                results = [waiting.popleft().result()]
            else:
                results = _first_results(function, items[start : start + RUN])
                start += len(results)
            ahead = _ahead(results[-1])
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def in_runs(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yields what :func:`in_order` does, of work that is short: a thread does several neighbours at a time.

    An exception is raised at the place of the first of the neighbours.
    """
    runs = [items[start : start + RUN] for start in range(0, len(items), RUN)]
    for results in in_order(lambda run: [function(item) for item in run], runs):
        yield from results


def prefetched(items: Iterator[Item]) -> Iterator[Item]:
    """Yields the items, each of which another thread fetches while the one before is in use."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="images") as thread:
        coming = thread.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def _first_results(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Returns at least one result: up to the first that is not small, and not that of an item that fails later on."""
    results = [function(items[0])]
    for item in items[1:]:
        if _ahead(results[-1]) > 0:
            break
        try:
            results.append(function(item))
        except Exception:  # is raised when its turn has come, as the first
            break
    return results


def _ahead(result: object) -> int:
    """Returns how many results may wait if all are as large as this one; of those without a size, few."""
    size = int(getattr(result, "nbytes", 0))
    if 0 < size <= SMALL_BYTES:
        return 0
    return max(AHEAD, min(FAR_AHEAD, HELD_BYTES // size)) if size else AHEAD
