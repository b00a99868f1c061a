"""``--download``: what is fetched for a protocol, and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.data.datasets import open_data_set
from trilemma.data.hub_data import HubData
from trilemma.features import named
from trilemma.protocol import Extractors, Protocol, Reference, SampleSet
from trilemma.protocols import find_protocol
from trilemma.runner import fetching
from trilemma.workspace import find_workspace

WORKSPACE = find_workspace(Path(__file__).resolve().parents[2])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what would be fetched."""
    names: list[str] = []
    monkeypatch.setattr(named, "locate", lambda file, download: names.append(file.name) if download else None)
    monkeypatch.setattr(fetching, "open_data_set", lambda name, download: names.append(name) if download else None)
    return names


def protocol(**changes: Any) -> Protocol:
    return Protocol(
        name="small", version=1, title="", resolution=32, metrics=(), reference=Reference(),
        sets=(SampleSet(name="prompted", prompts="none", images=10),),
        extractors=Extractors(features="fid", clip="clip-score", optional=("clip",)), **changes,
    )  # fmt: skip


def test_weights_and_data_are_fetched(asked: list[str]) -> None:
    fetching.fetch(protocol(data="mnist"))
    assert sorted(asked) == [
        "mnist", "pytorch_model.bin", "tokenizer.json", "weights-inception-2015-12-05-6726825d.pth",
    ]  # fmt: skip


def test_of_the_hub_every_split_that_is_used_is_fetched(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    splits: list[str | None] = []
    monkeypatch.setattr(HubData, "fetch", lambda self, split=None: splits.append(split))
    monkeypatch.setattr(fetching, "open_data_set", open_data_set)
    sets = (SampleSet(name="prompted", prompts="captions", split="captioned", images=10),)
    real = Reference(split="train", images=10, floor_split="test", floor_images=0, heldout_images=0, training_images=0)
    fetching.fetch(replace(protocol(data="hf:owner/name@v1"), sets=sets, reference=real))
    assert splits == ["captioned", "train"]


def test_a_folder_is_never_fetched_and_scenes_need_nothing(asked: list[str]) -> None:
    fetching.fetch(protocol(data="./photos"))
    assert "./photos" not in asked and len(asked) == 3
    asked.clear()
    fetching.fetch(find_protocol("scenes", WORKSPACE))
    assert asked == []
