"""Every number of every run in one table of DuckDB, kept between commands beside the list of runs.

New files are joined into one before DuckDB reads them: it takes longer over a thousand small files than over their
lines. What DuckDB refuses, or finds odd, is judged by the reader of metric rows, which names the line.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from trilemma.errors import UserError
from trilemma.store.index import FOLDER, stamps
from trilemma.store.metric_rows import read_metrics
from trilemma.store.sql import TYPES, declared, one_line, quoted, text
from trilemma.store.tables import METRICS, Columns

TABLE = "kept_metrics"
_FILE = "metrics-1.parquet"  # the number is raised when the same files would give other rows
_AT_ONCE = 128  # files that are joined: of a usual size, together a few tens of megabytes
_TABLE: Columns = {**METRICS, "size": "int64", "mtime_ns": "int64"}
# A line as it is stored, with the run's folder before it.
_LINE = {
    "folder": "VARCHAR",
    **{name: TYPES[kind] for name, kind in METRICS.items() if name not in ("run_id", "ci_low", "ci_high")},
    "ci": "DOUBLE[]",
    "computed_at": "VARCHAR",
}
_COMPUTED = {
    "run_id": "folder",
    "ci_low": "ci[1]",
    "ci_high": "ci[2]",
    "ci_level": "coalesce(ci_level, 0.95)",
    "replicates": "coalesce(replicates, 1)",
    "computed_at": "try_cast(computed_at AS TIMESTAMP)",
    "size": "stamped.size",
    "mtime_ns": "stamped.mtime_ns",
}
_ODD = """
    model IS NULL OR metric IS NULL OR status IS NULL OR isinf(value) OR isnan(value)
    OR (status = 'ok') <> (value IS NOT NULL) OR (status <> 'ok' AND coalesce(reason, '') = '')
"""

Stamps = Mapping[str, tuple[int, int]]


def load_metrics(connection: duckdb.DuckDBPyConnection, runs: Path, names: Collection[str]) -> dict[str, UserError]:
    """Makes :data:`TABLE` of the named runs, METRICS and each file's stamp; returns by run what could not be read."""
    found = {name: stamp for name, stamp in stamps(runs, "metrics.jsonl").items() if name in names}
    connection.execute(f"CREATE TABLE {TABLE} ({declared(_TABLE)})")
    known = _read(connection, runs / FOLDER / _FILE)
    stale = [name for name, stamp in known.items() if found.get(name) != stamp]
    fresh = {name: stamp for name, stamp in found.items() if known.get(name) != stamp}
    connection.execute(f"DELETE FROM {TABLE} WHERE run_id IN (SELECT unnest(?))", [stale])
    damaged: dict[str, UserError] = {}
    for start in range(0, len(fresh), _AT_ONCE):
        damaged |= _add(connection, runs, list(fresh)[start : start + _AT_ONCE], fresh)
    if stale or len(damaged) < len(fresh):
        _keep(connection, runs / FOLDER / _FILE)
    return damaged


def _read(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, tuple[int, int]]:
    """Fills the table from an earlier command; an index that is missing, damaged or another version's is none."""
    with contextlib.suppress(duckdb.Error):
        connection.execute(f"INSERT INTO {TABLE} SELECT {quoted(_TABLE)} FROM read_parquet({text(str(path))})")
    rows = connection.execute(f"SELECT DISTINCT run_id, size, mtime_ns FROM {TABLE}").fetchall()
    return {name: (size, changed) for name, size, changed in rows}


def _keep(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Another command may be doing the same: each writes a file of its own, and the last one stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError, duckdb.IOException):  # where nothing can be kept, everything is read every time
        path.parent.mkdir(exist_ok=True)
        connection.execute(f"COPY {TABLE} TO {text(str(temporary))} (FORMAT parquet, COMPRESSION zstd)")
        os.replace(temporary, path)
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _add(connection: duckdb.DuckDBPyConnection, runs: Path, names: Sequence[str], at: Stamps) -> dict[str, UserError]:
    """Adds the rows of these runs; of those that are damaged none, and returns why."""
    try:
        _stage(connection, runs, names, at)
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException) as error:
        damaged = _judge(runs, names)
        if not damaged:
            raise UserError(f"the metrics in it cannot be read: {one_line(error)}", where=str(runs)) from None
        sound = [name for name in names if name not in damaged]
        return damaged | (_add(connection, runs, sound, at) if sound else {})
    damaged = _judge(runs, _odd(connection, names))
    connection.execute(
        f"INSERT INTO {TABLE} SELECT {quoted(_TABLE)} FROM staged WHERE run_id NOT IN (SELECT unnest(?))",
        [list(damaged)],
    )
    return damaged


def _stage(connection: duckdb.DuckDBPyConnection, runs: Path, names: Sequence[str], at: Stamps) -> None:
    columns = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in _LINE.items())
    computed = ", ".join(f'{_COMPUTED.get(name, quoted([name]))} AS "{name}"' for name in _TABLE)
    stamped = "(SELECT unnest(?) AS folder, unnest(?) AS size, unnest(?) AS mtime_ns) AS stamped"
    sizes, changed = zip(*(at[name] for name in names), strict=True)
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "metrics.jsonl"
        joined.write_bytes(b"".join(line for name in names for line in _labelled(runs, name)))
        lines = f"read_json({text(str(joined))}, columns={{{columns}}}, format='newline_delimited')"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {computed} FROM {lines} JOIN {stamped} USING (folder)",
            [list(names), list(sizes), list(changed)],
        )


def _labelled(runs: Path, name: str) -> Iterator[bytes]:
    """Yields the lines of a run's metrics with its folder as their first field; a file that cannot be read has none."""
    label = b'{"folder":%s,' % json.dumps(name).encode()
    with contextlib.suppress(OSError):
        for line in (runs / name / "metrics.jsonl").read_bytes().splitlines():
            yield b"%s%s\n" % (label, line[1:])


def _odd(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> list[str]:
    """Returns the runs of which there is no row, or one that a metric row cannot be."""
    odd = connection.execute(f"SELECT DISTINCT run_id FROM staged WHERE {_ODD}").fetchall()
    there = {name for (name,) in connection.execute("SELECT DISTINCT run_id FROM staged").fetchall()}
    return [name for (name,) in odd] + [name for name in names if name not in there]


def _judge(runs: Path, names: Iterable[str]) -> dict[str, UserError]:
    damaged = {}
    for name in names:
        try:
            read_metrics(runs / name / "metrics.jsonl")
        except UserError as error:
            damaged[name] = error
    return damaged
