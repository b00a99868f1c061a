"""Which knobs a model declares: asked of the model itself, in a process of its own, before anything is measured."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.generator import Knob
from trilemma.runner.channel import Channel, serve
from trilemma.runner.launch import Message, run_worker
from trilemma.store.atomic import write_json
from trilemma.strict_toml import build, dump


class ModelFailed(RuntimeError):
    """A model that cannot be loaded tells no knobs."""


def declared_knobs(card: Card) -> tuple[Knob, ...]:
    """Returns a model's knobs, their defaults being the card's.

    Raises:
        UserError: weights or knobs of the card are not what they should be.
        ModelFailed: anything else that went wrong while it was loaded.
    """
    heard: list[Message] = []
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "card.json"
        write_json(job, {"card": dump(card), "path": str(card.path)})
        ended = run_worker(job, Path(folder) / "log", heard.append, module=__name__)
    if ended.error is not None and ended.error["type"] == UserError.__name__:
        raise UserError(ended.error["message"])
    if ended.error is not None:
        raise ModelFailed(f"{card.name} could not be loaded: {ended.error['type']}: {ended.error['message']}")
    told = next(message["knobs"] for message in heard if message["kind"] == "knobs")
    return tuple(Knob(**knob) for knob in told)


def main(arguments: list[str]) -> int:
    """Loads the model of a card and says its knobs. Returns 0, or 1 after a "failed" message."""
    return serve(lambda channel: _tell(json.loads(Path(arguments[0]).read_text(encoding="utf-8")), channel))


def _tell(stored: dict[str, Any], channel: Channel) -> None:
    # Here: the process that asks must not import torch.
    from trilemma.registry import load

    card = build(Card, stored["card"], where="card", path=Path(stored["path"]))
    channel.send("knobs", knobs=[vars(knob) for knob in load(card, "cpu").info.knobs])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
