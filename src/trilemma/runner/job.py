"""What a worker process is told: one JSON file, from which it rebuilds protocol and card."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.runner.kept import Kept
from trilemma.runner.speed_job import SpeedJob, speed_job
from trilemma.runner.timing_job import TimingJob, timing_job
from trilemma.store.atomic import write_json
from trilemma.store.layout import RunFolder
from trilemma.strict_toml import build, dump

REFERENCE = "reference"  # the name that the real images' job goes by; no model may take it


@dataclass(frozen=True, kw_only=True)
class Instrumentation:
    """Where the measuring networks and the anchors come from, as ``package.module:function``.

    Attributes:
        load: called as ``load(protocol, device)`` in a worker; what it returns has ``measure(images, prompts)``.
        identity: called as ``identity(protocol)`` in the parent, without torch: role → digest.
        controls: called as ``controls(card, device)`` in the worker of the real images, with ``options.kind`` "real" or
            "reduced": the anchors of the scores, whatever cards a workspace holds.
    """

    load: str = "trilemma.features.measure:load_instruments"
    identity: str = "trilemma.features:identity"
    controls: str = "trilemma.families.controls:load"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One worker's work: a model's images, or the real ones'."""

    kind: Literal["model", "reference"]
    folder: RunFolder
    protocol: Protocol
    card: Card | None
    seed: int
    samples: int | None
    device: str
    instruments: Instrumentation
    identity: dict[str, str]
    cache: Path
    attempt: int = 1
    images: Kept = "all"

    @property
    def session(self) -> str:
        """The occasion on which this is measured: the run, and which of its attempts to come to an end."""
        return f"{self.folder.path.name}/{self.attempt}"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.card.name if self.card is not None else REFERENCE

    def write(self) -> Path:
        """Puts the job into the run's folder and returns its path."""
        path = self.folder.job(self.name)
        write_json(path, self._as_dict())
        return path

    def _as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "folder": str(self.folder.path),
            "protocol": dump(self.protocol),
            "home": str(self.protocol.home) if self.protocol.home is not None else None,
            "card": dump(self.card) if self.card is not None else None,
            "card_path": str(self.card.path) if self.card is not None else None,
            "seed": self.seed,
            "samples": self.samples,
            "device": self.device,
            "instruments": vars(self.instruments),
            "identity": self.identity,
            "cache": str(self.cache),
            "attempt": self.attempt,
            "images": self.images,
        }


def read_job(path: Path) -> Job | TimingJob | SpeedJob:
    """Returns the job that the ``write`` of one of these put there."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["kind"] == "timing":
        return timing_job(stored, where=str(path))
    if stored["kind"] in ("speed", "flops"):
        return speed_job(stored, where=str(path))
    card = stored["card"]
    return Job(
        kind=stored["kind"],
        folder=RunFolder(path=Path(stored["folder"])),
        protocol=build(Protocol, stored["protocol"], where=str(path), home=_path(stored["home"])),
        card=build(Card, card, where=str(path), path=Path(stored["card_path"])) if card is not None else None,
        seed=stored["seed"],
        samples=stored["samples"],
        device=stored["device"],
        instruments=Instrumentation(**stored["instruments"]),
        identity=stored["identity"],
        cache=Path(stored["cache"]),
        attempt=stored["attempt"],
        images=stored["images"],
    )


def import_target(target: str) -> Callable[..., Any]:
    """Returns the function that ``package.module:function`` names; raises UserError where there is none."""
    module_name, _, name = target.partition(":")
    function = getattr(importlib.import_module(module_name), name, None)
    if not callable(function):
        raise UserError(f'"{module_name}" has no function "{name}".')
    found: Callable[..., Any] = function
    return found


def _path(stored: str | None) -> Path | None:
    return None if stored is None else Path(stored)
