"""Warm-up on planted times: it ends when they have come to rest, not before, and not never."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from trilemma.timing.clock import Call
from trilemma.timing.warmup import WarmupRule, last_blocks, warm_up

RULE = WarmupRule(least_seconds=0.0, block_seconds=0.0, most_calls=50)


def taking(
    seconds: Callable[[int], float], *, compiled: Callable[[int], bool] = lambda n: False
) -> Callable[[int], Call]:
    def call(number: int) -> Call:
        nanoseconds = round(seconds(number) * 1e9)
        return Call(
            scenario="warmup",
            batch_size=1,
            call=number,
            n_images=1,
            wall_ns=nanoseconds,
            compiled=compiled(number),
            device="cpu",
        )

    return call


def test_it_ends_as_soon_as_three_calls_agree() -> None:
    warm = warm_up(taking(lambda n: 5.0 if n == 0 else 1.0), RULE)
    assert (len(warm.calls), warm.converged, warm.seconds) == (4, True, 8.0)


def test_a_time_that_still_falls_has_not_converged() -> None:
    falling = warm_up(taking(lambda n: 1 + 9 * 0.5**n), RULE)
    assert falling.converged
    last = [call.wall_ns or 0 for call in falling.calls[-3:]]
    assert max(last) <= 1.05 * min(last) and len(falling.calls) > 6


def test_what_never_comes_to_rest_is_capped_and_says_so() -> None:
    warm = warm_up(taking(lambda n: 0.1 * (1 + n % 2)), RULE)
    assert (len(warm.calls), warm.converged) == (RULE.most_calls, False)


def test_a_slow_model_is_not_called_a_third_time_once_the_seconds_are_spent() -> None:
    for second, converged in ((20.5, True), (40.0, False)):
        warm = warm_up(taking([20.0, second].__getitem__), RULE)
        assert (len(warm.calls), warm.converged) == (2, converged)


def test_one_call_is_never_enough() -> None:
    assert len(warm_up(taking(lambda n: 100.0), RULE).calls) == 2


def test_both_the_least_calls_and_the_least_seconds_are_reached() -> None:
    rule = WarmupRule(least_calls=7, least_seconds=0.0, block_seconds=0.0)
    assert len(warm_up(taking(lambda n: 1.0), rule).calls) == 7
    rule = WarmupRule(least_seconds=2.0, block_seconds=0.0)
    assert len(warm_up(taking(lambda n: 0.25), rule).calls) == 8


def test_a_call_that_compiles_neither_warms_up_nor_wears_the_cap_out() -> None:
    rule = WarmupRule(least_seconds=2.0, most_seconds=30.0, block_seconds=0.0)
    warm = warm_up(taking(lambda n: 100.0 if n == 0 else 0.5, compiled=lambda n: n == 0), rule)
    assert (len(warm.calls), warm.converged, warm.seconds) == (1 + 4, True, 102.0)


def test_it_begins_after_the_last_call_that_compiled() -> None:
    warm = warm_up(taking(lambda n: 1.0, compiled=lambda n: n in (0, 2)), RULE)
    assert (len(warm.calls), warm.converged) == (3 + 3, True)


def test_what_is_waited_between_compilations_counts_towards_the_cap() -> None:
    warm = warm_up(taking(lambda n: 20.0 + 3 * n, compiled=lambda n: n == 1), RULE)
    assert (len(warm.calls), warm.converged) == (4, False)


def test_what_compiles_in_every_call_is_not_called_for_ever() -> None:
    warm = warm_up(taking(lambda n: 1.0, compiled=lambda n: True), RULE)
    assert (len(warm.calls), warm.converged) == (RULE.most_compiled + 1, False)


def test_short_calls_are_judged_in_blocks() -> None:
    noise = np.random.default_rng(0).exponential(0.001, 5_000) + 0.001
    whole = warm_up(taking(lambda n: noise[n]), WarmupRule(within=0.15))
    assert whole.converged and 100 < len(whole.calls) < 1_000
    single = warm_up(taking(lambda n: noise[n]), WarmupRule(within=0.001, block_seconds=0.0, most_calls=300))
    assert not single.converged


def test_a_block_is_the_mean_of_its_calls_and_the_newest_is_whole() -> None:
    assert last_blocks([9.0, 1.0, 1.0, 2.0, 2.0], 2, 4.0) == [pytest.approx(2.0), pytest.approx(11 / 3)]
    assert last_blocks([1.0, 1.0], 3, 4.0) == []
