"""A function over many items in a few threads, with the results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = min(8, os.cpu_count() or 1)
AHEAD = 2 * WORKERS  # results that may wait for their reader: what bounds the memory


def in_order(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yields ``function(item)`` for every item; an exception is raised at its item's place.

    Threads serve what leaves the interpreter lock alone: reading, hashing, decoding. A reader that stops early leaves
    no work behind.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="images")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
