"""``init``: a workspace to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Json, people, print_json


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where to; made if need be [here].", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Writes a workspace: a model that runs, a protocol over images of your own, and what to do next.

    Example: trilemma init lab
    """
    from trilemma.new_workspace import write_workspace

    root = (folder or Path()).expanduser()
    written = write_workspace(root)
    if json:
        print_json({"root": str(root.resolve()), "files": [path.as_posix() for path in written]})
    console = people()
    for path in written:
        console.print(f"  {root / path}", soft_wrap=True, markup=False)
    console.print(f"Next: {root / 'README.md'} says it in three commands.", soft_wrap=True, markup=False)
