"""Filmstrips of a model: the first few prompts of the plan, traced one by one after everything that is timed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch

from trilemma.generator import Generator, Noising, Traceable
from trilemma.runner.generate import Output
from trilemma.runner.job import Job
from trilemma.runner.plan import Planned
from trilemma.store.pictures import Pixels
from trilemma.store.strips import SIDECAR, Kind, Space, Strip, Strips, write_strips

PROMPTS = 3
FRAMES = 10
Images = list[torch.Tensor]


def trace_strips(
    job: Job, generator: Generator, knobs: Mapping[str, Any], entries: Mapping[str, Sequence[Planned]]
) -> None:
    """Writes the strips of a model with the capability "trace", unless an earlier attempt has.

    They are pictures for people, and no number stands in them: where they fail, the reason is written, and the model's
    images stay what they are.
    """
    folder = job.folder.strips(job.name)
    if "trace" not in generator.info.capabilities or (folder / SIDECAR).is_file():
        return
    tracer = _Tracer(generator, knobs)
    for entry in traced_entries(entries):
        tracer.add(entry)
    about = Strips(frame=generator.info.resolution, strips=tuple(tracer.strips), problems=tuple(tracer.problems))
    write_strips(folder, about, tracer.frames)


def traced_entries(entries: Mapping[str, Sequence[Planned]]) -> list[Planned]:
    """Returns the first entries of the plan with prompts unlike each other; of one without prompts, its first ones."""
    planned = [entry for of_set in entries.values() for entry in of_set]
    prompted: dict[str, Planned] = {}
    for entry in planned:
        if entry.prompt:
            prompted.setdefault(entry.prompt, entry)
    return (list(prompted.values()) or planned)[:PROMPTS]


def shown_frames(length: int) -> tuple[int, ...]:
    """Returns which of so many frames are kept, by number from 1: at most ten, the first and the last among them."""
    spaced = np.linspace(1, length, min(length, FRAMES)).round().astype(int)
    return tuple(spaced.tolist())


class _Tracer:
    """Strips and the frames of each, as they come."""

    def __init__(self, generator: Generator, knobs: Mapping[str, Any]) -> None:
        self.generator, self.knobs = generator, knobs
        self.strips: list[Strip] = []
        self.frames: list[Pixels] = []
        self.problems: list[str] = []

    def add(self, entry: Planned) -> None:
        try:
            images = self._sample(entry)
            if "noising" in self.generator.info.capabilities:
                self._noise(entry, images[-1])
        except Exception as error:  # whatever a model's code raises
            self.problems.append(f"{type(error).__name__}: {error}")

    def _sample(self, entry: Planned) -> Images:
        before, start = self.generator.evaluations, time.perf_counter()
        traced = cast(Traceable, self.generator).trace([entry.prompt], [entry.seed], **self.knobs)
        images = self._checked(traced)
        wall_ms = 1000 * (time.perf_counter() - start)
        self._keep(entry, images, "sampling", self.generator.evaluations - before, round(wall_ms, 3))
        return images

    def _noise(self, entry: Planned, image: torch.Tensor) -> None:
        noised = cast(Noising, self.generator).noise(image, [entry.seed], **self.knobs)
        self._keep(entry, [image, *self._checked(noised.frames)], "noising", space=noised.space)

    def _checked(self, frames: Images) -> Images:
        output = Output(resolution=self.generator.info.resolution)
        return [output.check(frame, 1).cpu() for frame in frames]

    def _keep(
        self,
        entry: Planned,
        images: Images,
        kind: Kind,
        evaluations: int | None = None,
        wall_ms: float | None = None,
        space: Space | None = None,
    ) -> None:
        frames = shown_frames(len(images))
        strip = Strip(
            kind=kind, key=entry.key, prompt=entry.prompt, seed=entry.seed, frames=frames, length=len(images),
            evaluations=evaluations, wall_ms=wall_ms, space=space,
        )  # fmt: skip
        self.strips.append(strip)
        self.frames.append(np.stack([images[number - 1][0].permute(1, 2, 0).numpy() for number in frames]))
