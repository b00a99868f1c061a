"""From a side to the feature sets of the presets: one pass over its images for all networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trilemma.data.sources import ImageSource
from trilemma.errors import UserError
from trilemma.features.extract import extract
from trilemma.features.presets import Preset
from trilemma.identity import digest
from trilemma.metrics.moments import Gaussian
from trilemma.scoring.feature_set import Array, FeatureSet
from trilemma.scoring.measures import clip_convention
from trilemma.scoring.networks import Networks
from trilemma.scoring.side import Side

if TYPE_CHECKING:
    from trilemma.features.extractor import Extractor

Progress = Callable[[int, int], None]
TEXTS_AT_A_TIME = 64


def feature_sets(
    side: Side,
    presets: Sequence[Preset],
    networks: Networks,
    *,
    batch_size: int | None,
    cache: Path,
    progress: Progress,
) -> dict[str, FeatureSet]:
    """Returns what every preset's metrics see of a side, by the preset's name.

    Args:
        side: which one, its images as the networks are to see them.
        cache: the folder that keeps features.
    """
    if side.stored is not None:
        return {preset.name: side.stored for preset in presets}
    wanted = networks.only(presets)
    arrays = {} if side.images is None else _measured(side.images, wanted, batch_size, cache, progress)
    return {preset.name: _feature_set(side, preset, networks, arrays) for preset in presets}


def gaussians(side: Side, preset: Preset) -> dict[str, Gaussian]:
    """Returns the Gaussians that stand for a side in a preset's Fréchet distances, by output.

    Beside images, as in ADM's reference batches, they are of ADM's network; other networks measure the images.
    """
    if side.statistics is None or (side.images is not None and not _as_adm(preset)):
        return {}
    content = side.statistics.content
    fitted: dict[str, Gaussian] = {"features": content.features}
    return fitted if content.spatial is None else fitted | {"spatial": content.spatial}


def _as_adm(preset: Preset) -> bool:
    resize = preset.recipe.resize
    return preset.recipe.network == "tf-inception" and resize is not None and resize.implementation == "tensorflow1"


def _feature_set(
    side: Side, preset: Preset, networks: Networks, arrays: Mapping[str, Mapping[str, Array]]
) -> FeatureSet:
    images, fitted = side.images, gaussians(side, preset)
    digests = [] if images is None else [images.digest()]
    if fitted and side.statistics is not None:
        digests.append(side.statistics.digest)
    return FeatureSet(
        digest=digests[0] if len(digests) == 1 else digest(digests),
        count=len(images) if images is not None else fitted["features"].count,
        arrays=arrays.get(networks.owners[preset.name], {}),
        gaussians=fitted,
        texts=_texts(side, preset, networks.of(preset)),
        prompts=None if side.prompts is None else digest(list(side.prompts)),
        groups=np.array(side.prompts) if side.grouped and side.prompts is not None else None,
    )


def _measured(
    images: ImageSource, networks: Networks, batch_size: int | None, cache: Path, progress: Progress
) -> dict[str, dict[str, Array]]:
    reached = 0

    def told(done: int, total: int) -> None:
        nonlocal reached
        reached = done
        progress(done, total)

    try:
        return extract(images, networks.extractors, batch_size=batch_size, cache=cache, progress=told)
    except UserError as error:
        raise _named(error, images, networks, reached) from None
    except OSError as error:
        raise UserError(
            f"features cannot be kept here: {error.strerror or error}.",
            where=str(cache),
            hint="Name another folder in $TRILEMMA_CACHE, or give --no-cache.",
        ) from None


def _named(error: UserError, images: ImageSource, networks: Networks, reached: int) -> UserError:
    """Returns the error with the image that it is about: a network tells only that there is one in its batch."""
    if error.where is not None:
        return error
    for key, image in zip(images.keys()[reached:], images.images(reached), strict=True):
        for extractor in networks.extractors.values():
            try:
                extractor.batch([image])
            except UserError as single:
                return UserError(single.what, where=f"{images.name}/{key}", hint=single.hint)
    return error


def _texts(side: Side, preset: Preset, extractor: Extractor) -> Array | None:
    """Returns the embeddings of a side's prompts where the preset scores them, with the prefix of its convention."""
    use = next((use for use in preset.metrics if use.function == "clip_score"), None)
    if use is None or side.prompts is None:
        return None
    convention = clip_convention(use)
    starts = range(0, len(side.prompts), TEXTS_AT_A_TIME)
    parts = [side.prompts[start : start + TEXTS_AT_A_TIME] for start in starts]
    return np.concatenate([extractor.texts([convention.caption(prompt) for prompt in part]) for part in parts])
