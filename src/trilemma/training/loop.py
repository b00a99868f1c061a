"""The training loop that every recipe shares: resumable to the step, with an average of the weights.

A stage (see :class:`Stage`) says what one step does; the loop feeds it, keeps the exponential moving average, logs and
writes checkpoints. What a step sees is a pure function of (seed, step), so that a run killed at any moment goes on to
the same result as an undisturbed one, as far as the arithmetic of the device is reproducible.
"""

from __future__ import annotations

import functools
import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from trilemma.training.split import Indices, TrainingSplit

CHECKPOINT_SECONDS = 60.0
LOG_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a stage is told of one step. ``progress`` runs from 0 to 1; ``indices`` are of the training split."""

    number: int
    progress: float
    indices: Indices


class Stage(ABC):
    """One network, or one set of networks that train together.

    Attributes:
        name: of the checkpoint and of the log.
        images: how many it sees in all.
        batch_size: images per step.
        data: what its steps draw from.
        averaged: names those of ``modules`` that are also kept as a moving average.
        modules: what a checkpoint holds.
        optimizers: what a checkpoint holds beside them.
    """

    name: str
    images: int
    batch_size: int
    data: TrainingSplit
    averaged: tuple[str, ...]
    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    @abstractmethod
    def step(self, step: Step) -> dict[str, Tensor]:
        """Does one optimiser step and returns what to log, as scalar tensors."""


@dataclass(kw_only=True)
class Average:
    """An exponential moving average whose half-life is counted in images, shorter while little was seen."""

    module: nn.Module
    half_life: float
    copy: dict[str, Tensor] = field(default_factory=dict)
    constant: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.copy = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        # A mask of infinities has no average: it would turn into NaN.
        self.constant = frozenset(name for name, value in self.copy.items() if not value.isfinite().all())

    @torch.no_grad()
    def update(self, images_seen: int, batch_size: int) -> None:
        """Moves the average towards the module by one batch."""
        half_life = min(self.half_life, 0.1 * images_seen + batch_size)
        decay = 0.5 ** (batch_size / half_life)
        for name, value in self.module.state_dict().items():
            kept = self.copy[name]
            if value.is_floating_point() and name not in self.constant:
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)


@dataclass(kw_only=True)
class Trained:
    """What a finished (or a half-finished) stage leaves: weights by module name, seconds and images seen."""

    weights: dict[str, dict[str, Tensor]]
    seconds: float
    images: int


def run_stage(
    stage: Stage,
    folder: Path,
    *,
    seed: int,
    quiet: bool = False,
    half_life: float = 10_000,
    marks: Mapping[float, Callable[[Trained], None]] | None = None,
) -> Trained:
    """Trains a stage to its end, or goes on from the checkpoint in ``folder``.

    Args:
        stage: what to train.
        folder: where ``STAGE.pt`` (the checkpoint) and ``STAGE.jsonl`` (the log) lie.
        seed: with the step number, decides every random number.
        quiet: no progress bar.
        half_life: of the moving average, in images.
        marks: functions called with the averaged weights when a share of the images is reached.

    Returns:
        The averaged weights of the modules in ``stage.averaged`` and the plain ones of the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    averages = {name: Average(module=stage.modules[name], half_life=half_life) for name in stage.averaged}
    path = folder / f"{stage.name}.pt"
    first, seconds = _resume(path, stage, averages)
    _forget_log(folder / f"{stage.name}.jsonl", first * stage.batch_size)
    count = stage.data.count
    steps = math.ceil(stage.images / stage.batch_size)
    started = saved = time.monotonic()
    with progress_bar(quiet) as bar, (folder / f"{stage.name}.jsonl").open("a") as log:
        task = bar.add_task(stage.name, total=steps * stage.batch_size, completed=first * stage.batch_size, note="")
        for number in range(first, steps):
            torch.manual_seed(seed * 1_000_003 + number)
            indices = _indices(seed, number, stage.batch_size, count)
            losses = stage.step(Step(number=number, progress=number / steps, indices=indices))
            for average in averages.values():
                average.update((number + 1) * stage.batch_size, stage.batch_size)
            now = time.monotonic()
            if (number + 1) % LOG_STEPS == 0 or number + 1 == steps:
                note = _log(log, (number + 1) * stage.batch_size, seconds + now - started, losses)
                bar.update(task, note=note)
            bar.update(task, advance=stage.batch_size)
            for mark in _passed(marks, number, steps):
                mark(_trained(stage, averages, seconds + now - started, (number + 1) * stage.batch_size))
            if now - saved > CHECKPOINT_SECONDS or number + 1 == steps:
                _save(path, stage, averages, number + 1, seconds + now - started)
                saved = now
        total = seconds + time.monotonic() - started
    return _trained(stage, averages, total, steps * stage.batch_size)


