"""The settings of a sweep: every combination of the swept knobs' values, each a variant of the model's card."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trilemma.card import FILE_NAME, Card
from trilemma.errors import UserError
from trilemma.generator import Knob, resolve_knobs
from trilemma.protocol import Protocol
from trilemma.variant import at, number

MOST_SETTINGS = 64
"""Of one model. Cards may declare fewer."""
# A sweep shows where a model's settings lie, not what one of them is worth to the last digit: fewer images, and less
# time for the clock. The default sweep of the embedded models then takes less than 25 minutes on two cores.
SAMPLES = 1024
MIN_SECONDS = 0.25
SETS = ("prompted", "unconditional", "within_prompt")

Effect = tuple[tuple[str, float], ...]  # every knob of a model with its value, in alphabetical order
Values = Mapping[str, Sequence[float | int]]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What of one model is swept: ``cards`` holds the model itself, at its default setting, among its variants."""

    model: Card
    knobs: dict[str, tuple[float | int, ...]]
    cards: tuple[Card, ...]


def swept_knobs(card: Card, asked: Values) -> Values:
    """Returns what is to be swept: what was asked for, else what the card declares.

    Raises:
        UserError: the card is a variant already, neither says anything, or there would be too many settings.
    """
    if card.name != card.model:
        raise UserError(f'a sweep makes variants itself: name "{card.model}" alone.', where=card.name)
    values = asked or card.sweep
    if not values:
        hint = "Name some: --knob NAME=1,2,4."
        raise UserError("the card declares no [sweep].", where=str(card.path / FILE_NAME), hint=hint)
    count = math.prod(map(len, values.values()))
    if count > MOST_SETTINGS:
        raise UserError(f"these are {count} settings; a sweep has at most {MOST_SETTINGS} a model.", where="--knob")
    return values


def sweep_of(card: Card, values: Values, declared: Sequence[Knob]) -> Sweep:
    """Returns the settings in the order of the values, those of equal effect once; the default comes first if missing.

    Raises:
        UserError: a knob that the model does not have, or a value out of its range.
    """
    grid = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    default = _resolved(card, declared, {})
    effects = dict.fromkeys(_resolved(card, declared, setting) for setting in grid)
    ordered = [*([] if default in effects else [default]), *effects]
    # Named by what differs from the default: one setting has one name, whatever the grid.
    differing = [dict(set(effect) - set(default)) for effect in ordered]
    return Sweep(
        model=card,
        knobs={name: tuple(chosen) for name, chosen in values.items()},
        cards=tuple(at(card, knobs=knobs) for knobs in differing),
    )


def for_sweeps(protocol: Protocol) -> Protocol:
    """Returns the protocol with less time for the clock, and one batch size beside batch 1 for all settings alike.

    Raises:
        UserError: it does not give all three scores.
    """
    if not protocol.knows_truth:
        what = "the diversity score is not made of parts that add up there"
        raise UserError(f"sweeps are over Scenes alone: {what}.", where=protocol.name)
    missing = [name for name in SETS if name not in {entry.name for entry in protocol.sets}]
    if protocol.speed is None or protocol.reference is None or missing:
        needs = f"[speed], [extractors], [reference] and the sets {', '.join(SETS)}"
        raise UserError(f"a frontier needs all three scores, and so {needs}.", where=protocol.name)
    speed = replace(
        protocol.speed,
        batch_sizes=tuple(sorted({1, protocol.batch_size})),
        min_seconds=min(protocol.speed.min_seconds, MIN_SECONDS),
    )
    return replace(protocol, speed=speed)


def parse_knobs(texts: Sequence[str]) -> dict[str, tuple[float | int, ...]]:
    """Returns knob → values of texts such as ``guidance_scale=1,2,4``.

    Raises:
        UserError: a text that does not read so, a value that is no number, or a knob that is given twice.
    """
    found: dict[str, tuple[float | int, ...]] = {}
    for text in texts:
        name, separator, values = text.partition("=")
        if not name.strip() or not separator or not values.strip():
            raise UserError(f'"{text}" is no knob with values.', where="--knob", hint="Write: --knob NAME=1,2,4.")
        if name.strip() in found:
            raise UserError(f'"{name.strip()}" is given twice.', where="--knob")
        found[name.strip()] = tuple(number(value.strip(), where=f"--knob {text}") for value in values.split(","))
    return found


def _resolved(card: Card, declared: Sequence[Knob], setting: Mapping[str, float | int]) -> Effect:
    try:
        return tuple(sorted(resolve_knobs(declared, setting).items()))
    except UserError as error:
        raise UserError(error.what, where=card.name, hint=error.hint) from None
