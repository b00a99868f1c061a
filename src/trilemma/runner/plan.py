"""Which images a run makes: an ordered list per set, the same for every model, prefix-stable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.identity import sample_key, sample_seed
from trilemma.protocol import Protocol, SampleSet

EMPTY_PROMPT_ID = "empty"
NO_TARGET = (-1, -1, -1)
Target = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One image to be made. ``target`` is (shape, colour, background) that the prompt asks for; -1 without a prompt."""

    set: str
    prompt_id: str
    index: int
    prompt: str
    key: str
    seed: int
    target: Target = NO_TARGET


def plan(protocol: Protocol, run_seed: int, samples: int | None = None) -> dict[str, list[Planned]]:
    """Returns the entries of every set, in order.

    Args:
        samples: caps each set; the entries are the first of the whole plan. A set that repeats its prompts is cut at a
            whole prompt (below one prompt's worth, within the first).

    Raises:
        UserError: ``samples`` is below 1, or the protocol's data have no captions here.
    """
    if samples is not None and samples < 1:
        raise UserError(f"must be at least 1, got {samples}.", where="--samples")
    if protocol.data != "scenes":
        raise UserError(f'there is no data set "{protocol.data}".', hint="Known: scenes.")
    return {entry.name: _plan_set(protocol, entry, run_seed, samples) for entry in protocol.sets}


def batches(entries: Sequence[Planned], size: int) -> Iterator[tuple[int, Sequence[Planned]]]:
    """Yields (number, entries) of the batches: the plan alone fixes who is in which."""
    for number, start in enumerate(range(0, len(entries), size)):
        yield number, entries[start : start + size]


def images_of(entry: SampleSet, samples: int | None) -> int:
    """Returns how many images of a set are made under ``--samples``."""
    if samples is None or samples >= entry.images:
        return entry.images
    whole = samples - samples % entry.images_per_prompt
    return whole or samples


def _plan_set(protocol: Protocol, entry: SampleSet, run_seed: int, samples: int | None) -> list[Planned]:
    count = images_of(entry, samples)
    prompts = list(_prompts(entry, -(-count // entry.images_per_prompt)))
    planned = []
    for number in range(count):
        position, index = divmod(number, entry.images_per_prompt)
        prompt_id, prompt, target = prompts[position]
        index = number if entry.prompts == "none" else index
        planned.append(
            Planned(
                set=entry.name,
                prompt_id=prompt_id,
                index=index,
                prompt=prompt,
                key=sample_key(protocol.name, entry.name, prompt_id, index),
                seed=sample_seed(protocol.name, run_seed, prompt_id, index),
                target=target,
            )
        )
    return planned


def _prompts(entry: SampleSet, count: int) -> Iterator[tuple[str, str, Target]]:
    if entry.prompts == "none":
        yield from [(EMPTY_PROMPT_ID, "", NO_TARGET)] * count
        return
    indices = list(range(count))
    known = scenes.factors(entry.split, indices)
    for index, caption in zip(indices, scenes.captions(entry.split, indices), strict=True):
        target = (int(known.shape[index]), int(known.color[index]), int(known.background[index]))
        yield f"{entry.split}-{index}", caption, target
