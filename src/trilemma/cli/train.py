"""``train``: trains one of the embedded models anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Device, Quiet, Root, people


def train(
    model: Annotated[str, typer.Argument(help="A model, an instrument, or a text encoder.")],
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where weights and log go [the model's own folder].", show_default=False),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(metavar="N", help="See N images instead of the recipe's number.", show_default=False),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the data set where it is missing.", show_default=False)
    ] = False,
    root: Root = None,
    quiet: Quiet = False,
) -> None:
    """Trains a model; the same command again goes on from the last checkpoint.

    Example: trilemma train gan --device cuda
    """
    from trilemma.runner.devices import check_device

    check_device(device)

    from trilemma.training.run import train as train_model

    chosen = {} if images is None else {"images": images}
    folder = train_model(model, root, device=device, out=out, quiet=quiet, download=download, **chosen)
    people().print(f"Trained: {folder}")
