"""The networks of a protocol over any data set behind one call: images in, a row of measurements per image out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trilemma.data.classes import class_names
from trilemma.data.datasets import DataSet
from trilemma.errors import UserError
from trilemma.features import named
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.presets import PRESETS
from trilemma.features.recipe import Recipe
from trilemma.features.thumbnails import thumbnails
from trilemma.protocol import Protocol

Arrays = dict[str, NDArray[Any]]


class DataInstruments:
    """Feature extractor, and where they are named and at hand the reader of classes and CLIP.

    ``identity`` maps each role to the digest of weights and preprocessing.

    Raises:
        UserError: weights are missing or damaged, or the reader reads other classes than the data set's.
    """

    def __init__(self, protocol: Protocol, data: DataSet, device: str) -> None:
        self.identity = named.identity(protocol)
        recipes = {role: recipe for role, recipe in named.recipes(protocol).items() if role in self.identity}
        self.kept = recipes["features"].outputs
        self.networks = _loaded(recipes, device)
        if "reader" in self.networks:
            _check_classes(self.networks["reader"], data, protocol)
        self.convention = _convention(protocol) if "clip" in self.networks else {}

    @torch.no_grad()
    def measure(self, images: Tensor, prompts: list[str]) -> Arrays:
        """Measures uint8 ``(B, 3, H, W)`` images against their prompts.

        Returns:
            ``features`` float32 (B, D); ``logits`` float32 (B, C) where an inception score is asked for; ``thumbnails``
            uint8 (B, 768); with a reader ``read_label`` int64; with CLIP ``clip_score`` float64, NaN for the empty
            prompt.
        """
        pixels_BHWC = _pixels(images)
        outputs = {id(one): one.batch(list(pixels_BHWC)) for role, one in self.networks.items() if role != "clip"}
        of_features = outputs[id(self.networks["features"])]
        found = {name: of_features[name] for name in self.kept} | {"thumbnails": thumbnails(pixels_BHWC)}
        if "reader" in self.networks:
            logits_BC = outputs[id(self.networks["reader"])]["logits"]
            found["read_label"] = logits_BC.argmax(axis=1).astype(np.int64)
        if "clip" in self.networks:
            found["clip_score"] = self._clip_score(pixels_BHWC, prompts)
        return found

    def thumbnails(self, images: Tensor) -> NDArray[np.uint8]:
        """Returns uint8 ``(B, 768)``: 16x16 averages of the pixels."""
        return thumbnails(_pixels(images))

    def _clip_score(self, pixels_BHWC: NDArray[np.uint8], prompts: list[str]) -> NDArray[np.float64]:
        """Source: Hessel et al., arXiv 2104.08718, with the scale and the prefix of the preset."""
        scores_B = np.full(len(prompts), np.nan)
        rows = [row for row, prompt in enumerate(prompts) if prompt]
        if rows:
            network, texts = self.networks["clip"], sorted({prompts[row] for row in rows})
            place = {text: number for number, text in enumerate(texts)}
            texts_TD = network.texts([self.convention["prefix"] + text for text in texts])
            images_RD = network.batch(list(pixels_BHWC[rows]))["features"].astype(np.float64)
            told_RD = texts_TD[[place[prompts[row]] for row in rows]].astype(np.float64)
            norms_R = np.linalg.norm(images_RD, axis=1) * np.linalg.norm(told_RD, axis=1)
            cosines_R = (images_RD * told_RD).sum(axis=1) / norms_R
            scores_B[rows] = self.convention["scale"] * (
                cosines_R.clip(min=0) if self.convention["clamp"] else cosines_R
            )
        return scores_B


def _loaded(recipes: dict[str, Recipe], device: str) -> dict[str, Extractor]:
    """Returns role → network; features and reader share one that plays both roles."""
    features, reader = recipes["features"], recipes.get("reader")
    if reader is not None and replace(reader, outputs=()) == replace(features, outputs=()):
        both = load_extractor(replace(features, outputs=("features", "logits")), device)
        shared = {"features": both, "reader": both}
        return shared | {role: load_extractor(one, device) for role, one in recipes.items() if role not in shared}
    return {role: load_extractor(recipe, device) for role, recipe in recipes.items()}


def _check_classes(reader: Extractor, data: DataSet, protocol: Protocol) -> None:
    known, read = len(class_names(data)), int(reader.network.classes)  # type: ignore[arg-type]
    if known != read:
        where = f"{protocol.name}: extractors: reader"
        raise UserError(f'this network reads {read} classes; "{data.name}" has {known}.', where=where)


def _convention(protocol: Protocol) -> dict[str, Any]:
    assert protocol.extractors is not None and protocol.extractors.clip is not None
    uses = PRESETS[protocol.extractors.clip].metrics
    return next(dict(use.parameters) for use in uses if use.function == "clip_score")


def _pixels(images: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())
