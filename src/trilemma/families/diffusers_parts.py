"""Parts of a diffusers pipeline from tables on a card: ``class`` names the part, the rest is what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    from trilemma.card import Card

SCHEDULERS = ("DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler")
AUTOENCODERS = ("AutoencoderKL", "VQModel")
DENOISERS = ("UNet2DConditionModel", "DiTTransformer2DModel")


def build_part(card: Card, table: str, allowed: tuple[str, ...]) -> Any:
    """Returns the object of diffusers that ``[network.TABLE]`` describes, built but untrained.

    Raises:
        UserError: there is no such table, its class is not one of ``allowed``, or the class does not know a key.
    """
    import diffusers

    where = f"{card.path}: network.{table}"
    given = card.network.get(table)
    if not isinstance(given, Mapping):
        raise UserError("this table is missing.", where=where)
    name, settings = given.get("class"), {key: value for key, value in given.items() if key != "class"}
    if name not in allowed:
        raise UserError(f'"{name}" is not possible here.', where=f"{where}.class", hint=suggest(str(name), allowed))
    try:
        return getattr(diffusers, name)(**settings)
    except TypeError as error:  # a keyword that the class does not have
        raise UserError(f"{name}: {error}.", where=where) from None
