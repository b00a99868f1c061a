"""What a family's recipe is given: the card, the folder, the device, the race's budget, and how to save."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from trilemma.card import Card
from trilemma.families.text import TextEncoder
from trilemma.identity import digest
from trilemma.training.loop import Stage, Trained, run_stage, step_flops
from trilemma.training.split import TrainingSplit

MARKS = (0.25, 0.5)
Export = Callable[[dict[str, dict[str, Tensor]], Path], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run of one family, and what its stages cost.

    Attributes:
        card: of the model; its [network] table is what is built.
        folder: where the weights go; checkpoints and logs lie in ``folder/checkpoints``.
        data: what it is trained on.
        text_folder: the frozen text encoder that is copied into ``folder``.
        images: what the whole family may see, its tokenizer included.
        seed: decides every random number.
        costs: filled as stages end: name to images, seconds and floating-point operations.
    """

    card: Card
    folder: Path
    data: TrainingSplit
    text_folder: Path
    device: torch.device
    images: int
    seed: int
    quiet: bool = False
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    @functools.cached_property
    def text(self) -> TextEncoder:
        """The frozen text encoder, on the job's device."""
        return TextEncoder(self.text_folder).to(self.device)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints and logs."""
        return self.folder / "checkpoints"

    def reseed(self, stage: str) -> None:
        """Seeds torch for building a stage's network, so that it does not matter what ran before."""
        torch.manual_seed(int(digest([self.seed, stage])[:12], 16))

    def run(self, stage: Stage, export: Export) -> Trained:
        """Trains a stage whose weights are sampled from: also exports them at a quarter and a half of the images."""
        marks = {share: functools.partial(self._export_mark, export, folder) for share, folder in self.marks().items()}
        trained = run_stage(stage, self.checkpoints, seed=self.seed, quiet=self.quiet, marks=marks)
        export(trained.weights, self.folder)
        self.copy_text(self.folder)
        self._count(stage, trained)
        return trained

    def marks(self) -> dict[float, Path]:
        """Where the weights at a share of the images are set aside."""
        return {share: self.checkpoints / f"at-{round(100 * share)}" for share in MARKS}

    def run_tokenizer(self, stage: Stage) -> Trained:
        """Trains a stage that others build on."""
        trained = run_stage(stage, self.checkpoints, seed=self.seed, quiet=self.quiet)
        self._count(stage, trained)
        return trained

    def save(self, weights: dict[str, Tensor], path: Path) -> None:
        """Writes float tensors in float16, others as they are, through a temporary file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in weights.items()}
        temporary = path.with_suffix(".partial")
        save_file(tensors, temporary)
        temporary.replace(path)

    def copy_text(self, folder: Path) -> None:
        """Puts the text encoder's two folders beside the weights, so that a model's folder stands alone."""
        for name in ("text_encoder", "tokenizer"):
            shutil.copytree(self.text_folder / name, folder / name, dirs_exist_ok=True)

    def _count(self, stage: Stage, trained: Trained) -> None:
        flops = step_flops(stage) * (trained.images / stage.batch_size)
        self.costs[stage.name] = {"images": trained.images, "seconds": round(trained.seconds), "flops": flops}

    def _export_mark(self, export: Export, folder: Path, trained: Trained) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        export(trained.weights, folder)
        self.copy_text(folder)
