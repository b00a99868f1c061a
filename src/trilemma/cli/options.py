"""The options that several verbs share, and where they print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="FOLDER", help="The workspace: a folder with models/ and benchmarks/.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Where runs are kept [results/runs of the workspace].", show_default=False
    ),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where networks run.")]
Fetch = Annotated[bool, typer.Option("--download", help="Fetch weights and data that are missing.")]


LOG_WIDTH = 160  # a log has no edge: tables need not be folded to the 80 columns that are assumed elsewhere


def people() -> Console:
    """Returns the console for people: standard error, so that standard output stays machine-readable."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


def print_json(value: Any) -> None:
    """Prints one JSON document on standard output; NaN in it is a ValueError, for JSON has none."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def runs_folder(root: Path | None, out: Path | None) -> Path:
    """Returns the folder that holds the runs: ``--out``, else that of the workspace."""
    from trilemma.workspace import find_workspace

    return out.expanduser().resolve() if out is not None else find_workspace(root).runs
