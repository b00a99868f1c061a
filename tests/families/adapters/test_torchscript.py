"""A TorchScript generator of grey images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from trilemma import registry
from trilemma.card import Card, load_card
from trilemma.runner.generate import Output

SIDE = 16


def grey(folder: Path) -> Card:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(8, SIDE * SIDE), nn.Sigmoid(), nn.Unflatten(1, (1, SIDE, SIDE)))
    path = folder / "generator.pt"
    torch.jit.trace(network, torch.zeros(1, 8)).save(str(path))  # type: ignore[no-untyped-call]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = f'name = "grey"\nfamily = "torchscript"\nresolution = {SIDE}\n[weights]\n"generator.pt" = "{sha256}"\n'
    (folder / "card.toml").write_text(f"{text}[options]\nlatent = 8\nrange = [0, 1]\n")
    return load_card(folder)


def test_one_channel_is_repeated_to_three(tmp_path: Path) -> None:
    images = registry.load(grey(tmp_path), "cpu").generate(["", "a"], [1, 2])
    assert Output(resolution=SIDE).check(images, 2) is images and images.is_contiguous()
    assert torch.equal(images[:, 0], images[:, 1]) and torch.equal(images[:, 0], images[:, 2])
    assert images[0].unique().numel() > SIDE and not torch.equal(images[0], images[1])
