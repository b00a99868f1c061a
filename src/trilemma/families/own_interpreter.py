"""A factory that runs in a Python of its own: a research repository with its own ``models`` package and its own torch.

The card names the interpreter beside the factory. Its process is started by the model's worker and answers over pipes
(``child/serve.py``, which needs nothing of this suite); images come back as bytes, to the host. What is timed is a
whole call, the way there and back included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trilemma.errors import UserError
from trilemma.families.child_process import Child, Message, ModelRaised
from trilemma.families.interpreters import environment, interpreter
from trilemma.generator import Aspect, GeneratorInfo, Knob, check_batch, resolve_knobs
from trilemma.strict_toml import dump

if TYPE_CHECKING:
    from trilemma.card import Card

TIMEOUT_SECONDS = 3600.0
HOW_ASKED = frozenset({"unconditional", "class-conditional"})  # the others name methods, which there are none of here
ELSEWHERE = "the model runs in a Python of its own, "


class OwnInterpreter:
    """The registered model: what its factory made, in its own process.

    Attributes:
        child_seconds: what the model's own calls took, as its process measured it; what a call takes beyond that is
            the way there and back.
    """

    def __init__(self, card: Card, device: str) -> None:
        assert card.factory is not None
        python = interpreter(card)
        timeout = TIMEOUT_SECONDS if card.timeout_seconds is None else card.timeout_seconds
        self._child = Child(python, folder=card.path, environment=environment(card), timeout_seconds=timeout)
        told = self._load(card, device, python)
        self.evaluations, self.child_seconds = 0, 0.0
        self._side = told["resolution"] or card.resolution
        self.info = GeneratorInfo(
            name=card.name, family="module", resolution=self._side, parameters=told["parameters"],
            knobs=tuple(_knob(knob, card) for knob in told["knobs"]), runtime=told["runtime"], unknown=_unknown(told),
            capabilities=HOW_ASKED.intersection(told["capabilities"]),
        )  # fmt: skip

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`. The images are on the host."""
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        request = {"do": "generate", "prompts": list(prompts), "seeds": [int(s) for s in seeds], "knobs": settings}
        answer, data = self._child.ask(request)
        shape = answer["shape"]
        if len(shape) != 4 or shape[:2] != [len(prompts), 3] or math.prod(shape) != len(data):
            raise UserError(f"generate must return uint8 ({len(prompts)}, 3, H, W), it returned {tuple(shape)}.")
        self.evaluations = answer["evaluations"] or 0
        self.child_seconds += answer["seconds"]
        return torch.frombuffer(data, dtype=torch.uint8).view(shape)

    def _load(self, card: Card, device: str, python: str) -> Message:
        fields = dump(card) | {"path": str(card.path)}
        try:
            told, _ = self._child.ask({"do": "load", "factory": card.factory, "card": fields, "device": device})
        except ModelRaised as error:
            module, _, function = str(card.factory).partition(":")
            where = f"{card.path}: factory"
            if error.module is not None and f"{module}.".startswith(f"{error.module}."):
                hint = "Put it beside the card, or name its folder in pythonpath."
                raise UserError(f'{python} cannot import "{module}".', where=where, hint=hint) from error
            if error.kind == "AttributeError" and f"no attribute '{function}'" in str(error):
                raise UserError(f'"{module}" has no function "{function}".', where=where) from error
            raise
        if not told["generates"]:
            raise UserError("what the factory returned has no generate().", where=f"{card.path}: factory")
        return told


def load(card: Card, device: str) -> OwnInterpreter:
    """Starts the interpreter that a card names, and the factory in it."""
    return OwnInterpreter(card, device)


def _knob(told: dict[str, Any], card: Card) -> Knob:
    numbers = [told[name] for name in ("default", "minimum", "maximum")]
    if told["kind"] not in ("int", "float") or not all(type(number) in (int, float) for number in numbers):
        raise UserError(
            f'the knob "{told["name"]}" needs kind ("int" or "float"), default, minimum and maximum.',
            where=f"{card.path}: factory",
        )
    return Knob(**told | {"name": str(told["name"]), "description": str(told["description"] or "")})


def _unknown(told: Message) -> dict[Aspect, str]:
    unknown: dict[Aspect, str] = {
        "memory": f"{ELSEWHERE}whose memory is not measured",
        "operations": f"{ELSEWHERE}whose operations are not counted",
    }
    if told["parameters"] is None:
        unknown["parameters"] = "the model does not say how many it has: info.parameters"
    if not told["counts"]:
        unknown["evaluations"] = "the model does not count them: evaluations"
    return unknown
