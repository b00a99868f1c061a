"""All three instruments of Scenes behind one call: images in, one row of measurements per image out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from trilemma.data import scenes
from trilemma.data.of_protocol import data_of
from trilemma.errors import UserError
from trilemma.features import identity, inception_file, instrument_folder
from trilemma.features.data_instruments import DataInstruments
from trilemma.features.factor_net import load_factor_net, read_factors
from trilemma.features.inception import Inception
from trilemma.features.thumbnails import thumbnails
from trilemma.protocol import Protocol


class Instruments:
    """Feature extractor, factor reader and CLIP of one protocol.

    ``identity`` maps each role to the digest of weights and preprocessing.
    """

    def __init__(self, protocol: Protocol, device: str) -> None:
        if protocol.data != "scenes" or protocol.resolution != 32:
            raise UserError(
                f"the instruments of Scenes measure 32x32 pictures of scenes, not {protocol.resolution}x"
                f'{protocol.resolution} of "{protocol.data}".'
            )
        named = protocol.extractors
        if named is None:
            raise UserError("the protocol names no networks that measure.", where=f"{protocol.name}: extractors")
        self.identity = identity(protocol)
        self.device = torch.device(device)
        self.extractor = load_factor_net(instrument_folder(named.features)).to(self.device)
        assert named.reader is not None and named.clip is not None, "Scenes need both"
        self.reader = load_factor_net(instrument_folder(named.reader)).to(self.device)
        folder = instrument_folder(named.clip)
        clip = CLIPModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        self.clip = clip.eval().requires_grad_(False).to(self.device)  # type: ignore[no-untyped-call]
        self.tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        weights = inception_file()
        self.inception = None if weights is None else Inception(weights).to(self.device)

    @torch.no_grad()
    def measure(self, images: Tensor, prompts: list[str]) -> dict[str, NDArray[Any]]:
        """Measures uint8 ``(B, 3, 32, 32)`` images against their prompts.

        Returns:
            ``features`` float32 (B, 128); ``logits`` float32 (B, 24): shape, colour, background; ``thumbnails`` uint8
            (B, 768); ``read_*``: int64 captioned and float64 free factors; ``residual`` float64: RMS grey levels
            between the image and the rendering of what was read; ``clip_score`` float64: 100 times the cosine, NaN
            for the empty prompt; ``inception`` and ``inception_logits`` where Inception's weights are at hand.
        """
        pixels = images.to(self.device).float() / 127.5 - 1
        features = self.extractor.features(pixels)
        read = read_factors(self.reader(pixels))
        names = ("shape", "color", "background", *scenes.FREE)
        return {
            "features": features.cpu().numpy(),
            "logits": self.extractor.predict(features).logits_BK.cpu().numpy(),
            "thumbnails": self.thumbnails(images),
            **{f"read_{name}": getattr(read, name) for name in names},
            "residual": residual(images, read),
            "clip_score": self._clip_score(pixels, prompts),
            **({} if self.inception is None else self.inception.measure(images.to(self.device))),
        }

    def thumbnails(self, images: Tensor) -> NDArray[np.uint8]:
        """Returns uint8 ``(B, 768)``: 16x16 averages of the pixels."""
        return thumbnails(images.permute(0, 2, 3, 1).cpu().numpy())

    def _clip_score(self, pixels: Tensor, prompts: list[str]) -> NDArray[np.float64]:
        scores = np.full(len(prompts), np.nan)
        rows = [row for row, prompt in enumerate(prompts) if prompt]
        if rows:
            batch = self.tokenizer(
                [prompts[row] for row in rows], padding="max_length", max_length=self.tokenizer.model_max_length,
                truncation=True, return_tensors="pt",
            )  # fmt: skip
            output = self.clip(input_ids=batch["input_ids"].to(self.device), pixel_values=pixels[rows])
            cosine = (output.image_embeds * output.text_embeds).sum(1)
            scores[rows] = 100 * cosine.double().cpu().numpy()
        return scores


def load_instruments(protocol: Protocol, device: str) -> Instruments | DataInstruments:
    """Builds the instruments that a protocol names, on a device."""
    if not protocol.knows_truth:
        return DataInstruments(protocol, data_of(protocol), device)
    return Instruments(protocol, device)


def residual(images: Tensor, read: scenes.Factors) -> NDArray[np.float64]:
    """Returns for each uint8 image the RMS difference in grey levels to the rendering of what was read from it."""
    drawn = scenes.render(read, images.shape[-1]).astype(np.float64)
    shown = images.permute(0, 2, 3, 1).cpu().numpy().astype(np.float64)
    rms: NDArray[np.float64] = np.sqrt(np.mean((drawn - shown) ** 2, axis=(1, 2, 3)))
    return rms
