"""How names, texts and types are written in DuckDB's SQL, and how its errors read in one line."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from trilemma.store.tables import Columns

TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "strings": "VARCHAR[]",
    "json": "JSON",
    "time": "TIMESTAMP",  # in UTC
}


def declared(columns: Columns) -> str:
    """Returns names with their types, as CREATE TABLE wants them."""
    return ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())


def quoted(names: Iterable[str]) -> str:
    """Returns names of columns, each in quotation marks: "set" and "index" mean something else without."""
    return ", ".join(f'"{name}"' for name in names)


def text(value: str) -> str:
    """Returns a text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def one_line(error: Exception) -> str:
    """Returns what DuckDB says, without its picture of the statement."""
    lines = takewhile(lambda line: not line.startswith("LINE "), str(error).splitlines())
    return " ".join(line.strip() for line in lines if line.strip())
