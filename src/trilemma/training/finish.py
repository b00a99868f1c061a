"""What stands on a card when its training is done: digests of the weights, cost, and what the model reaches."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit
import torch
from torch import Tensor

from trilemma.card import FILE_NAME, Card, load_card
from trilemma.identity import file_digest
from trilemma.training import gates
from trilemma.training.job import Job

LOG = "training.json"
LOG_ROWS = 40
Reconstruction = Callable[[Job, Card], Callable[[Tensor], Tensor]]


def finish_card(job: Job, reconstruction: Reconstruction | None) -> None:
    """Writes [weights], [training] and [measured] into the card in the job's folder, and ``training.json`` beside it.

    ``reconstruction`` gives a family's encode-and-decode, for the ceiling that its tokenizer or autoencoder sets.
    """
    path = job.folder / FILE_NAME
    if not path.exists():
        shutil.copyfile(job.card.path / FILE_NAME, path)
    write_log(job)
    write_tables(path, {"weights": digests(job.folder), "training": _training(job)})
    if measured := _measured(job, load_card(path), reconstruction):
        write_tables(path, {"measured": measured})


def _measured(job: Job, card: Card, reconstruction: Reconstruction | None) -> dict[str, Any]:
    """What the model reaches, as far as there is a network that reads pictures of its data set."""
    source, device = job.data.source, job.device.type
    if source.name not in gates.READERS:
        return {}
    marks = {f"{share:.0%}": folder for share, folder in job.marks().items()}
    measured: dict[str, Any] = {
        "captions": gates.CAPTIONS,
        "prompt_accuracy": round(gates.prompt_accuracy(card, source, device), 4),
        "prompt_accuracy_by_share_of_images": gates.curve(card, source, marks, device),
        "real_accuracy": round(gates.real_accuracy(source, device), 4),
    }
    if reconstruction is not None:
        ceiling = gates.reconstruction_accuracy(reconstruction(job, card), source, device)
        measured["readable_after_reconstruction"] = round(ceiling, 4)
    return measured


def write_tables(path: Path, tables: dict[str, dict[str, Any]]) -> None:
    """Replaces whole tables of a card and leaves the rest of the file as it is."""
    document = tomlkit.parse(path.read_text())
    for name, values in tables.items():
        document[name] = tomlkit.item(values)
    path.write_text(tomlkit.dumps(document))


def digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file in a model's folder that ``generate`` may read."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".safetensors", ".json"})
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in files
        if "checkpoints" not in path.relative_to(folder).parts and path.name != LOG
    }


def write_log(job: Job) -> None:
    """Writes ``training.json``: what each stage cost, and its losses at about forty moments."""
    stages = {}
    for name, cost in job.costs.items():
        rows = [json.loads(line) for line in (job.checkpoints / f"{name}.jsonl").read_text().splitlines()]
        stages[name] = {**cost, "log": rows[:: max(1, len(rows) // LOG_ROWS)] + rows[-1:]}
    (job.folder / LOG).write_text(json.dumps({**_training(job), "stages": stages}, indent=1) + "\n")


def _training(job: Job) -> dict[str, Any]:
    device = torch.cuda.get_device_name() if job.device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    return {
        "images": int(sum(cost["images"] for cost in job.costs.values())),
        "seconds": int(sum(cost["seconds"] for cost in job.costs.values())),
        "flops": float(f"{sum(cost['flops'] for cost in job.costs.values()):.3g}"),
        "device": f"{device} ({platform.machine()})",
        "torch": torch.__version__,
        "seed": job.seed,
        "trials": job.card.training.get("trials", 1),  # counted by whoever tunes: no training knows of another
    }
