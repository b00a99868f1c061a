"""What a card's options have every call of a pipeline given, where it takes it.

max_sequence_length = 256      prompts are cut there, in tokens of the text encoder that reads the longest
negative_prompt = "blurry"     what guidance by a second pass leads away from, in place of the empty prompt
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trilemma.errors import UserError
from trilemma.families.diffusers_call import GUIDANCE, PipelineCall, is_stable_diffusion
from trilemma.families.diffusers_files import LENGTH, NEGATIVE, option

if TYPE_CHECKING:
    from trilemma.card import Card


def stated_length(card: Card, call: PipelineCall) -> dict[str, int]:
    """Returns the length of prompts as an argument of the call, or nothing.

    Raises:
        UserError: it is no whole number of at least 1, or the call takes none.
    """
    length = card.options.get(LENGTH)
    if length is None:
        return {}
    where = f"{card.path}: options.{LENGTH}"
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise UserError(f"must be a whole number of at least 1, got {length!r}.", where=where)
    if LENGTH not in call.names:
        raise UserError("this pipeline takes none: the length of its prompts is fixed.", where=where)
    return {LENGTH: length}


class Negative:
    """What guidance by a second pass leads away from: the card's negative prompt, or what the pipeline takes itself.

    Attributes:
        text: None where the card says nothing.
        states_1LD: the text states of ``text``, or of the empty prompt, which Stable Diffusion needs in every call.
            None where there is more to them, or no second pass.

    Raises:
        UserError: the card's is no text, or nothing would come of it: the call takes none, or has no second pass.
    """

    def __init__(self, card: Card, pipeline: Any, call: PipelineCall) -> None:
        self.text = _stated_text(card, call)
        plain = is_stable_diffusion(pipeline) and not call.guided_by_input
        self.states_1LD: Tensor | None = _encoded(pipeline, self.text or "") if plain else None

    @property
    def is_empty_prompt(self) -> bool:
        """Whether it is known to be the empty prompt: SDXL, for one, takes zeros where nothing is said."""
        return not self.text and self.states_1LD is not None

    def given(self, count: int, dtype: torch.dtype) -> dict[str, Any]:
        """Returns the arguments of a call for ``count`` images."""
        if self.states_1LD is not None:
            return {"negative_prompt_embeds": self.states_1LD.to(dtype).expand(count, -1, -1)}
        return {} if self.text is None else {NEGATIVE: [self.text] * count}


@torch.no_grad()
def _encoded(pipeline: Any, text: str) -> Tensor:
    states_1LD: Tensor = pipeline.encode_prompt([text], pipeline.device, 1, False)[0]
    return states_1LD


def _stated_text(card: Card, call: PipelineCall) -> str | None:
    negative = option(card, NEGATIVE)
    guided = GUIDANCE.name in {knob.name for knob in call.knobs} and not call.guided_by_input
    if negative is not None and not (guided and NEGATIVE in call.names):
        raise UserError(
            "this pipeline takes none: it has no guidance by a second pass from prompts.",
            where=f"{card.path}: options.{NEGATIVE}",
        )
    return negative
