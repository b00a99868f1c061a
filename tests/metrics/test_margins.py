"""Default margins: one for each metric of the catalogue, with a reason, and none that hides what it should show."""

from __future__ import annotations

import pytest

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.metrics.margins import GATING, gating


def test_every_metric_has_a_margin_and_a_reason() -> None:
    assert list(GATING) == list(METRICS)
    assert all(rule.because for rule in GATING.values())


def test_only_counters_may_have_no_margin() -> None:
    without = {name for name, rule in GATING.items() if rule.margin.of(1.0) == 0}
    assert without == {"evaluations_per_image", "flops_per_image", "parameters"}
    assert all(GATING[name].scale == "counter" for name in without)


def test_times_and_what_follows_from_them_are_compared_by_their_ratio_and_nothing_else_is() -> None:
    times = {name for name, metric in METRICS.items() if metric.unit in ("s", "images/s", "J")} | {"mfu"}
    assert {name for name, rule in GATING.items() if rule.scale == "log_ratio"} == times


def test_no_time_has_an_absolute_margin() -> None:
    # 2 ms would let a call of 3 ms take 60 % longer.
    assert all(rule.margin.absolute == 0 for rule in GATING.values() if rule.scale == "log_ratio")
    assert gating("latency_batch1").margin.of_log(0.003) == gating("latency_batch1").margin.of_log(30.0) == 0.03


def test_a_name_without_a_margin_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UserError, match='Did you mean "latency_batch1"'):
        gating("latency_batch_1")
