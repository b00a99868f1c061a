"""``convert``: a pickle's tensors as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Json, people, print_json

MOST_SHOWN = 8


def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A .pkl, .pt, .pth, .bin or .ckpt: StyleGAN, R3GAN, Lightning, torch."),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT.safetensors", help="Where the tensors go; settings go beside it.")
    ],
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help='Keep what lies under this name, such as "G_ema" or "state_dict".', show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Reads the tensors out of a pickle without executing anything in it.

    Example: trilemma convert stylegan2.pkl stylegan2.safetensors --only G_ema
    """
    from trilemma.conversion.convert import convert as read

    done = read(source.expanduser(), out.expanduser(), only=only)
    if json:
        fields = {"tensors": done.tensors, "numbers": done.numbers, "parameters": done.parameters}
        print_json({"out": str(done.out), "described": str(done.described)} | fields | {"left_alone": done.classes})
    console = people()
    parameters = f", {done.parameters:,} of them parameters" if done.parameters else ""
    console.print(f"{done.tensors:,} tensors of {done.numbers:,} numbers{parameters}.", markup=False)
    if done.classes:
        shown = ", ".join(done.classes[:MOST_SHOWN]) + (", …" if len(done.classes) > MOST_SHOWN else "")
        console.print(f"Nothing was executed. Code that was left alone: {shown}.", soft_wrap=True, markup=False)
    console.print(f"Tensors:  {done.out}", soft_wrap=True, markup=False)
    console.print(f"Settings: {done.described}", soft_wrap=True, markup=False)
