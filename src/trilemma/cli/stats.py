"""``stats``: writes reference statistics that ``score`` and other suites read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Device, Json, Quiet, Root, people, print_json
from trilemma.cli.scoring import (
    BatchSize,
    Download,
    DType,
    NoCache,
    Resize,
    Seed,
    bars,
    drawing_may_fail,
    options_of,
)


def stats(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Images, as for score.")],
    file: Annotated[Path, typer.Argument(metavar="OUT.npz", help="Where the statistics go.")],
    preset: Annotated[str, typer.Option(metavar="NAME", help="Whose network makes the features.")] = "fid",
    samples: Annotated[int | None, typer.Option(metavar="N", help="Take N images [all].", show_default=False)] = None,
    resize: Resize = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    dtype: DType = None,
    download: Download = False,
    seed: Seed = 0,
    no_cache: NoCache = False,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Writes mean and covariance of a source's features, with all that they depend on.

    Example: trilemma stats photos/ photos.npz --preset fid-adm
    """
    options = options_of(resize, batch_size, device, dtype, download, seed, no_cache)
    with bars(quiet=quiet) as told, drawing_may_fail():
        from trilemma.features.presets import preset as find_preset
        from trilemma.scoring.resolve import Resolver
        from trilemma.scoring.stats import write_statistics

        chosen = find_preset(preset)
        resolver = Resolver(root=root, seed=seed, device=device, drawing=partial(told, "drawing"), download=download)
        side = resolver.side(source, samples)
        written = write_statistics(side, file, chosen, options, told)
    if json:
        print_json({"statistics": str(file), "n": written.features.count, "identity": dict(written.identity)})
    people().print(f"Statistics: {file}", soft_wrap=True, markup=False)
