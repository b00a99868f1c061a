"""``score``: two sides in, every number of the presets out; networks run once over the images of both.

Training images beside them are looked at by the copy test alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trilemma.errors import UserError
from trilemma.features.presets import Preset
from trilemma.features.recipe import DType
from trilemma.runner.devices import check_device, describe_device, pick_device
from trilemma.scoring.checks import check_kinds, check_sizes, check_statistics, check_training
from trilemma.scoring.copies import PIXELS, near, with_copy_test
from trilemma.scoring.row import Row
from trilemma.scoring.side import Side
from trilemma.scoring.views import Resized
from trilemma.workspace import cache_folder

if TYPE_CHECKING:
    from trilemma.scoring.feature_set import FeatureSet
    from trilemma.scoring.networks import Networks

Role = Literal["real", "fake", "training"]
Progress = Callable[[Role, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a score is computed.

    Attributes:
        resize: the shorter side that images are scaled to, before the networks' own preprocessing.
        batch_size: how many images a network sees at a time; by default what suits the device (see ``extract``).
        device: "auto", "cpu" or "cuda". dtype: of the networks, where it is not the preset's own.
        download: fetch weights that are missing.
        seed: deals out the real images for the floor, and chooses those that as many generated ones are compared with.
        cache: keep features between calls.
    """

    resize: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    dtype: DType | None = None
    download: bool = False
    seed: int = 0
    cache: bool = True

    def __post_init__(self) -> None:
        check_device(self.device)
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"must be at least 1, got {self.batch_size}.", where="--batch-size")


@dataclass(frozen=True, kw_only=True)
class Score:
    """All numbers of one call, and what they are of.

    Attributes:
        rows: in the order of the presets.
        real, fake: what was compared, as plain data: name, kind, digest, images, and what else there is to say.
        training: the same of the training images, where there are any.
        device: where the networks ran, and with how many threads.
    """

    rows: tuple[Row, ...]
    real: Mapping[str, Any]
    fake: Mapping[str, Any]
    training: Mapping[str, Any] | None = None
    presets: tuple[Preset, ...]
    options: Options
    device: Mapping[str, Any] = field(default_factory=dict)


def score(
    real: Side,
    fake: Side,
    presets: Sequence[Preset],
    options: Options | None = None,
    progress: Progress | None = None,
    training: Side | None = None,
) -> Score:
    """Returns the presets' numbers of ``fake`` against ``real``.

    Args:
        training: what the model was trained on: adds the copy test, for which ``real`` must be held out from it.
        progress: is told whose images are being measured, how many are done, and of how many.

    Raises:
        UserError: the sides cannot be compared, weights are missing, an image cannot be read or measured, or no number
            at all could be had.
    """
    from trilemma.scoring.networks import load_networks

    options, presets = options or Options(), with_copy_test(presets, training=training is not None)
    check_kinds(real, fake, presets, options.resize)
    if training is not None:
        check_training(real, training, options.resize)
    device = pick_device(options.device)
    networks = load_networks(presets, device.type, options.dtype, options.download)
    _check_statistics(real, presets, networks, options.resize)
    given: dict[Role, Side | None] = {"real": real, "fake": fake, "training": training}
    sides = {role: seen(side, options.resize) for role, side in given.items() if side is not None}
    check_sizes(*sides.values())
    rows = _rows(sides, presets, networks, options, progress)
    _require_a_number(rows)
    return Score(
        rows=rows,
        real=described(sides["real"]),
        fake=described(sides["fake"]),
        training=described(sides["training"]) if "training" in sides else None,
        presets=presets,
        options=options,
        device=describe_device(device),
    )


def seen(side: Side, resize: int | None) -> Side:
    """Returns a side with its images as networks are to see them: resized where that is asked for."""
    if resize is None or side.images is None:
        return side
    return replace(side, images=Resized(side.images, resize))


@contextmanager
def cache_of(options: Options) -> Iterator[Path]:
    """Gives the folder that keeps features: the suite's cache, or one that is gone afterwards."""
    if options.cache:
        yield cache_folder()
        return
    with tempfile.TemporaryDirectory(prefix="trilemma-") as folder:
        yield Path(folder)


def described(side: Side) -> dict[str, Any]:
    """Returns what the record says of a side."""
    images, statistics = side.images, side.statistics
    told: dict[str, Any] = {"name": side.name, "kind": side.kind}
    if images is not None:
        size = images.size()
        told |= {"images": len(images), "skipped": images.skipped, "digest": images.digest()}
        told |= {"size": None if size is None else list(size)}
    if side.stored is not None:
        told |= {"images": side.stored.count, "digest": side.stored.digest}
    if statistics is not None:
        told |= {"statistics": {"digest": statistics.digest, "n": statistics.content.features.count}}
        told["statistics"] |= {"identity": dict(statistics.content.identity)}
    return told | dict(side.origin)


def _check_statistics(real: Side, presets: Sequence[Preset], networks: Networks, resize: int | None) -> None:
    from trilemma.scoring.extraction import gaussians

    for preset in presets:
        if real.statistics is not None and gaussians(real, preset):
            width, identity = networks.of(preset).width, networks.identity(preset)
            check_statistics(real.statistics, preset, identity, width, resize, real.name)


def _rows(
    sides: Mapping[Role, Side],
    presets: Sequence[Preset],
    networks: Networks,
    options: Options,
    progress: Progress | None,
) -> tuple[Row, ...]:
    from trilemma.scoring.numbers import score_features

    with cache_of(options) as cache:
        sets = _feature_sets(sides, presets, networks, options, cache, progress)
        return tuple(
            row
            for preset in presets
            for row in score_features(
                preset,
                sets["real"][preset.name],
                sets["fake"][preset.name],
                extractor=networks.identity(preset),
                resize=options.resize,
                seed=options.seed,
            )
        )


def _feature_sets(
    sides: Mapping[Role, Side],
    presets: Sequence[Preset],
    networks: Networks,
    options: Options,
    cache: Path,
    progress: Progress | None,
) -> dict[Role, dict[str, FeatureSet]]:
    from trilemma.scoring.extraction import feature_sets

    told = progress or (lambda role, done, total: None)
    sets = {
        role: feature_sets(
            side,
            (PIXELS,) if role == "training" else presets,
            networks,
            batch_size=options.batch_size,
            cache=cache,
            progress=partial(told, role),
        )
        for role, side in sides.items()
    }
    if "training" in sets:
        training = sets.pop("training")[PIXELS.name]
        for found in sets.values():
            found[PIXELS.name] = near(found[PIXELS.name], training)
    return sets


def _require_a_number(rows: Sequence[Row]) -> None:
    if all(row.value is None for row in rows):
        metrics_of = {row.reason: [other.metric for other in rows if other.reason == row.reason] for row in rows}
        reasons = "; ".join(f"{', '.join(metrics)}: {reason}" for reason, metrics in metrics_of.items())
        raise UserError(f"no number could be had. {reasons}.")
