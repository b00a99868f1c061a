"""``prepare``: writes the reference features of a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Device, Fetch, Json, Quiet, Root, people, print_json
from trilemma.cli.scoring import bars


def prepare(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="A protocol's name or TOML file.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Where to [where the protocol looks for them].", show_default=False),
    ] = None,
    device: Device = "auto",
    download: Fetch = False,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measures a protocol's real images, and writes a file that stands in their place where they are not at hand.

    Example: trilemma prepare fashion-mnist --out features.npz
    """
    from trilemma.protocols import find_protocol
    from trilemma.workspace import cache_folder, find_workspace

    wanted = find_protocol(protocol, find_workspace(root))
    if download:
        from trilemma.runner.fetching import fetch

        fetch(wanted)
    with bars(quiet=quiet) as told:
        from trilemma.runner.prepare import prepare as write

        written = write(wanted, out, device=device, cache=cache_folder(), progress=told)
    if json:
        print_json(written)
    images = ", ".join(f"{name} {count:,}" for name, count in written["images"].items())
    people().print(f"Reference features: {written['file']} ({images})", soft_wrap=True, markup=False)
