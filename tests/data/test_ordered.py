"""Work in threads: order, bounds, errors at their places, nothing left behind, and no thread for what is small."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

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
    assert [next(results), next(results)] == [0, 1]
    assert at_work()
    results.close()  # type: ignore[attr-defined]
    assert not at_work()
    assert len(started) <= 2 + ordered.AHEAD


def test_what_is_small_is_made_by_its_reader_and_a_bounded_number_ahead() -> None:
    maker = Maker([SMALL] * 1000)
    results = ordered.in_order(maker, range(1000))
    next(results), next(results)
    assert len(maker.elsewhere) <= 1 + ordered.RUN and not at_work()
    assert len(list(results)) == 998
    assert not any(maker.elsewhere.values())


def test_what_is_large_is_made_in_threads() -> None:
    maker = Maker([LARGE] * 100)
    assert len(list(ordered.in_order(maker, range(100)))) == 100
    assert not maker.elsewhere[0], "the first tells that they are large"
    assert all(maker.elsewhere[item] for item in range(1, 100))


def test_one_large_among_small_ones_ends_their_run() -> None:
    maker = Maker([SMALL] * 5 + [LARGE] * 3 + [SMALL] * 1000)
    assert len(list(ordered.in_order(maker, range(1008)))) == 1008
    assert [maker.elsewhere[item] for item in (0, 4, 5, 6, 7, 1007)] == [False, False, False, True, True, False]


@given(sizes=st.lists(st.sampled_from((1, SMALL, LARGE)), min_size=1, max_size=150), data=st.data())
def test_any_mixture_keeps_its_order_and_its_error_its_place(sizes: list[int], data: st.DataObject) -> None:
    fails_at = data.draw(st.none() | st.integers(0, len(sizes) - 1))
    found: list[tuple[int, int]] = []
    try:
        for result in ordered.in_order(Maker(sizes, fails_at), range(len(sizes))):
            found.append((len(result), int(result[0])))
        failed = None
    except ValueError as error:
        (failed,) = error.args
    assert failed == fails_at
    assert found == [(size, item) for item, size in enumerate(sizes[:fails_at])]


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

    def items() -> Iterator[int]:
        for item in range(5):
            fetched.append(threading.current_thread().name.startswith("images"))
            yield item

    found = ordered.prefetched(items())
    assert next(found) == 0 and len(fetched) <= 2
    assert list(found) == [1, 2, 3, 4]
    assert fetched == [True] * 5 and not at_work()


def test_what_is_fetched_ahead_fails_at_its_place() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("the second")

    found = ordered.prefetched(items())
    assert next(found) == 0
    with pytest.raises(ValueError, match="the second"):
        next(found)
    assert not at_work()


def test_a_reader_that_stops_ends_fetching() -> None:
    def items() -> Iterator[int]:
        while True:
            yield 0

    found = ordered.prefetched(items())
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not at_work()
