"""Work in threads: order, bounds, errors at their places, nothing left behind, the reader's own part."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trilemma.data import ordered

Result = NDArray[np.uint8]
SMALL, LARGE = ordered.SMALL_BYTES, ordered.SMALL_BYTES + 1


class Maker:
    """Makes arrays of some sizes, and notes in which thread."""

    def __init__(self, sizes: list[int], fails_at: int | None = None) -> None:
        self.sizes, self.fails_at = sizes, fails_at
        self.elsewhere: dict[int, bool] = {}

    def __call__(self, item: int) -> Result:
        if item == self.fails_at:
            raise ValueError(item)
        self.elsewhere[item] = threading.current_thread().name.startswith("images")
        return np.full(self.sizes[item], item % 256, np.uint8)


def at_work() -> bool:
    return any(thread.name.startswith("images") for thread in threading.enumerate())


def test_results_come_in_order_and_a_bounded_number_ahead() -> None:
    started: list[int] = []
    results = ordered.in_order(lambda item: started.append(item) or item, range(1000))  # type: ignore[func-returns-value]
    assert [next(results) for _ in range(5)] == list(range(5))
    assert len(started) <= 5 + ordered.AHEAD + 1
    assert list(results) == list(range(5, 1000))


def test_a_reader_that_stops_leaves_nothing_behind() -> None:
    started: list[int] = []

    def slow(item: int) -> int:
        started.append(item)
        time.sleep(0.05)
        return item

    results = ordered.in_order(slow, range(1000))
    assert next(results) == 0
    assert at_work()
    results.close()  # type: ignore[attr-defined]
    assert not at_work()
    assert len(started) < ordered.AHEAD + 1


def test_what_the_reader_does_itself_needs_no_thread_and_is_bounded() -> None:
    maker = Maker([SMALL] * 1000)
    results = ordered.in_order(maker, range(1000), by_reader=lambda item: True)
    next(results)
    assert len(maker.elsewhere) <= ordered.RUN and not at_work()
    assert len(list(results)) == 999
    assert not any(maker.elsewhere.values())


def test_large_results_of_the_reader_are_made_one_at_a_time() -> None:
    maker = Maker([LARGE] * 10)
    results = ordered.in_order(maker, range(10), by_reader=lambda item: True)
    next(results)
    assert len(maker.elsewhere) == 1


def test_all_else_is_done_in_threads_from_the_first() -> None:
    maker = Maker([SMALL] * 20 + [LARGE] * 20)
    assert len(list(ordered.in_order(maker, range(40)))) == 40
    assert all(maker.elsewhere.values())


@given(
    sizes=st.lists(st.sampled_from((1, SMALL, LARGE)), min_size=1, max_size=150),
    own=st.sets(st.integers(0, 149)),
    data=st.data(),
)
def test_any_mixture_keeps_its_order_and_its_error_its_place(
    sizes: list[int], own: set[int], data: st.DataObject
) -> None:
    fails_at = data.draw(st.none() | st.integers(0, len(sizes) - 1))
    maker = Maker(sizes, fails_at)
    found: list[tuple[int, int]] = []
    try:
        for result in ordered.in_order(maker, range(len(sizes)), by_reader=own.__contains__):
            found.append((len(result), int(result[0])))
        failed = None
    except ValueError as error:
        (failed,) = error.args
    assert failed == fails_at
    assert found == [(size, item) for item, size in enumerate(sizes[:fails_at])]
    assert all(elsewhere is (item not in own) for item, elsewhere in maker.elsewhere.items())


@given(count=st.integers(0, 3 * ordered.RUN))
def test_runs_have_all_results_in_order(count: int) -> None:
    assert list(ordered.in_runs(lambda item: -item, range(count))) == [-item for item in range(count)]


def test_an_error_in_a_run_is_that_of_the_first_item_at_fault() -> None:
    def odd(item: int) -> int:
        if item % 7 == 6:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match="^6$"):
        list(ordered.in_runs(odd, range(100)))


def test_what_is_fetched_ahead_is_one_item_and_in_another_thread() -> None:
    fetched: list[bool] = []

    def items() -> Generator[int]:
        for item in range(5):
            fetched.append(threading.current_thread().name.startswith("images"))
            yield item

    found = ordered.prefetched(items())
    assert next(found) == 0 and len(fetched) <= 2
    assert list(found) == [1, 2, 3, 4]
    assert fetched == [True] * 5 and not at_work()


def test_what_is_fetched_ahead_fails_at_its_place() -> None:
    def items() -> Generator[int]:
        yield 0
        raise ValueError("the second")

    found = ordered.prefetched(items())
    assert next(found) == 0
    with pytest.raises(ValueError, match="the second"):
        next(found)
    assert not at_work()


def test_a_reader_that_stops_ends_fetching() -> None:
    source = ordered.in_order(Maker([LARGE] * 1000), range(1000))

    def items() -> Generator[int]:
        try:
            yield from map(len, source)
        finally:
            source.close()  # type: ignore[attr-defined]

    fetched = items()
    found = ordered.prefetched(fetched)
    next(found)
    found.close()
    assert not at_work() and next(fetched, None) is None