def step_flops(stage: Stage) -> float:
    """Returns the floating-point operations of one step, counted while a step is done once more.

    Call it when the stage's weights were taken. Fused attention on the CPU is counted as nothing by torch's counter.
    """
    from torch.utils.flop_counter import FlopCounterMode

    step = Step(number=0, progress=1.0, indices=np.arange(stage.batch_size))
    with FlopCounterMode(display=False) as counter:
        stage.step(step)
    return float(counter.get_total_flops())


def learning_rate(optimizer: Optimizer, peak: float, progress: float, *, warmup: float = 0.02) -> None:
    """Sets a linear warm-up and a cosine decay to a twentieth of ``peak``."""
    shape = min(1.0, (progress + 1e-3) / warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
    for group in optimizer.param_groups:
        group["lr"] = peak * shape


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the hardware multiplies in it, else plain float32."""
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def _indices(seed: int, step: int, batch_size: int, count: int) -> Indices:
    """The next batch of the training split: every epoch is a permutation of its own."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // count
    parts = [_permutation(seed, int(e), count)[positions[epochs == e] % count] for e in np.unique(epochs)]
    return np.concatenate(parts)


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> Indices:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _passed(
    marks: Mapping[float, Callable[[Trained], None]] | None, number: int, steps: int
) -> list[Callable[[Trained], None]]:
    return [call for share, call in (marks or {}).items() if number < share * steps <= number + 1]


def _trained(stage: Stage, averages: Mapping[str, Average], seconds: float, images: int) -> Trained:
    weights = {
        name: averages[name].copy if name in averages else module.state_dict() for name, module in stage.modules.items()
    }
    return Trained(weights=weights, seconds=seconds, images=images)


def _forget_log(path: Path, images: int) -> None:
    """Drops the rows that a killed run wrote after its last checkpoint: they are about to be written again."""
    if path.exists():
        rows = [line for line in path.read_text().splitlines() if json.loads(line)["images"] <= images]
        path.write_text("".join(f"{row}\n" for row in rows))


def _log(log: Any, images: int, seconds: float, losses: Mapping[str, Tensor]) -> str:
    values = {name: float(value.detach()) for name, value in losses.items()}
    if not all(math.isfinite(value) for value in values.values()):
        raise FloatingPointError(f"training diverged after {images} images: {values}")
    log.write(json.dumps({"images": images, "seconds": round(seconds, 1), **values}) + "\n")
    log.flush()
    return " ".join(f"{name} {value:.3g}" for name, value in values.items())


def progress_bar(quiet: bool) -> Progress:
    """Returns a bar on stderr, for tasks with a ``note``."""
    from rich.console import Console

    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} images"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=Console(stderr=True), disable=quiet,
    )  # fmt: skip


def _save(path: Path, stage: Stage, averages: Mapping[str, Average], step: int, seconds: float) -> None:
    state = {
        "step": step,
        "seconds": seconds,
        "modules": {name: module.state_dict() for name, module in stage.modules.items()},
        "averages": {name: average.copy for name, average in averages.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in stage.optimizers.items()},
    }
    temporary = path.with_suffix(".partial")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _resume(path: Path, stage: Stage, averages: Mapping[str, Average]) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, module in stage.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in stage.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    for name, average in averages.items():
        for key, value in state["averages"][name].items():
            average.copy[key].copy_(value)
    return int(state["step"]), float(state["seconds"])
