"""A worker of the verb ``speed``: one model timed in a process that holds nothing else, or its operations counted."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trilemma import registry
from trilemma.generator import Generator, resolve_knobs
from trilemma.runner.channel import Channel
from trilemma.runner.devices import describe_attention, describe_device, gpu_uuid, pick_device
from trilemma.runner.info import info_of
from trilemma.runner.speed_job import SpeedJob
from trilemma.runner.timing import any_prompts, batch_of
from trilemma.runner.timing_job import Scenario
from trilemma.store.tables import TIMINGS, write_rows
from trilemma.timing.batch_sweep import BatchSweep
from trilemma.timing.clock import Call, peak_rss_bytes, synchronize
from trilemma.timing.compilation import compilations, compile_seconds
from trilemma.timing.energy import measure_energy
from trilemma.timing.flops import attention_kernels, count_flops
from trilemma.timing.memory import is_out_of_memory, too_little_on_host
from trilemma.timing.nvml import Nvml, find_nvml
from trilemma.timing.sweep import Batch
from trilemma.timing.watch import Watch
from trilemma.timing.window import Timer, Window

if TYPE_CHECKING:
    import torch

COMPILER_CACHE = "compiler"
"""The folder beside the timings that a process compiles into: what another has compiled would be a warm start."""
FIRST_CALL = "first_call"


def measure_speed(job: SpeedJob, channel: Channel) -> None:
    """Does a job: leaves its rows at ``job.timings`` and sends "ready" and "measured", or "counted"."""
    cache = str(job.timings.parent / COMPILER_CACHE)
    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": cache, "TRITON_CACHE_DIR": f"{cache}/triton"}
    loaded = _load(job)
    if job.kind == "flops":
        flops = count_flops(lambda: loaded.batch(1, 0), 1)
        channel.send("counted", flops=asdict(flops))
        return
    environment = describe_device(loaded.device) | describe_attention() | {"power_limit_w": _power_limit(loaded.gpu)}
    channel.send("ready", info=info_of(loaded.generator, loaded.knobs), environment=environment)
    session = _Session(job, loaded, channel)
    about = {"model": job.card.name, "session": job.session, "replicate": job.replicate}
    try:
        session.work()
    finally:  # what was timed before an error is what there is to look for its cause in
        write_rows(job.timings, TIMINGS, [about | asdict(row) for row in session.rows()])
    channel.send("measured", facts=session.facts())


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A model that is ready to be called; ``batch`` is what is timed.

    ``gpu`` tells of the device what torch does not; where there is none, ``unseen`` says why.
    """

    generator: Generator
    knobs: dict[str, Any]
    device: torch.device
    gpu: Nvml | None
    unseen: str | None
    batch: Batch
    load_ns: int


def _load(job: SpeedJob) -> _Loaded:
    device = pick_device(job.device)
    start = time.perf_counter_ns()
    generator = registry.load(job.card, device.type)
    synchronize(device)
    load_ns = time.perf_counter_ns() - start
    knobs = resolve_knobs(generator.info.knobs, {})
    prompts = any_prompts(generator, job.prompts)
    batch = batch_of(generator, knobs, prompts, job.seeds, generator.info.resolution)
    gpu, unseen = find_nvml(gpu_uuid(device))
    return _Loaded(
        generator=generator, knobs=knobs, device=device, gpu=gpu, unseen=unseen, batch=batch, load_ns=load_ns
    )


