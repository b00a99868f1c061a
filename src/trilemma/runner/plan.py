"""Which images a run makes: an ordered list per set, the same for every model, prefix-stable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trilemma.errors import UserError
from trilemma.identity import sample_key, sample_seed
from trilemma.protocol import Protocol, SampleSet
from trilemma.runner.prompts import NO_LABEL, NO_TARGET, Target, prompts_of


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One image to be made. ``target`` is (shape, colour, background) that the prompt asks for; -1 without a prompt.

    ``label`` is the class that it asks for, of a data set with classes; else -1.
    """

    set: str
    prompt_id: str
    index: int
    prompt: str
    key: str
    seed: int
    target: Target = NO_TARGET
    label: int = NO_LABEL


def plan(protocol: Protocol, run_seed: int, samples: int | None = None) -> dict[str, list[Planned]]:
    """Returns the entries of every set, in order.

    Args:
        samples: caps each set; the entries are the first of the whole plan. A set that repeats its prompts is cut at a
            whole prompt (below one prompt's worth, within the first).

    Raises:
        UserError: ``samples`` is below 1, or the protocol's prompts cannot be had.
    """
    if samples is not None and samples < 1:
        raise UserError(f"must be at least 1, got {samples}.", where="--samples")
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
    prompts = prompts_of(protocol, entry, -(-count // entry.images_per_prompt))
    planned = []
    for number in range(count):
        position, index = _place(entry, number, len(prompts))
        prompt = prompts[position]
        planned.append(
            Planned(
                set=entry.name,
                prompt_id=prompt.id,
                index=index,
                prompt=prompt.text,
                key=sample_key(protocol.name, entry.name, prompt.id, index),
                seed=sample_seed(protocol.name, run_seed, prompt.id, index),
                target=prompt.target,
                label=prompt.label,
            )
        )
    return planned


def _place(entry: SampleSet, number: int, prompts: int) -> tuple[int, int]:
    """Returns the prompt of an image, by its place, and which image of that prompt it is."""
    if entry.prompts == "classes":
        return number % prompts, number // prompts
    position, index = divmod(number, entry.images_per_prompt)
    return position, number if entry.prompts == "none" else index
