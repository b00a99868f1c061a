"""The worker of the real images: measures what the cache lacks, and times the reference decoder in this very run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.card import Card
from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.generator import Generator, resolve_knobs
from trilemma.runner.calls import store_timings
from trilemma.runner.channel import Channel
from trilemma.runner.data_reference import can_be_missing, is_cached, measured_set, needed_sets
from trilemma.runner.devices import describe_device, pick_device
from trilemma.runner.job import REFERENCE, Job, import_target
from trilemma.runner.plan import batches, plan
from trilemma.runner.reference_file import open_reference
from trilemma.runner.reference_sets import TRUTH_SEED, ReferenceSet, reference_sets
from trilemma.store.atomic import write_arrays
from trilemma.timing.reference_decoder import time_reference_decoder

if TYPE_CHECKING:
    import torch

    from trilemma.runner.generate import Instruments

BATCH = 256
Labelled = tuple[NDArray[np.uint8], list[str]]  # images (B, H, W, 3) and their captions


def measure_reference(job: Job, channel: Channel) -> None:
    """Does the job of the real images: timings into the run's folder, measurements into the cache."""
    device = pick_device(job.device)
    channel.send("ready", info={}, environment=describe_device(device))
    if job.protocol.speed is not None and not job.folder.timings(REFERENCE).is_file():
        store_timings(job, time_reference_decoder(job.protocol.resolution, job.protocol.speed, device))
    if not job.protocol.knows_truth:
        _measure_data(job, channel, device)
        return
    missing = [s for s in reference_sets(job.protocol) if not s.path(job.cache, job.protocol, job.identity).is_file()]
    if not missing:
        return
    instruments: Instruments = import_target(job.instruments.load)(job.protocol, device.type)
    done, total = 0, sum(entry.images for entry in missing)
    for entry in missing:
        parts: list[dict[str, NDArray[Any]]] = []
        for images, prompts in _images(entry, job, device):
            parts.append(_measure(entry, instruments, images, prompts))
            done += len(images)
            channel.progress(entry.name, done, total)
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        write_arrays(entry.path(job.cache, job.protocol, job.identity), joined)


def _measure_data(job: Job, channel: Channel, device: torch.device) -> None:
    """Of any data set but Scenes: what a reference file does not hold. A set that can be missing may stay so."""
    file = open_reference(job.protocol, job.identity)
    missing = [s for s in needed_sets(job.protocol, file) if not is_cached(s, job.cache, job.protocol, job.identity)]
    if not missing:
        return
    instruments: Instruments = import_target(job.instruments.load)(job.protocol, device.type)
    done, total = 0, sum(entry.images for entry in missing)
    for entry in missing:
        told = partial(_told, channel, entry.name, done, total)
        try:
            arrays = measured_set(entry, job.protocol, instruments, file, told)
        except UserError as error:
            if not can_be_missing(entry, file):
                raise
            print(f"{entry.name} is not measured: {error}")  # into the log; the numbers that need it say why
        else:
            write_arrays(entry.path(job.cache, job.protocol, job.identity), arrays)
        done += entry.images


def _told(channel: Channel, name: str, before: int, total: int, done: int) -> None:
    channel.progress(name, before + done, total)


def control_card(kind: str, job: Job) -> Card:
    """Returns the card of a control that anchors a score, whatever cards the workspace holds."""
    name = f"reference-{kind}"
    return Card(
        name=name, family="controls", options={"kind": kind}, resolution=job.protocol.resolution, path=job.cache
    )


def _measure(
    entry: ReferenceSet, instruments: Instruments, images_BHWC: NDArray[np.uint8], prompts: list[str]
) -> dict[str, NDArray[Any]]:
    import torch

    images_BCHW = torch.from_numpy(np.ascontiguousarray(images_BHWC.transpose(0, 3, 1, 2)))
    if entry.thumbnails_only:
        return {"thumbnails": instruments.thumbnails(images_BCHW)}
    return instruments.measure(images_BCHW, prompts)


def _images(entry: ReferenceSet, job: Job, device: torch.device) -> Iterator[Labelled]:
    if entry.control is not None:
        return _control_images(entry, job, device)
    return _split_images(entry, job.protocol.resolution)


def _split_images(entry: ReferenceSet, resolution: int) -> Iterator[Labelled]:
    assert entry.split is not None
    for start in range(0, entry.images, BATCH):
        indices = range(start, min(start + BATCH, entry.images))
        yield scenes.images(entry.split, indices, resolution), scenes.captions(entry.split, indices)


def _control_images(entry: ReferenceSet, job: Job, device: torch.device) -> Iterator[Labelled]:
    assert entry.control is not None and entry.sample_set is not None
    generator: Generator = import_target(job.instruments.controls)(control_card(entry.control, job), device.type)
    knobs = resolve_knobs(generator.info.knobs, {})
    planned = plan(job.protocol, TRUTH_SEED)[entry.sample_set.name]
    for _, chosen in batches(planned, BATCH):
        prompts = [one.prompt for one in chosen]
        images_BCHW = generator.generate(prompts, [one.seed for one in chosen], **knobs)
        yield images_BCHW.cpu().permute(0, 2, 3, 1).numpy(), prompts
