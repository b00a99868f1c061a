"""``prompts``: the plan of a protocol, for images that are made elsewhere."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer

from trilemma.cli.options import Root

COLUMNS = ("file_name", "prompt", "set", "prompt_id", "index", "key", "seed")


def prompts(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="A protocol's name or TOML file.")],
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="At most N images per set, as for run.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="The seed of the run that they are for.")] = 0,
    root: Root = None,
) -> None:
    """Prints a tab-separated line for each image that a run makes: the file to make, its prompt, its names and seed.

    A folder of such files is a model of the family "samples", with assign = "names". The file's ending is yours to
    choose.

    Example: trilemma prompts scenes --samples 256
    """
    from trilemma.protocols import find_protocol
    from trilemma.runner.plan import plan
    from trilemma.workspace import find_workspace

    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for entries in plan(find_protocol(protocol, find_workspace(root)), seed, samples).values():
        for one in entries:
            file = f"{one.set}/{one.key}.png"
            writer.writerow((file, one.prompt, one.set, one.prompt_id, one.index, one.key, one.seed))
