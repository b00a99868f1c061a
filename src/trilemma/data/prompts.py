"""Files of prompts: plain text, tables with tabs or commas, JSON lines, Parquet. Strict, and bounded.

A prompt is a line of a ``.txt`` file, or what one column of the others says: the column that is named, or else the
first of :data:`COLUMNS` that there is, in either case. White space around a prompt is no part of it. Every line must
hold one: an empty prompt would ask for nothing, and pass for one that does.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trilemma.data.damage import reading
from trilemma.errors import UserError, suggest

COLUMNS = ("prompt", "caption", "text")
MAX_BYTES = 2**28
MAX_PROMPTS = 2_000_000
MAX_LETTERS = 10_000

Numbered = tuple[int, Any]  # a line or row, from 1, and what stands there


def read_prompts(path: Path, column: str | None = None) -> list[str]:
    """Returns the prompts of a file in its order, at least one.

    Args:
        path: ends in .txt, .tsv, .csv, .jsonl or .parquet.
        column: whose; by default the first of :data:`COLUMNS` that the file has. Plain text has none.

    Raises:
        UserError: the file cannot be read, is not UTF-8, is too large, has no such column, or has a line without a
            prompt; the message names file and line.
    """
    where = str(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(_READERS)
        raise UserError("this is no file of prompts that can be read.", where=where, hint=f"Known: {known}.")
    with reading("file", where):
        size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"this file has {size:,} bytes; files of prompts may have {MAX_BYTES:,}.", where=where)
    prompts: list[str] = []
    for line, value in read(path, column):
        prompts.append(_prompt(value, f"{where}, line {line}"))
        if len(prompts) > MAX_PROMPTS:
            raise UserError(f"there are more than {MAX_PROMPTS:,} prompts here.", where=where)
    if not prompts:
        raise UserError("there are no prompts here.", where=where)
    return prompts


def _prompt(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"a prompt must be text, got {value!r:.60}.", where=where)
    prompt = value.strip()
    if not prompt or len(prompt) > MAX_LETTERS:
        raise UserError(f"a prompt has 1 to {MAX_LETTERS:,} letters, this one {len(prompt):,}.", where=where)
    if "\0" in prompt or any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise UserError("this prompt is not valid text.", where=where)
    return prompt


def _text(path: Path, column: str | None) -> Iterator[Numbered]:
    if column is not None:
        raise UserError("plain text has no columns.", where=str(path), hint='Leave out "column".')
    return enumerate(_lines(path), 1)


def _json_lines(path: Path, column: str | None) -> Iterator[Numbered]:
    for number, line in enumerate(_lines(path), 1):
        where = f"{path}, line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"this is no JSON: {error}.", where=where) from None
        if not isinstance(found, dict):
            raise UserError("each line must be a JSON object.", where=where)
        yield number, found[_column(list(found), column, where)]


def _table(delimiter: str) -> Callable[[Path, str | None], Iterator[Numbered]]:
    def read(path: Path, column: str | None) -> Iterator[Numbered]:
        rows = _rows(path, delimiter)
        header = next(iter(rows), (1, []))[1]
        place = header.index(_column(header, column, str(path)))
        for line, row in rows[1:]:
            if len(row) != len(header):
                where = f"{path}, line {line}"
                raise UserError(f"this row has {len(row)} columns, the header {len(header)}.", where=where)
            yield line, row[place]

    return read


def _rows(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """Returns the rows of a table, each with the number of its last line.

    There are two kinds of tables with tabs: fields in quotes, with quotes inside doubled, and, as PartiPrompts has it,
    fields as they are, which may begin with a quote. What is not sound as the first kind is read as the second.
    """
    lines = list(_kept_ends(path))
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        return [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        if delimiter == "\t":
            fields = (line.rstrip("\n").removesuffix("\r").split("\t") for line in lines)
            return [(number, [_unquoted(one) for one in row]) for number, row in enumerate(fields, 1)]
        raise UserError(f"this table cannot be read: {error}.", where=f"{path}, line {rows.line_num}") from None


def _unquoted(field: str) -> str:
    """Returns a field without the quotes around it, where it is one that a writer of the first kind has quoted."""
    inside = field[1:-1]
    quoted = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inside.replace('""', "")
    return inside.replace('""', '"') if quoted else field


def _parquet(path: Path, column: str | None) -> Iterator[Numbered]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > MAX_PROMPTS:
            raise UserError(f"there are more than {MAX_PROMPTS:,} prompts here.", where=where)
        name = _column(file.schema_arrow.names, column, where)
        values = file.read(columns=[name]).column(name).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"this Parquet file cannot be read: {error}.", where=where) from None
    return enumerate(values, 1)


def _column(names: Sequence[str], wanted: str | None, where: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise UserError(f'there is no column "{wanted}".', where=where, hint=suggest(wanted, names))
        return wanted
    for known in COLUMNS:
        fitting = [name for name in names if name.strip().lower() == known]
        if fitting:
            return fitting[0]
    have = ", ".join(str(name) for name in names)[:200] or "none"
    raise UserError(f"there is no column called {', '.join(COLUMNS)}; there are: {have}.", where=where)


def _lines(path: Path) -> Iterator[str]:
    """Lines end at a line feed alone: others of Unicode's line separators are part of a prompt."""
    return (line.rstrip("\n").removesuffix("\r") for line in _kept_ends(path))


def _kept_ends(path: Path) -> Iterable[str]:
    """The bound on bytes is the bound on what is held."""
    with reading("file", str(path)):
        data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"this file is not UTF-8: {error.reason} at byte {error.start:,}.", where=str(path)) from None
    lines = text.split("\n")
    return [f"{line}\n" for line in (lines[:-1] if lines[-1] == "" else lines)]


_READERS: dict[str, Callable[[Path, str | None], Iterator[Numbered]]] = {
    ".txt": _text,
    ".tsv": _table("\t"),
    ".csv": _table(","),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
