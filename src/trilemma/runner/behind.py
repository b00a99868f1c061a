"""Work that is done behind the caller's back: batches go to disk while the next ones are drawn."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """Does one piece of work after the other, in the order given, on a thread of its own.

    At most one piece is under way; the next is taken once it is done, so that memory stays bounded and a killed process
    loses one batch more, no matter how slow the disk is. What a piece raises, the next call of :meth:`do` raises, or
    the end of the block, which waits for the last one.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="behind")
        self._last: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Begins a piece of work, as soon as the one before it is done."""
        self._settle()
        self._last = self._thread.submit(work)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if kind is None:  # else the caller's own error tells more
            self._settle()

    def _settle(self) -> None:
        if self._last is not None:
            self._last.result()
