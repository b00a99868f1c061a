"""The families by name, and what each can do besides generating."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trilemma.card import FILE_NAME, Card
from trilemma.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Family:
    """What a family brings, as ``package.module:function``: a list of names must not import torch.

    Attributes:
        load: (card, device) to its generator.
        missing: card to what it needs and this machine has not, without torch; without it weights alone are looked for.
        pinned: card to the same with the digests of files that lie here and that it does not state.
        fetch: card to the folder of what it downloaded, because somebody asked for it.
        networks: card to its networks as they were published, encoders included, with drawn weights.
        trainable: whether the suite trains it from a card's [network]; how is in ``trilemma.training``.
        timed: False where the images exist already.
    """

    load: str
    missing: str | None = None
    pinned: str | None = None
    fetch: str | None = None
    networks: str | None = None
    trainable: bool = False
    timed: bool = True


def _published(module: str, *, trainable: bool = False) -> Family:
    """A family whose card names published files."""
    files, module = "trilemma.families.published_files", f"trilemma.families.{module}"
    return Family(
        load=f"{module}:load",
        missing=f"{files}:missing",
        pinned=f"{files}:pinned",
        fetch=f"{files}:fetch",
        networks=f"{module}:parts",
        trainable=trainable,
    )


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "gan": Family(load="trilemma.families.gan:load", trainable=True),
        "vqar": Family(load="trilemma.families.vqar:load", trainable=True),
        "var": _published("var.model", trainable=True),
        "diffusers": Family(
            load="trilemma.families.diffusers_pipeline:load",
            missing="trilemma.families.diffusers_files:missing",
            pinned="trilemma.families.diffusers_files:pinned",
            fetch="trilemma.families.diffusers_open:fetch",
            networks="trilemma.families.random_pipeline:parts",
            trainable=True,
        ),
        "controls": Family(load="trilemma.families.controls:load", missing="trilemma.families.control_cards:missing"),
        "taming": _published("taming_transformer"),
        "class-diffusion": Family(
            load="trilemma.families.class_diffusion:load", networks="trilemma.families.class_diffusion:parts"
        ),
        "biggan": _published("biggan"),
        "torchscript": Family(load="trilemma.families.torchscript:load"),
        "samples": Family(
            load="trilemma.families.samples:load",
            missing="trilemma.families.samples_options:missing",
            pinned="trilemma.families.samples_options:pinned",
            timed=False,
        ),
    }
)


def trainable(card: Card) -> bool:
    """Returns whether the suite trains the network that a card describes."""
    family = FAMILIES.get(card.family or "")
    return family is not None and family.trainable and bool(card.network) and not card.random_weights


def untrained(card: Card) -> UserError | None:
    """Returns the error of a network that waits for its training: no weights in its folder, and no published files."""
    waits = trainable(card) and not (card.weights_sha256 or card.options)
    if not waits or next(card.path.rglob("*.safetensors"), None) is not None:
        return None
    where = str(card.path / FILE_NAME)
    return UserError("this model is not trained yet.", where=where, hint=f"Train it: train {card.model}.")
