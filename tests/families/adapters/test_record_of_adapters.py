"""Whole runs of small pipelines and of a TorchScript file: generated, timed and written down, each in a process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trilemma.card import Card, load_card
from trilemma.store.run import Run


def torchscript(folder: Path) -> Card:
    network = torch.nn.Sequential(torch.nn.Linear(8, 3 * 16 * 16), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, 16, 16)))
    torch.jit.trace(network, torch.zeros(1, 8)).save(str(folder / "generator.pt"))  # type: ignore[no-untyped-call]
    sha256 = hashlib.sha256((folder / "generator.pt").read_bytes()).hexdigest()
    text = f'name = "scripted"\nfamily = "torchscript"\nresolution = 16\n[weights]\n"generator.pt" = "{sha256}"\n'
    (folder / "card.toml").write_text(f"{text}[options]\nlatent = 8\nrange = [-1, 1]\n")
    return load_card(folder)


@pytest.mark.parametrize(("name", "evaluations"), [("sd", None), ("dit", None), ("ddpm", 3), ("scripted", 1)])
def test_a_run_records_it(
    pipelines: Callable[[str], Card],
    record: Callable[[Card], Run],
    tmp_path: Path,
    name: str,
    evaluations: int | None,
) -> None:
    run = record(torchscript(tmp_path) if name == "scripted" else pipelines(name))
    assert run.record.status == "complete" and not run.record.errors
    samples = run.samples(name)
    assert (samples["status"] == "ok").all() and len(samples) == 16 == samples["image_sha256"].nunique()
    assert set(samples["width"]) == {16}
    rows = {row.metric: row.value for row in run.rows}
    guided = evaluations is None and 3 < (rows["evaluations_per_image"] or 0) < 6  # 10 of the 16, by a second pass
    assert rows["evaluations_per_image"] == evaluations or guided
    assert (rows["images_per_second"] or 0) > 0 and (rows["parameters"] or 0) > 0
