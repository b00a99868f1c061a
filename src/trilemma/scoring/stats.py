"""``stats``: a source's features as a statistics file that ``score`` and other suites read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.errors import UserError
from trilemma.features.cache import read_in_blocks
from trilemma.features.presets import Preset
from trilemma.metrics.moments import stream_moments
from trilemma.metrics.statistics_file import FittedGaussian, ReferenceStatistics, fitted, statistics_arrays
from trilemma.runner.devices import pick_device
from trilemma.scoring.checks import check_sizes
from trilemma.scoring.score import Options, Progress, cache_of, described, seen
from trilemma.scoring.side import Side
from trilemma.store.atomic import write_arrays

if TYPE_CHECKING:
    from trilemma.scoring.networks import Networks

ENDING = ".npz"


def write_statistics(
    side: Side, path: Path, preset: Preset, options: Options | None = None, progress: Progress | None = None
) -> ReferenceStatistics:
    """Writes mean and covariance of a side's features, and what they are of, to ``path``.

    Args:
        preset: whose network makes the features; where it has spatial ones, theirs are written beside them.
        progress: is told "real", how many images are done, and of how many.

    Raises:
        UserError: the side has no images, ``path`` does not end in ".npz", weights are missing, an image cannot be read
            or measured, or there are fewer than two.
    """
    from trilemma.scoring.networks import load_networks

    options = options or Options()
    path = path.expanduser()
    if path.suffix != ENDING:
        raise UserError(f"statistics are written to a file in {ENDING}.", where=str(path))
    if side.images is None:
        raise UserError("there are no images here to take statistics of.", where=side.name)
    networks = load_networks((preset,), pick_device(options.device).type, options.dtype, options.download)
    side = seen(side, options.resize)
    check_sizes(side)
    gaussians = _gaussians(side, preset, networks, options, progress or (lambda role, done, total: None))
    identity = {
        "preset": preset.name,
        "extractor": networks.identity(preset),
        "resize": options.resize,
        "source": described(side),
    }
    statistics = ReferenceStatistics(
        features=gaussians["features"], spatial=gaussians.get("spatial"), identity=identity
    )
    write_arrays(path, statistics_arrays(statistics))
    return statistics


def _gaussians(
    side: Side, preset: Preset, networks: Networks, options: Options, progress: Progress
) -> dict[str, FittedGaussian]:
    from trilemma.scoring.extraction import feature_sets

    with cache_of(options) as cache:
        sets = feature_sets(
            side,
            (preset,),
            networks,
            batch_size=options.batch_size,
            cache=cache,
            progress=lambda done, total: progress("real", done, total),
        )
        arrays = sets[preset.name].arrays
        kept = [name for name in ("features", "spatial") if name in arrays]
        return {name: fitted(stream_moments(read_in_blocks(arrays[name]))) for name in kept}
