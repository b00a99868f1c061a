"""Controls: generators whose quality and diversity are known, registered like any model.

A metric that does not put them in the order that it claims to see has failed, not the model. Over Scenes they draw,
over other data they show real pictures: see ``data_controls``.

- ``real``: fresh pictures of what the prompt says.
- ``reduced``: real ones shrunk to 4x4 and back.
- ``noisy``: real ones with grain.
- ``mode-drop``: a quarter of the modes without a prompt; half the range of every free factor within one.
- ``memorizer``: pictures of the training split.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trilemma.data import scenes
from trilemma.errors import UserError, suggest
from trilemma.families.control_cards import shown_of
from trilemma.generator import GeneratorInfo, SampleStreams, check_batch, resolve_knobs

if TYPE_CHECKING:
    from trilemma.card import Card

Make = Callable[[Sequence[str], Sequence[int], int], NDArray[np.uint8]]

GRAIN = 24.0
SMALL = 4
_CAPTIONED = (("shape", scenes.SHAPES), ("color", scenes.COLORS), ("background", scenes.BACKGROUNDS))


class Control:
    """A generator without a network: ``make`` takes prompts, seeds and resolution to images, uint8 (B, H, W, 3)."""

    def __init__(self, card: Card, device: str, make: Make, capabilities: frozenset[str] = frozenset()) -> None:
        self._make = make
        self._device = device
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="controls", resolution=card.resolution, parameters=0, capabilities=capabilities
        )

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        check_batch(prompts, seeds)
        resolve_knobs(self.info.knobs, knobs)
        images_BHWC = self._make(prompts, seeds, self.info.resolution)
        return torch.from_numpy(images_BHWC).permute(0, 3, 1, 2).contiguous().to(self._device)


def load(card: Card, device: str) -> Control:
    """Builds the control that a card's ``options.kind`` names."""
    kind, shown = card.options.get("kind"), shown_of(card)
    if shown is not None:
        from trilemma.families.data_controls import DataControl

        return DataControl(card, device, shown)
    if kind not in _KINDS:
        raise UserError(f"unknown kind of control {kind!r}.", where="options.kind", hint=suggest(str(kind), _KINDS))
    draw = _KINDS[kind]
    return Control(card, device, lambda prompts, seeds, resolution: draw(prompts, SampleStreams(seeds), resolution))


def read_prompt(prompt: str) -> dict[str, int]:
    """Returns the captioned factors that a prompt names, as indices; what it does not name is left out."""
    words = " ".join(prompt.lower().replace(",", " ").split())
    found: dict[str, int] = {}
    for index, name in enumerate(scenes.BACKGROUNDS):
        if name in words:
            found["background"] = index
    if "background" in found:  # a background names a colour too
        words = words.replace(scenes.BACKGROUNDS[found["background"]], " ")
    for factor, names in _CAPTIONED[:2]:
        for word in set(words.split()) & set(names):
            found[factor] = max(found.get(factor, 0), names.index(word))
    return found


def _factors(prompts: Sequence[str], streams: SampleStreams) -> scenes.Factors:
    uniform_BK = streams.uniform(len(_CAPTIONED) + len(scenes.FREE)).numpy()
    asked = [read_prompt(prompt) for prompt in prompts]
    captioned = {
        factor: np.array([told.get(factor, int(u * len(names))) for told, u in zip(asked, column, strict=True)])
        for (factor, names), column in zip(_CAPTIONED, uniform_BK.T, strict=False)
    }
    free = dict(zip(scenes.FREE, uniform_BK.T[len(_CAPTIONED) :], strict=True))
    return scenes.Factors(**captioned, **free)


def _real(prompts: Sequence[str], streams: SampleStreams, resolution: int) -> NDArray[np.uint8]:
    return scenes.render(_factors(prompts, streams), resolution)


def _reduced(prompts: Sequence[str], streams: SampleStreams, resolution: int) -> NDArray[np.uint8]:
    return shrunk(_real(prompts, streams, resolution), SMALL)


def shrunk(images_BHWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Returns uint8 images ``(B, H, W, 3)`` averaged down to ``side`` x ``side`` and enlarged to their size again."""
    images = torch.from_numpy(images_BHWC).permute(0, 3, 1, 2).float()
    small = F.adaptive_avg_pool2d(images, side)
    large = F.interpolate(small, size=images_BHWC.shape[1:3], mode="bilinear", align_corners=False)
    return _uint8(large.permute(0, 2, 3, 1).numpy())


def _noisy(prompts: Sequence[str], streams: SampleStreams, resolution: int) -> NDArray[np.uint8]:
    return grainy(_real(prompts, streams, resolution), streams)


def grainy(images_BHWC: NDArray[np.uint8], streams: SampleStreams) -> NDArray[np.uint8]:
    """Returns uint8 images ``(B, H, W, 3)`` with Gaussian noise of 24 grey levels from each sample's stream."""
    return _uint8(images_BHWC + GRAIN * streams.normal(*images_BHWC.shape[1:]).numpy())


def _mode_drop(prompts: Sequence[str], streams: SampleStreams, resolution: int) -> NDArray[np.uint8]:
    known = _factors(prompts, streams)
    empty = np.array([not read_prompt(prompt) for prompt in prompts])
    kept = {name: np.where(empty, getattr(known, name) % 4, getattr(known, name)) for name in ("shape", "color")}
    half = {name: getattr(known, name) / 2 for name in scenes.FREE}
    return scenes.render(replace(known, **kept, **half), resolution)


def _memorizer(prompts: Sequence[str], streams: SampleStreams, resolution: int) -> NDArray[np.uint8]:
    wanted = _factors(prompts, streams).mode
    chosen = streams.uniform(1).numpy()[:, 0]
    order, starts = _training_modes()
    counts = np.diff(starts)
    rows = starts[wanted] + (chosen * counts[wanted]).astype(np.int64)
    return scenes.images("train", order[rows], resolution)


@functools.cache
def _training_modes() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training indices sorted by mode, and where each mode begins among them."""
    modes = scenes.factors("train", np.arange(scenes.TRAIN_IMAGES)).mode
    return np.argsort(modes, kind="stable"), np.searchsorted(np.sort(modes), np.arange(scenes.MODES + 1))


def _uint8(images: NDArray[Any]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    return rounded


_KINDS: dict[str, Callable[[Sequence[str], SampleStreams, int], NDArray[np.uint8]]] = {
    "real": _real, "reduced": _reduced, "noisy": _noisy, "mode-drop": _mode_drop, "memorizer": _memorizer,
}  # fmt: skip
