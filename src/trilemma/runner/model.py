"""A model's worker: load, time, generate and measure, all in a process of its own."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trilemma import registry
from trilemma.generator import Generator, resolve_knobs
from trilemma.protocol import SpeedSpec
from trilemma.runner.assigning import assign
from trilemma.runner.calls import store_timings
from trilemma.runner.channel import Channel
from trilemma.runner.devices import describe_device, pick_device
from trilemma.runner.drawing_time import drawing
from trilemma.runner.generate import Instruments, drawn_resolution, generate_sets
from trilemma.runner.images import write_images
from trilemma.runner.info import info_of
from trilemma.runner.job import Job, import_target
from trilemma.runner.plan import Planned, batches, plan
from trilemma.runner.strips import trace_strips
from trilemma.runner.timing import batch_of
from trilemma.store.parts import consolidate, remove_parts
from trilemma.store.tables import SAMPLES, read_table
from trilemma.timing.clock import Call, timed_call
from trilemma.timing.cuda import reset_allocated
from trilemma.timing.flops import count_flops
from trilemma.timing.sweep import steady, sweep

if TYPE_CHECKING:
    import torch

COUNTED_BATCH = 2  # images whose operations are counted


def measure_model(job: Job, channel: Channel) -> None:
    """Does a model's job and leaves samples, features, timings and images in the run's folder.

    Speed comes first: in a process that holds nothing yet but the model, so that the peak of memory is the model's.
    Operations are counted after it, for counting slows a model down; traces come last. Whatever an earlier, killed
    attempt finished is not done again.
    """
    assert job.card is not None
    device = pick_device(job.device)
    entries = plan(job.protocol, job.seed, job.samples)
    start = time.perf_counter_ns()
    generator = registry.load(job.card, device.type)
    load_ns = time.perf_counter_ns() - start
    knobs = resolve_knobs(generator.info.knobs, {})
    channel.send("ready", info=info_of(generator, knobs), environment=describe_device(device))
    assign(generator, entries)
    first_set = next(iter(entries.values()))
    if job.protocol.speed is not None and not job.folder.timings(job.name).is_file():
        timed = "speed" not in generator.info.unknown
        calls = _time(job, job.protocol.speed, generator, knobs, first_set, device, load_ns, channel) if timed else []
        store_timings(job, calls)
    channel.send("counted", flops=_flops(generator, knobs, first_set))
    if not job.folder.samples(job.name).is_file():
        wanted = job.protocol.extractors is not None
        instruments = import_target(job.instruments.load)(job.protocol, device.type) if wanted else None
        seconds = draw_all(job, generator, knobs, instruments, entries, channel)
        samples = read_table(job.folder.samples(job.name), SAMPLES)
        channel.send("drawn", drawing=drawing(samples, job.attempt, seconds))
    if job.images == "all":
        trace_strips(job, generator, knobs, entries)
    remove_parts(job.folder, job.name)


def draw_all(
    job: Job,
    generator: Generator,
    knobs: dict[str, Any],
    instruments: Instruments | None,
    entries: dict[str, list[Planned]],
    channel: Channel,
) -> float:
    """Makes, measures and stores all images; returns the seconds from the first call to the files that stay."""
    start, size = time.perf_counter(), job.protocol.batch_size
    generate_sets(job, generator, knobs, instruments, entries, channel)
    write_images(job, entries)
    consolidate(job.folder, job.name, [(n, b) for n, planned in entries.items() for b, _ in batches(planned, size)])
    return time.perf_counter() - start


def _flops(generator: Generator, knobs: dict[str, Any], entries: list[Planned]) -> dict[str, Any]:
    chosen = [entries[i % len(entries)] for i in range(COUNTED_BATCH)]
    prompts, seeds = [entry.prompt for entry in chosen], [entry.seed for entry in chosen]
    return asdict(count_flops(lambda: generator.generate(prompts, seeds, **knobs), COUNTED_BATCH))


def _time(
    job: Job,
    speed: SpeedSpec,
    generator: Generator,
    knobs: dict[str, Any],
    entries: list[Planned],
    device: torch.device,
    load_ns: int,
    channel: Channel,
) -> list[Call]:
    channel.progress("timing", 0, len(speed.batch_sizes))
    prompts, seeds = [entry.prompt for entry in entries], [entry.seed for entry in entries]
    batch = batch_of(generator, knobs, prompts, seeds, drawn_resolution(job.protocol, generator))
    load = Call(scenario="load", stage="load", batch_size=0, call=0, n_images=0, wall_ns=load_ns, device=device.type)
    reset_allocated(device)
    first = timed_call(lambda: batch(1, 0), device, scenario="first_call", size=1, number=0)
    single = steady(batch, 1, speed, device, "single_stream")
    return [load, first, *single, *sweep(batch, speed, device)]
