"""All runs of a folder as four views for SQL: runs, metrics, timings and samples."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from trilemma.errors import UserError
from trilemma.store.index import Row, list_runs
from trilemma.store.metric_index import TABLE, load_metrics
from trilemma.store.sql import TYPES, one_line, quoted, text
from trilemma.store.tables import METRICS, RUNS, SAMPLES, TIMINGS, Columns, read_table

VIEWS: dict[str, Columns] = {
    "runs": RUNS,
    "metrics": METRICS,
    "timings": {"run_id": "string", **TIMINGS},
    "samples": {"run_id": "string", **SAMPLES},
}
SCANNED = {"timings": TIMINGS, "samples": SAMPLES}  # too much to keep twice: read where it lies, if it is asked for
# No extension is fetched or loaded, and no variable of this program is a table.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_MISTAKES = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.PermissionException,
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a SELECT gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[Row]:
        """Returns the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Database:
    """The views over a folder of runs, in so far as ``sql`` names them.

    No statement but one SELECT is run, and it reads no file but those of the views.

    Args:
        only: the names of the runs that are looked at; all if None.
        skip_damaged: what cannot be read is left out and stands in ``left_out``; else it raises UserError.
    """

    def __init__(
        self, runs: Path, sql: str, *, only: Collection[str] | None = None, skip_damaged: bool = False
    ) -> None:
        self.left_out: list[UserError] = []
        self._sql, self._skip_damaged = sql, skip_damaged
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        self._check()
        runs = runs.absolute()  # DuckDB opens a file only by the very path that it was allowed to
        listing = list_runs(runs)
        sound = {row["run_id"]: row for row in listing.rows}
        looked_at = {*sound, *listing.damaged} if only is None else {*only}
        self._leave_out([error for name, error in listing.damaged.items() if name in looked_at])
        rows = [row for name, row in sound.items() if name in looked_at]
        self._create_runs(rows)
        if self._names("metrics"):
            # Of all runs, or the index would forget those that are not looked at.
            damaged = load_metrics(self._connection, runs, sound.keys())
            self._leave_out([error for name, error in damaged.items() if name in looked_at])
            chosen = f"SELECT {quoted(METRICS)} FROM {TABLE} WHERE run_id IN (SELECT run_id FROM runs)"
            self._connection.execute(f"CREATE VIEW metrics AS {chosen}")
        self._files = {view: _files(runs, view, rows) for view in SCANNED if self._names(view)}
        self._lock()

    def select(self) -> Answer:
        """Runs the statement.

        Raises:
            UserError: it is wrong, or a file that it needs is damaged.
        """
        try:
            return self._select()
        except duckdb.Error as error:
            if isinstance(error, _MISTAKES) or not self._files:
                raise UserError(one_line(error)) from None
        self._drop_damaged()
        try:
            return self._select(by_name=True)
        except duckdb.Error as error:
            raise UserError(one_line(error)) from None

    def _select(self, *, by_name: bool = False) -> Answer:
        for view, files in self._files.items():
            self._connection.execute(_scan(view, files, by_name=by_name))
        result = self._connection.execute(self._sql)
        return Answer(columns=[column[0] for column in result.description], rows=result.fetchall())

    def _names(self, view: str) -> bool:
        return re.search(rf"\b{view}\b", self._sql, re.IGNORECASE) is not None

    def _check(self) -> None:
        try:
            statements = self._connection.extract_statements(self._sql)
        except duckdb.Error as error:
            raise UserError(one_line(error)) from None
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UserError("only one SELECT can be run here.", hint='Such as "SELECT * FROM runs".')

    def _leave_out(self, damaged: list[UserError]) -> None:
        if damaged and not self._skip_damaged:
            first = damaged[0]
            more = f" ({len(damaged) - 1} more are, too.)" if len(damaged) > 1 else ""
            raise UserError(
                first.what + more, where=first.where, hint="The verb query leaves it out with --skip-damaged."
            )
        self.left_out += damaged

    def _create_runs(self, rows: list[Row]) -> None:
        kinds = {name: ["VARCHAR"] if kind == "strings" else TYPES[kind] for name, kind in RUNS.items()}
        kinds |= {name: "VARCHAR" for name, kind in RUNS.items() if kind == "time"}
        columns = ", ".join(f'try_cast("{name}" AS {TYPES[kind]}) AS "{name}"' for name, kind in RUNS.items())
        read = f"SELECT unnest(from_json(?::JSON, {text(json.dumps([kinds]))}), recursive := true)"
        self._connection.execute(f"CREATE TABLE runs AS SELECT {columns} FROM ({read})", [json.dumps(rows)])

    def _lock(self) -> None:
        paths = ", ".join(text(path) for files in self._files.values() for some in files.values() for path in some)
        self._connection.execute(f"SET allowed_paths = [{paths}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _drop_damaged(self) -> None:
        damaged: dict[str, UserError] = {}
        for view, files in self._files.items():
            for path in (path for some in files.values() for path in some):
                try:
                    read_table(Path(path), SCANNED[view])
                except UserError as error:
                    damaged[path] = error
        self._leave_out(list(damaged.values()))
        for files in self._files.values():
            for schema, some in files.items():
                files[schema] = [path for path in some if path not in damaged]


def _files(runs: Path, view: str, rows: list[Row]) -> dict[str, list[str]]:
    """Returns the files of a view by the schema of their run: those of one schema have the same columns."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        folder = runs / row["run_id"] / view
        found[row["schema"]] += [path.as_posix() for path in sorted(folder.glob("*.parquet"))]
    return found


def _scan(view: str, files: dict[str, list[str]], *, by_name: bool) -> str:
    """Returns the statement that makes a view of files.

    Args:
        by_name: whether to look for each column in each file, which takes longer, but forgives a file that lacks one.
    """
    nothing = ", ".join(f'NULL::{TYPES[kind]} AS "{name}"' for name, kind in VIEWS[view].items())
    parts = [f"SELECT {nothing} WHERE false"]
    for paths in filter(None, files.values()):
        listed = ", ".join(map(text, paths))
        read = f"read_parquet([{listed}], filename = true, union_by_name = {str(by_name).lower()})"
        parts.append(f"SELECT split_part(filename, '/', -3) AS run_id, * EXCLUDE (filename) FROM {read}")
    union = " UNION ALL BY NAME ".join(parts)
    return f"CREATE OR REPLACE VIEW {view} AS SELECT {quoted(VIEWS[view])} FROM ({union})"
