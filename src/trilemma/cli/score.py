"""``score``: every number of a preset for two sets of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Device, Json, Out, Quiet, Root, people, print_json
from trilemma.cli.scoring import BatchSize, Download, DType, NoCache, Resize, Seed, bars, drawing_may_fail, options_of

if TYPE_CHECKING:
    from trilemma.scoring.score import Score

SOURCE = (
    "a folder, .npz, .npy, zip or tar of images; hf:... or wds:...; scenes or scenes:SPLIT; RUN:MODEL; a model's name"
)


def score(
    real: Annotated[str, typer.Argument(metavar="REAL", help=f"The reference: {SOURCE}; or a statistics file.")],
    fake: Annotated[str, typer.Argument(metavar="FAKE", help=f"What is judged: {SOURCE}.")],
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Such as fid,fd-dinov2 [scenes for two sides of Scenes, else fid].", show_default=False
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Take N images of FAKE [all].", show_default=False)
    ] = None,
    reference: Annotated[
        int | None, typer.Option(metavar="M", help="Take M images of REAL [all].", show_default=False)
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A text file: one prompt per line for FAKE's images.", show_default=False),
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Also look for copies of these images; REAL must be held out from them.",
            show_default=False,
        ),
    ] = None,
    resize: Resize = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    dtype: DType = None,
    download: Download = False,
    seed: Seed = 0,
    no_cache: NoCache = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the numbers as CSV.", show_default=False)
    ] = None,
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compares two sets of images: all numbers of a preset in one pass, with errors and the floor of real images.

    Example: trilemma score scenes latest:gan
    """
    options = options_of(resize, batch_size, device, dtype, download, seed, no_cache)
    with bars(quiet=quiet) as told, drawing_may_fail():
        from trilemma.scoring.resolve import Resolver, default_presets, named_presets
        from trilemma.scoring.score import score as compute

        chosen = None if preset is None else named_presets(preset)
        resolver = Resolver(
            root=root, runs=out, seed=seed, device=device, drawing=partial(told, "drawing"), download=download
        )
        sides = resolver.side(real, reference), resolver.side(fake, samples, prompts)
        trained = None if training is None else resolver.side(training)
        found = compute(*sides, chosen or default_presets(*sides), options, told, trained)
    _tell(found, json=json, csv=csv)


def _tell(found: Score, *, json: bool, csv: Path | None) -> None:
    from trilemma.cli.score_table import score_tables, write_csv
    from trilemma.scoring.record import as_document

    if csv is not None:
        write_csv(found, csv)
    if json:
        print_json(as_document(found))
    console = people()
    for table in score_tables(found):
        console.print(table)
