"""``runs``: what has been measured, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trilemma.cli.options import Json, Out, Root, print_json, runs_folder

if TYPE_CHECKING:
    from trilemma.store.index import Listing

DAMAGED = "damaged"
MISSING = "–"
HEADINGS = ("run", "created (UTC)", "protocol", "status", "images", "seconds", "commit", "models")


def runs(
    models: Annotated[
        str | None, typer.Option(metavar="A,B", help="Runs that hold all of these.", show_default=False)
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(metavar="NAME", help="Runs of this protocol.", show_default=False)
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(metavar="started|complete|failed|cancelled|damaged", help="Runs that are.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="The newest N.", show_default=False)] = None,
    out: Out = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Lists runs, newest first. Where a record cannot be read the run is listed as damaged, and the exit code is 1.

    Example: trilemma runs --protocol scenes --models gan,ldm --limit 20
    """
    from trilemma.store.index import list_runs

    listing = list_runs(runs_folder(root, out))
    wanted = {name.strip() for name in models.split(",")} if models is not None else set()
    found = [row for row in _rows(listing) if wanted <= {*row["models"]} and protocol in (None, row["protocol"])]
    shown = [row for row in found if status in (None, row["status"])][:limit]
    if json:
        print_json(shown)
    else:
        _print_table(shown)
    for name, error in listing.damaged.items():
        typer.echo(f"{name} is damaged: {error}", err=True)
    if listing.damaged:
        raise typer.Exit(1)


def _rows(listing: Listing) -> list[dict[str, Any]]:
    from trilemma.store.tables import RUNS

    nothing = dict.fromkeys(RUNS) | {"models": [], "failed_models": [], "status": DAMAGED}
    damaged = [nothing | {"run_id": name, "error": str(error)} for name, error in listing.damaged.items()]
    return sorted([*listing.rows, *damaged], key=lambda row: str(row["run_id"]), reverse=True)


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Plain columns: of a thousand lines, any table that measures what is in its cells takes longer than the rest."""
    lines = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS) - 1)]
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        typer.echo("  ".join([*padded, line[-1]]), err=True)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["status"] == DAMAGED:
        return (row["run_id"], *[MISSING] * 2, DAMAGED, *[MISSING] * 4)
    created = str(row["created"])[:19].replace("T", " ")
    images = f"{row['images_done']:,} of {row['images_planned']:,}{' (partial)' if row['partial'] else ''}"
    images = images if row["images_planned"] else MISSING
    seconds = MISSING if row["seconds"] is None else f"{row['seconds']:,.0f}"
    commit = str(row["git"] or MISSING)[:8] + ("*" if row["dirty"] else "")
    protocol, models = str(row["protocol"] or MISSING), ", ".join(row["models"])
    return row["run_id"], created, protocol, row["status"], images, seconds, commit, models
