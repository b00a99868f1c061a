"""Generates the planned sets batch by batch, measures each batch at once, and stores it while the next is drawn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trilemma.data.squares import square
from trilemma.errors import UserError
from trilemma.generator import Generator
from trilemma.protocol import Protocol as BenchmarkProtocol
from trilemma.runner.behind import Behind
from trilemma.runner.channel import Channel
from trilemma.runner.devices import gpu_uuid
from trilemma.runner.environment import node
from trilemma.runner.job import Job
from trilemma.runner.kept import kept_keys
from trilemma.runner.plan import Planned, batches
from trilemma.runner.storing import Drawn, store_batch
from trilemma.store.parts import is_done

if TYPE_CHECKING:
    import torch

# Seconds since 1970 that never go back while the process lives: what lies between two of them is a time.
_EPOCH = time.time() - time.perf_counter()


class Instruments(Protocol):
    """The networks that measure images."""

    identity: dict[str, str]

    def measure(self, images: torch.Tensor, prompts: list[str]) -> dict[str, NDArray[Any]]:
        """Returns arrays of B rows for uint8 images ``(B, 3, H, W)``."""
        ...

    def thumbnails(self, images: torch.Tensor) -> NDArray[np.uint8]:
        """Returns the array "thumbnails" of :meth:`measure` alone, without running a network."""
        ...


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a model's images must be under a protocol."""

    resolution: int

    def check(self, images: torch.Tensor, count: int) -> torch.Tensor:
        """Returns the images; raises UserError unless they are uint8 ``(count, 3, R, R)``."""
        wanted = (count, 3, self.resolution, self.resolution)
        if str(images.dtype) != "torch.uint8" or tuple(images.shape) != wanted:
            got = f"{images.dtype} {tuple(images.shape)}"
            raise UserError(f"the model must return torch.uint8 {wanted} under this protocol, it returned {got}.")
        return images


def drawn_resolution(protocol: BenchmarkProtocol, generator: Generator) -> int:
    """Returns the size of images that a model is to draw: the protocol's, or its own where images are resized."""
    return generator.info.resolution if protocol.outputs == "resized" else protocol.resolution


def seen(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Returns uint8 images ``(B, 3, S, S)`` on the host as the networks that measure are to see them."""
    if images.shape[-1] == resolution:
        return images
    from torch import from_numpy, stack

    squares = [square(image.permute(1, 2, 0).numpy(), resolution) for image in images]
    return stack([from_numpy(one.copy()).permute(2, 0, 1) for one in squares])


def generate_sets(
    job: Job,
    generator: Generator,
    knobs: Mapping[str, Any],
    instruments: Instruments | None,
    entries: Mapping[str, Sequence[Planned]],
    channel: Channel,
) -> None:
    """Makes every batch that is not stored yet; without instruments, of its images only the digests are kept."""
    total = sum(len(planned) for planned in entries.values())
    done = 0
    with Behind() as behind:
        for set_name, planned in entries.items():
            kept = kept_keys(job.images, planned)
            for number, chosen in batches(planned, job.protocol.batch_size):
                stored = is_done(job.folder, job.name, set_name, number)
                drawn = None if stored else _draw(job, generator, knobs, instruments, chosen)
                done += len(chosen)
                behind.do(partial(_keep, job, number, drawn, kept, partial(channel.progress, set_name, done, total)))


def _keep(job: Job, number: int, drawn: Drawn | None, kept: frozenset[str], then: Callable[[], None]) -> None:
    if drawn is not None:
        store_batch(job, number, drawn, kept)
    then()


def _draw(
    job: Job,
    generator: Generator,
    knobs: Mapping[str, Any],
    instruments: Instruments | None,
    chosen: Sequence[Planned],
) -> Drawn:
    """Makes and measures one batch, and says how and when."""
    prompts, seeds = [entry.prompt for entry in chosen], [entry.seed for entry in chosen]
    before, start = generator.evaluations, _now()
    output = Output(resolution=drawn_resolution(job.protocol, generator))
    images = output.check(generator.generate(prompts, seeds, **knobs), len(chosen))
    # A copy even of what is on the host: a model may draw its next images into the same memory while these are stored.
    on_host, device = images.to("cpu", copy=True), images.device
    end = _now()
    measured: dict[str, NDArray[Any]] = {}
    if instruments is not None:
        measured = instruments.measure(seen(on_host, job.protocol.resolution), prompts)
    made: dict[str, float | None] = {"t_start": start, "t_end": end, "t_measured": _now()}
    counts = "evaluations" not in generator.info.unknown
    made |= {"evaluations": (generator.evaluations - before) / len(chosen) if counts else None}
    where = {"attempt": job.attempt, "node": node(), "gpu_uuid": gpu_uuid(device), "worker": os.getpid()}
    return Drawn(chosen=chosen, images=on_host, measured=measured, made=made | where)


def _now() -> float:
    return _EPOCH + time.perf_counter()
