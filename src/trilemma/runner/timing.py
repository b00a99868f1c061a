"""A worker that only times a model: nothing is measured on its images, and none are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trilemma
from trilemma import registry
from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.generator import Generator, resolve_knobs
from trilemma.runner.channel import Channel
from trilemma.runner.devices import describe_device, pick_device
from trilemma.runner.environment import tool
from trilemma.runner.generate import Output
from trilemma.runner.keys import DTYPES, timing_keys
from trilemma.runner.timing_job import TimingJob
from trilemma.store.tables import TIMINGS, write_rows
from trilemma.timing.sweep import Batch, steady

if TYPE_CHECKING:
    import torch


def measure_timing(job: TimingJob, channel: Channel) -> None:
    """Does a timing job and leaves its rows at ``job.timings``.

    Sends "accepted" before anything can fail that is the model's fault, and "ready" with all that must be equal, or
    may differ, between two processes that are compared.
    """
    channel.send("accepted", job=job.job, package=str(Path(trilemma.__file__).resolve().parent))
    card = _card(job)
    device = pick_device(job.device)
    generator = registry.load(card, device.type)
    knobs = resolve_knobs(generator.info.knobs, {})
    channel.send("ready", **_told(job, card, generator, knobs, device))
    batch = batch_of(generator, knobs, any_prompts(generator, job.prompts), job.seeds, job.resolution)
    rows = steady(batch, job.batch_size, job.speed, device, job.scenario)
    write_rows(Path(job.timings), TIMINGS, [{"model": card.name, **asdict(row)} for row in rows])


def batch_of(
    generator: Generator, knobs: Mapping[str, Any], prompts: Sequence[str], seeds: Sequence[int], resolution: int
) -> Batch:
    """Returns what is timed: one call of a model, its images checked and on the host.

    Raises:
        UserError: the model cannot be timed.
    """
    if (reason := generator.info.unknown.get("speed")) is not None:
        raise UserError(f'"{generator.info.name}" cannot be timed: {reason}.')
    output = Output(resolution=resolution)

    def batch(size: int, number: int) -> object:
        # Other seeds on every call, also once the prompts begin anew: a cache of results would look like speed.
        chosen = [divmod(number * size + i, len(prompts)) for i in range(size)]
        images = generator.generate([prompts[i] for _, i in chosen], [seeds[i] + turn for turn, i in chosen], **knobs)
        return output.check(images, size).cpu()

    return batch


def any_prompts(generator: Generator, prompts: Sequence[str]) -> Sequence[str]:
    """Returns prompts that a model takes, where only time is looked at: one of classes knows no captions."""
    return ["class 0"] * len(prompts) if "class-conditional" in generator.info.capabilities else prompts


def _card(job: TimingJob) -> Card:
    card = registry.card_at(Path(job.card))
    if card is None:
        raise UserError("there is no model here.", where=job.card)
    return card


def _told(
    job: TimingJob, card: Card, generator: Generator, knobs: dict[str, Any], device: torch.device
) -> dict[str, Any]:
    described = describe_device(device)
    subject: dict[str, Any] = {"revision": card.revision, "knobs": knobs, "dtype": DTYPES[card.precision]}
    subject |= {"parameters": generator.info.parameters}
    return {"subject": subject, "tool": tool(), **timing_keys(card, job.batch_size, described)}
