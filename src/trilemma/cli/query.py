"""``query``: SQL over all runs."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.store.database import Answer


def query(
    sql: Annotated[str | None, typer.Argument(metavar="SELECT", help="One SELECT.", show_default=False)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the views and their columns instead.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer as CSV.", show_default=False)
    ] = None,
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="Leave out what cannot be read.")] = False,
    out: Out = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Runs one SELECT of DuckDB over the views runs, metrics, timings and samples.

    Nothing can be changed by it, and no other file can be read. A record that cannot be read is an error, unless
    --skip-damaged is given: then standard error names what was left out.

    Example: trilemma query "SELECT run_id, model, value, se FROM metrics WHERE metric = 'fd_scenes' ORDER BY run_id"
    """
    from trilemma.errors import UserError
    from trilemma.store.database import Database

    if schema:
        _print_schema(json=json)
        return
    if sql is None:
        raise UserError("there is nothing to run.", hint='Give a SELECT, or --schema: query "SELECT * FROM runs".')
    database = Database(runs_folder(root, out), sql, skip_damaged=skip_damaged)
    answer = database.select()
    for error in database.left_out:
        people().print(f"left out: {error}", markup=False, soft_wrap=True)
    if csv is not None:
        _write_csv(answer, csv)
    if json:
        print_json([{name: plain(value) for name, value in row.items()} for row in answer.records()])
    elif csv is None:
        people().print(_table(answer))


def plain(value: Any) -> Any:
    """Returns a value of SQL as JSON has it; what is not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _print_schema(*, json: bool) -> None:
    from trilemma.store.database import VIEWS
    from trilemma.store.sql import TYPES

    views = {view: {name: TYPES[kind] for name, kind in columns.items()} for view, columns in VIEWS.items()}
    if json:
        print_json(views)
        return
    for view, columns in views.items():
        people().print(f"{view}: {', '.join(f'{name} {kind}' for name, kind in columns.items())}", markup=False)


def _write_csv(answer: Answer, path: Path) -> None:
    from trilemma.store.atomic import write_text
    from trilemma.store.exports import as_csv

    write_text(path.expanduser(), as_csv(answer.columns, answer.rows))


def _table(answer: Answer) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in answer.columns:
        table.add_column(Text(name), overflow="fold")
    for row in answer.rows:
        table.add_row(*[Text(_cell(value)) for value in row])
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return ", ".join(map(_cell, value)) if isinstance(value, list) else str(value)