class _Session:
    """All that one process times: first call, one image at a time, the sweep, energy; in this order."""

    def __init__(self, job: SpeedJob, loaded: _Loaded, channel: Channel) -> None:
        self.job, self.loaded, self.channel = job, loaded, channel
        self.timer = Timer(loaded.batch, loaded.device, Watch(loaded.gpu))
        self.loaded_bytes = peak_rss_bytes()
        self.first: list[Call] = []
        self.windows: list[Window] = []
        self.told: dict[str, Any] = {}

    def work(self) -> None:
        """Does it all; nothing more after a size that failed: an error of the GPU may be in every call from then on."""
        self.first_call()
        for scenario in self.job.settings.scenarios:
            if not self.failed:
                self.windows += self.sweep() if scenario == "offline" else [self.window("single_stream", 1)]
        self.measure_energy()
        self.told["attention_kernels"] = self.kernels()

    @property
    def failed(self) -> bool:
        """Whether a batch size failed otherwise than by not fitting."""
        return any(window.status == "failed" for window in self.windows)

    def first_call(self) -> None:
        """The first call of a fresh process, at batch 1: with all that is then made ready, or compiled."""
        self.channel.progress("first call", 0, 0)
        before = self.loaded.generator.evaluations
        try:
            self.first = self.timer.call(FIRST_CALL, 1, 0)
            self.told["evaluations_per_image"] = self.loaded.generator.evaluations - before
            self.told["compile_seconds"] = compile_seconds()
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
        self.first = list(self.timer.did_not_fit(FIRST_CALL, 1, reason).rows)

    def window(self, scenario: Scenario, size: int, seconds: float = math.inf) -> Window:
        """One batch size of a scenario, in so many seconds at most."""
        self.channel.progress(f"{scenario.replace('_', '-')} {size}", 0, 0)
        return self.timer.window(scenario, size, self.job.settings.rule(scenario).capped(seconds))

    def sweep(self) -> list[Window]:
        """The offline scenario; what another process has found to be within the budget is not held against it again."""
        sweep = BatchSweep(
            lambda size, seconds: self.window("offline", size, seconds),
            self.loaded.device,
            auto=self.job.auto,
            budget_seconds=math.inf if self.job.follows else self.job.settings.budget_seconds,
            too_large=self.too_large,
        )
        return sweep.run(self.job.batch_sizes)

    def too_large(self, size: int, next_size: int) -> str | None:
        """A GPU refuses what it has no memory for; the host's system would end this process."""
        if self.loaded.device.type == "cuda":
            return None
        return too_little_on_host(peak_rss_bytes() - self.loaded_bytes, size, next_size)

    def measure_energy(self) -> None:
        """Energy at the best batch, in a window of its own: it must be longer than those for time."""
        size = self.job.energy_batch or best_size(self.windows)
        if size is None or self.failed:
            reason = "a batch size failed before" if self.failed else "no batch was timed"
            self.told["energy"] = {"joules_per_image": None, "reason": reason}
            return
        self.channel.progress(f"energy {size}", 0, 0)
        self.told["energy"] = asdict(
            measure_energy(lambda: self.timer.call("energy", size, 0), size, self.loaded.gpu, self.loaded.unseen)
        )

    def kernels(self) -> list[str] | None:
        """Which attention ran; of a compiled model that cannot be seen."""
        if self.failed or self.job.card.compile or best_size(self.windows) is None:
            return None
        return attention_kernels(lambda: self.loaded.batch(1, 0))

    def rows(self) -> Iterator[Call]:
        """Yields everything that was timed, in order."""
        device = self.loaded.device.type
        yield Call(
            scenario="load", stage="load", batch_size=0, call=0, n_images=0, wall_ns=self.loaded.load_ns, device=device
        )
        yield from self.first
        for window in self.windows:
            yield from window.rows

    def facts(self) -> dict[str, Any]:
        """Returns what there is to say of this process beside its rows."""
        return {**self.told, "graphs": compilations(), "windows": [_about(window) for window in self.windows]}


def best_size(windows: Sequence[Window]) -> int | None:
    """Returns the batch size of the highest rate, of offline windows where there are any; None where nothing counts."""
    timed = [window for window in windows if window.status == "ok"]
    offline = [window for window in timed if window.scenario == "offline"]
    best = max(offline or timed, key=lambda window: window.images_per_second, default=None)
    return None if best is None else best.batch_size


def _about(window: Window) -> dict[str, Any]:
    clocks = [row.sm_mhz for row in window.rows if row.sm_mhz is not None]
    names = ("scenario", "batch_size", "status", "reason", "warmup_calls", "converged", "power_capped")
    return {
        **{name: getattr(window, name) for name in names},
        "warmup_seconds": round(window.warmup_seconds, 6),
        "sm_mhz": [min(clocks), max(clocks)] if clocks else None,
    }


def _power_limit(gpu: Nvml | None) -> float | None:
    return None if gpu is None else gpu.power_limit_w()
