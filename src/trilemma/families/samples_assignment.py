"""Which of the images that exist is which planned sample's. No torch.

- by *order*: image n is sample n, where numbers in names count as numbers (``names_order``). A protocol with several
  sets needs a folder for each, of the set's name: the order within a set does not change when fewer images are asked
  for, that of all sets in a row does.
- by *names*: a file is called after its sample: its key, or ``PROMPTID_INDEX``, or ``PROMPTID`` for index 0.
- by *prompts*: the images of a prompt go to its samples in turn, each to one.

A folder of a set's name, where there is one, holds that set's images and no others.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.errors import UserError
from trilemma.families.names_order import names_order

if TYPE_CHECKING:
    from trilemma.families.samples_options import Assign
    from trilemma.generator import PlannedSample


@dataclass(frozen=True, kw_only=True)
class Existing:
    """The images that there are: relative paths in order (or numbers), and the prompts of those that have one."""

    name: str
    files: tuple[str, ...]
    prompts: Mapping[str, str]

    def of_set(self, name: str) -> list[int]:
        """Returns the numbers of a set's images: those in a folder of its name, or all where there is none."""
        inside = [number for number, file in enumerate(self.files) if file.startswith(f"{name}/")]
        return inside or list(range(len(self.files)))


def assignment(existing: Existing, planned: Sequence[PlannedSample], way: Assign) -> list[int]:
    """Returns for each planned sample the number of its image.

    Raises:
        UserError: there are too few images, or there is none of a name or of a prompt.
    """
    if way == "order":
        return _by_order(existing, planned)
    return _by_names(existing, planned) if way == "names" else _by_prompts(existing, planned)


def _by_order(existing: Existing, planned: Sequence[PlannedSample]) -> list[int]:
    needed = Counter(sample.set for sample in planned)
    numbers = {name: existing.of_set(name) for name in needed}
    if len(needed) > 1 and any(len(found) == len(existing.files) for found in numbers.values()):
        hint = f"Put each set's images into a folder of its name ({', '.join(needed)}), or assign them by names."
        raise UserError("order alone does not tell which set an image is of.", where=existing.name, hint=hint)
    lacking = {name: count for name, count in needed.items() if count > len(numbers[name])}
    if lacking:
        raise _too_few(existing, needed, {name: len(found) for name, found in numbers.items()})
    turns = {name: iter(_as_numbered(existing, found)) for name, found in numbers.items()}
    return [next(turns[sample.set]) for sample in planned]


def _as_numbered(existing: Existing, numbers: Sequence[int]) -> list[int]:
    return [numbers[place] for place in names_order([existing.files[number] for number in numbers])]


def _by_names(existing: Existing, planned: Sequence[PlannedSample]) -> list[int]:
    stems = {name: _by_stem(existing, existing.of_set(name)) for name in {sample.set for sample in planned}}
    found = [_named(stems[sample.set], sample) for sample in planned]
    missing = [sample for sample, number in zip(planned, found, strict=True) if number is None]
    if missing:
        first = missing[0]
        raise UserError(
            f"{len(missing):,} of {len(planned):,} samples have no image, the first of them "
            f'"{first.prompt_id}_{first.index}" of the set "{first.set}", key {first.key}.',
            where=existing.name,
            hint="Call each file after its sample's key, or PROMPTID_INDEX: the command prompts lists them.",
        )
    return [number for number in found if number is not None]


def _by_stem(existing: Existing, numbers: Iterable[int]) -> dict[str, int]:
    stems: dict[str, int] = {}
    for number in numbers:
        stem = existing.files[number].rpartition("/")[2].rpartition(".")[0] or existing.files[number]
        if stem in stems:
            raise UserError(f'two images are called "{stem}".', where=existing.name)
        stems[stem] = number
    return stems


def _named(stems: Mapping[str, int], sample: PlannedSample) -> int | None:
    names = [sample.key, f"{sample.prompt_id}_{sample.index}", *([sample.prompt_id] if sample.index == 0 else [])]
    return next((stems[name] for name in names if name in stems), None)


def _by_prompts(existing: Existing, planned: Sequence[PlannedSample]) -> list[int]:
    waiting = {name: _by_prompt(existing, existing.of_set(name)) for name in {sample.set for sample in planned}}
    needed = Counter((sample.set, sample.prompt) for sample in planned)
    lacking = [(name, text) for (name, text), count in needed.items() if len(waiting[name][_plain(text)]) < count]
    if lacking:
        name, text = lacking[0]
        raise UserError(
            f'{len(lacking):,} of {len(needed):,} prompts have too few images, the first of them "{text}" of the set '
            f'"{name}": {needed[name, text]} needed, {len(waiting[name][_plain(text)])} there.',
            where=existing.name,
            hint="Make the missing ones, or ask for fewer: --samples N. The command prompts lists what is needed.",
        )
    return [waiting[sample.set][_plain(sample.prompt)].popleft() for sample in planned]


def _by_prompt(existing: Existing, numbers: Iterable[int]) -> defaultdict[str, deque[int]]:
    found: defaultdict[str, deque[int]] = defaultdict(deque)
    for number in numbers:
        prompt = existing.prompts.get(existing.files[number])
        if prompt is not None:
            found[_plain(prompt)].append(number)
    return found


def _plain(prompt: str) -> str:
    """Tables are written by hand: white space at the ends and its kind do not make another prompt."""
    return " ".join(prompt.split())


def _too_few(existing: Existing, needed: Mapping[str, int], there: Mapping[str, int]) -> UserError:
    counts = ", ".join(f"{name}: {count:,} needed, {there[name]:,} there" for name, count in needed.items())
    return UserError(
        f"there are too few images ({counts}).", where=existing.name, hint="Make more, or ask for fewer: --samples N."
    )
