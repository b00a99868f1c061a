"""The features that a finished run has kept of a model's images, in place of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trilemma.errors import UserError, suggest
from trilemma.features import identity
from trilemma.identity import digest
from trilemma.protocol import Protocol
from trilemma.scoring.feature_set import FeatureSet
from trilemma.scoring.side import Side
from trilemma.store.run import Run, find_run
from trilemma.strict_toml import build

OUTPUTS = ("features", "logits", "thumbnails")
PROMPTED = "captions"


def stored_side(name: str, run_name: str, model: str, runs: Path, count: int | None) -> Side:
    """Returns the prompted images of a model in a run, as the features that the run has of them.

    Args:
        name: what the user gave. run_name, model: its two halves.
        runs: the folder of runs.
        count: the first so many.

    Raises:
        UserError: there is no such run or model, it is not done, another network measured it, it has fewer images, or a
            feature is not finite.
    """
    run = Run(find_run(run_name, runs))
    if model not in run.models:
        raise UserError(f'this run has no model "{model}".', where=name, hint=suggest(model, run.models))
    protocol = build(Protocol, run.record.spec["protocol"], where=str(run.folder.record))
    if not protocol.knows_truth:
        hint = "Give the folder of its images: it has them where it keeps all."
        raise UserError(
            f'this run is over "{protocol.data}": what it keeps are no features of Scenes.', where=name, hint=hint
        )
    if run.record.instruments.get("features") != identity(protocol)["features"]:
        raise UserError("this run was measured with other weights of the features' network.", where=name)
    prompted = next((entry.name for entry in protocol.sets if entry.prompts == PROMPTED), None)
    samples = run.samples(model)
    rows = np.flatnonzero(((samples["set"] == prompted) & (samples["status"] == "ok")).to_numpy())[:count]
    if len(rows) < (count or 1):
        raise UserError(f"there are {len(rows)} images here; {count or 1} are asked for.", where=name)
    kept = run.features(model)
    arrays = {output: kept[output][rows] for output in OUTPUTS if output in kept}
    chosen = samples.iloc[rows]
    _require_finite(arrays["features"], chosen["key"].tolist(), name)
    resolution = (protocol.resolution, protocol.resolution)
    stored = FeatureSet(digest=digest(chosen["image_sha256"].tolist()), count=len(rows), arrays=arrays)
    origin = {"run": run.record.run_id, "model": model, "set": prompted}
    return Side(
        name=name, kind="run", stored=stored, stored_size=resolution, prompts=tuple(chosen["prompt"]), origin=origin
    )


def _require_finite(features_ND: np.ndarray, keys: list[str], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(features_ND).all(axis=1))
    if bad.size:
        raise UserError(f"the features of the image {keys[bad[0]]} are not finite.", where=name)
