"""A function over many items in a few threads, with the results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = min(8, os.cpu_count() or 1)
AHEAD = 2 * WORKERS  # results that may wait for their reader: what bounds the memory. Of small ones there may be more:
FAR_AHEAD, HELD_BYTES = 256, 2**25  # batches, which are decoded while a network is at work on the one before
RUN, RUN_BYTES = 16, 2**18
"""Of the smallest, several are done at a time, and by one thread: handing one over takes longer than decoding it, and
most of decoding it is Python, for whose lock two threads contend at twice the cost."""


@dataclass(frozen=True, kw_only=True)
class _Run(Generic[Result]):
    """What became of some neighbours: the results of the first of them, and the error of the one behind these."""

    results: list[Result]
    error: Exception | None


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], *, at_once: int | None = None
) -> Iterator[Result]:
    """Yields ``function(item)`` for every item; an exception is raised at its item's place.

    Threads serve what leaves the interpreter lock alone: reading, hashing, decoding. A reader that stops early leaves
    no work behind.

    Args:
        function: what is done. items: to what.
        at_once: how many neighbours a thread does at a time; by default as many as have small arrays for results.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="images")
    waiting: deque[tuple[Sequence[Item], Future[_Run[Result]]]] = deque()
    start, pending, ahead, size = 0, 0, AHEAD, at_once or 1
    one_thread = Lock()
    try:
        while waiting or start < len(items):
            while start < len(items) and pending <= ahead:
                run = items[start : start + size]
                turn = one_thread if at_once is None and size > 1 else nullcontext()
                waiting.append((run, pool.submit(_done, function, run, turn)))
                start, pending = start + len(run), pending + len(run)
            run, future = waiting.popleft()
            for result in _results(function, run, future.result()):
                pending -= 1
                ahead, size = _ahead(result), at_once or _size(result)
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _done(
    function: Callable[[Item], Result], items: Sequence[Item], turn: AbstractContextManager[object]
) -> _Run[Result]:
    """Does a run of items, as far as their results are small together, when it is its turn."""
    results: list[Result] = []
    held = 0
    with turn:
        for item in items:
            try:
                results.append(function(item))
            except Exception as error:
                return _Run(results=results, error=error)
            held += _bytes(results[-1])
            if held > RUN_BYTES:
                break
    return _Run(results=results, error=None)


def _results(function: Callable[[Item], Result], items: Sequence[Item], run: _Run[Result]) -> Iterator[Result]:
    """Yields the results of a run, and does what was left of it."""
    yield from run.results
    if run.error is not None:
        raise run.error
    yield from map(function, items[len(run.results) :])


def _bytes(result: object) -> int:
    return int(getattr(result, "nbytes", 0))


def _ahead(result: object) -> int:
    """Returns how many results may wait if all are as large as this one; of those without a size, few."""
    size = _bytes(result)
    return max(AHEAD, min(FAR_AHEAD, HELD_BYTES // size)) if size else AHEAD


def _size(result: object) -> int:
    """Returns how many are done at a time if all are as large as this one; of those without a size, one."""
    size = _bytes(result)
    return max(1, min(RUN, RUN_BYTES // size)) if size else 1
