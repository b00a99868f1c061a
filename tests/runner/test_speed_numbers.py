"""From the calls of several processes to numbers: what counts, what does not, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from trilemma.runner.evaluate import Measured
from trilemma.runner.speed_rows import NAMES, SpeedNumbers
from trilemma.store.tables import TIMINGS

SWITCHES = {"cuda_matmul_float32": "none", "cudnn_convolution_float32": "tf32"}


def call(replicate: int, scenario: str, size: int, seconds: float | None, **others: Any) -> dict[str, Any]:
    row = dict.fromkeys(TIMINGS) | {"replicate": replicate, "scenario": scenario, "batch_size": size, "stage": "e2e"}
    row |= {
        "n_images": size,
        "wall_ns": None if seconds is None else seconds * 1e9,
        "peak_rss_bytes": 500,
        "status": "ok",
    }
    return row | others


def window(scenario: str, size: int, status: str = "ok", *, converged: bool = True, **others: Any) -> dict[str, Any]:
    about = {"scenario": scenario, "batch_size": size, "status": status, "converged": converged, "sm_mhz": None}
    return about | {"warmup_calls": 3, "warmup_seconds": 0.1, "power_capped": False} | others


def process(*windows: dict[str, Any], joules: float | None = None) -> dict[str, Any]:
    energy = {"joules_per_image": joules, "reason": None if joules else "no counter", "batch_size": 4}
    energy |= {"method": "nvml_total_energy", "seconds": 10.0, "images": 100}
    return {"evaluations_per_image": 2, "windows": list(windows), "energy": energy}


def numbers(
    rows: Sequence[dict[str, Any]],
    processes: Sequence[dict[str, Any]],
    *,
    flops: dict[str, Any] | None = None,
    device: str = "cpu",
    precision: Any = "fp32",
    scenarios: Any = ("single_stream", "offline"),
) -> dict[str, Measured]:
    counted = {"per_image": 1e12, "reason": None, "batch_size": 1, "operations": {"aten.mm": 1}, "uncounted": []}
    environment = {"device": device, "name": "NVIDIA H200", "flags": SWITCHES}
    said = {
        "info": {"parameters": 7},
        "flops": counted | (flops or {}),
        "environment": environment,
        "processes": processes,
    }
    return SpeedNumbers(pd.DataFrame(rows), said, scenarios, precision, compiled=False).all()


def simple(size: int = 4, seconds: float = 0.1, **others: Any) -> list[dict[str, Any]]:
    return [call(r, "offline", size, seconds, **others) for r in range(2) for _ in range(3)]


BOTH = [process(window("offline", 4)), process(window("offline", 4))]


def test_every_name_has_a_number_or_a_reason() -> None:
    found = numbers(simple(), BOTH)
    assert set(found) == set(NAMES)
    assert all(one.estimate.value is not None or one.estimate.reason for one in found.values())
    assert found["images_per_second"].estimate.value == pytest.approx(40.0)
    assert found["latency_batch1"].estimate.reason == "was not timed"


def test_what_is_void_counts_for_nothing_and_is_told() -> None:
    void = {"status": "void", "reason": "the GPU was slowed down inside the window: power brake"}
    rows = [*[call(0, "offline", 4, 9.0, **void)] * 3, *[call(1, "offline", 4, 0.1)] * 3]
    found = numbers(rows, [process(window("offline", 4, "void")), process(window("offline", 4))])
    rate = found["images_per_second"].estimate
    assert rate.value == pytest.approx(40.0) and rate.se is None
    assert rate.reason == "void in 1 of 2 processes"


def test_a_scenario_that_is_void_throughout_is_withheld() -> None:
    void = {"status": "void", "reason": "torch.compile ran inside the window: 1 more graph"}
    found = numbers(simple(**void), [process(window("offline", 4, "void"))] * 2)
    rate = found["images_per_second"].estimate
    assert (rate.value, rate.status) == (None, "withheld")
    assert rate.reason == "batch 4: void: torch.compile ran inside the window: 1 more graph"


def test_what_did_not_fit_is_a_failure_with_its_reason() -> None:
    row = call(0, "single_stream", 1, None, status="out_of_memory", reason="CUDA out of memory.", n_images=0)
    found = numbers([row], [process(window("single_stream", 1, "out_of_memory"))])
    latency = found["latency_batch1"].estimate
    assert (latency.status, latency.reason) == ("failed", "batch 1: out of memory: CUDA out of memory.")


def test_evaluations_of_a_call_that_did_not_fit_are_no_zero() -> None:
    without = {name: value for name, value in process().items() if name != "evaluations_per_image"}
    found = numbers(simple(), [without])
    assert found["evaluations_per_image"].estimate.value is None and found["parameters"].estimate.value == 7
    assert numbers(simple(), BOTH)["evaluations_per_image"].estimate.value == 2


def test_what_was_not_asked_for_is_said_to_be_so() -> None:
    found = numbers(simple(), BOTH, scenarios=("offline",))
    assert found["latency_batch1"].estimate.reason == "single-stream was not asked for"
    assert found["latency_p90"].estimate.reason == "single-stream was not asked for"


def test_a_warm_up_that_found_no_rest_is_told_with_the_number() -> None:
    found = numbers(simple(), [process(window("offline", 4)), process(window("offline", 4, converged=False))])
    rate = found["images_per_second"]
    assert rate.estimate.value is not None and rate.params["converged"] is False
    assert rate.estimate.reason == "the warm-up did not converge in 1 of 2 processes"


def test_where_throttling_could_not_be_observed_the_number_says_so() -> None:
    blind = [process(window("offline", 4, power_capped=None)), process(window("offline", 4))]
    rate = numbers(simple(device="cuda"), blind)["images_per_second"]
    assert rate.estimate.reason == "throttling could not be observed in 1 of 2 processes"
    assert rate.params["power_capped"] is False
    nobody = numbers(simple(device="cuda"), [blind[0], blind[0]])["images_per_second"]
    assert nobody.params["power_capped"] is None
    assert numbers(simple(device="cpu"), blind)["images_per_second"].estimate.reason is None
    assert numbers(simple(device="cuda"), BOTH)["images_per_second"].estimate.reason is None


def test_the_best_batch_is_one_that_all_processes_have_timed() -> None:
    rows = [*simple(4, 0.1), *[call(0, "offline", 8, 0.1)] * 3]
    found = numbers(rows, BOTH)
    assert found["images_per_second"].params["batch_size"] == 4


def test_stages_are_had_by_the_devices_clock_where_there_is_one() -> None:
    stages = [call(r, "offline", 4, None, stage="decode", device_ns=0.02e9) for r in range(2) for _ in range(3)]
    found = numbers([*simple(), *stages], BOTH)
    assert found["seconds_decode"].estimate.value == pytest.approx(0.005)
    assert found["seconds_text"].estimate.reason == "the model marks no such stage"


def test_stages_that_add_up_to_more_than_the_calls_are_not_believed() -> None:
    stages = [
        call(1, "offline", 4, 0.06, stage=name) for name in ("sample", "decode") for _ in range(3)
    ]  # 0.12 s of 0.1
    found = numbers([*simple(), *stages], BOTH)["seconds_sample"].estimate
    assert (found.value, found.status) == (None, "failed")
    assert found.reason == "the stages add up to more than the calls that they are parts of"


def test_memory_that_is_gated_is_what_torch_allocated() -> None:
    found = numbers(simple(allocated_bytes=100, reserved_bytes=150), BOTH)
    assert found["peak_memory"].estimate.value == 100 and found["peak_memory"].params["kind"] == "allocated"
    assert found["peak_memory_reserved"].estimate.value == 150
    without = numbers(simple(), BOTH)
    assert without["peak_memory"].estimate.value == 500 and without["peak_memory"].params["kind"] == "resident"
    assert without["peak_memory_reserved"].estimate.value is None


def test_allocated_memory_is_the_most_of_all_calls_at_the_batch_size() -> None:
    """A graph for batch 4 was recorded in the warm-up of a window that is void."""
    recording = call(0, "warmup", 4, 0.1, allocated_bytes=900)
    others = [call(0, "warmup", 8, 0.1, allocated_bytes=5_000), call(0, "load", 0, 0.1, allocated_bytes=5_000)]
    found = numbers([*simple(allocated_bytes=100, reserved_bytes=1_000), recording, *others], BOTH)
    assert found["peak_memory"].estimate.value == 900 and found["peak_memory_reserved"].estimate.value == 1_000
    first = call(0, "first_call", 1, 0.1, allocated_bytes=700)
    single = [call(r, "single_stream", 1, 0.1, allocated_bytes=50) for r in range(2)]
    assert numbers([*single, first], [process(window("single_stream", 1))] * 2)["peak_memory"].estimate.value == 700


def test_mfu_is_the_share_of_the_peak_of_its_arithmetic() -> None:
    found = numbers(simple(), BOTH, device="cuda", precision="bf16")["mfu"]
    assert found.estimate.value == pytest.approx(40.0 * 1e12 / 989.5e12)
    assert (found.params["arithmetic"], found.params["peak"], found.params["processes"]) == ("bf16", 989.5e12, 2)
    single = numbers(simple(), BOTH, device="cuda")["mfu"]
    assert single.estimate.value == pytest.approx(40.0 * 1e12 / 67e12)


@pytest.mark.parametrize(
    ("flops", "reason"),
    [
        ({"uncounted": ["aten.mv"]}, "a lower bound: torch has no formula for aten.mv"),
        ({"per_image": None, "reason": "nothing was counted"}, "nothing was counted"),
        ({"operations": {"aten.mm": 1, "aten.convolution": 1}}, "no one peak is theirs"),
    ],
)
def test_mfu_is_null_where_it_cannot_be_trusted(flops: dict[str, Any], reason: str) -> None:
    found = numbers(simple(), BOTH, device="cuda", flops=flops)["mfu"].estimate
    assert found.value is None and reason in str(found.reason)


def test_a_sum_of_operations_that_lacks_some_says_so() -> None:
    flops = numbers(simple(), BOTH, flops={"uncounted": ["aten.mv"]})["flops_per_image"]
    assert flops.estimate.value == 1e12 and flops.params["uncounted"] == ["aten.mv"]


def test_energy_is_there_where_every_process_has_it() -> None:
    both = [process(window("offline", 4), joules=joules) for joules in (2.0, 8.0)]
    found = numbers(simple(), both)["joules_per_image"]
    assert found.estimate.value == pytest.approx(4.0) and found.estimate.se_method == "processes"
    assert found.params["window_seconds"] == 10.0 and found.estimate.n == 200
    one = numbers(simple(), [both[0], process(window("offline", 4))])["joules_per_image"].estimate
    assert (one.value, one.reason) == (None, "no counter")


def test_energy_at_another_batch_than_the_best_says_so() -> None:
    both = [process(window("offline", size), joules=2.0) for size in (4, 8)]
    found = numbers(simple(8, 0.1), both)["joules_per_image"]
    assert found.params["batch_size"] == 4
    assert found.estimate.reason == "at batch 4: the best of all processes is 8"
    assert numbers(simple(4, 0.1), both)["joules_per_image"].estimate.reason is None


def test_percentiles_are_of_all_calls_and_their_error_is_between_processes() -> None:
    rows = [call(r, "single_stream", 1, 0.1 + 0.001 * n + 0.01 * r) for r in range(2) for n in range(50)]
    found = numbers(rows, [process(window("single_stream", 1))] * 2)
    p90, latency = found["latency_p90"].estimate, found["latency_batch1"].estimate
    assert p90.n == 100 and p90.value == pytest.approx(0.149) and p90.se_method == "processes"
    each = [0.144, 0.154]  # the smallest calls that 45 of 50 do not exceed: one method for the value and for the error
    expected = (each[0] * each[1]) ** 0.5 * math.log(each[1] / each[0]) / 2
    assert p90.se == pytest.approx(expected) and (latency.value or 0) < (p90.value or 0)
    assert found["latency_p99"].estimate.reason == "needs at least 459 calls; there are 100"


def test_a_percentile_has_no_error_where_a_process_has_too_few_calls_for_its_own() -> None:
    rows = [call(r, "single_stream", 1, 0.1 + 0.001 * n) for r in range(2) for n in range(50 - 10 * r)]
    p90 = numbers(rows, [process(window("single_stream", 1))] * 2)["latency_p90"].estimate
    assert p90.n == 90 and p90.value == pytest.approx(0.14, abs=0.01)
    assert (p90.se, p90.interval()) == (None, None)
    assert p90.reason == "the 90% percentile has no standard error: that takes 44 calls in each process"
