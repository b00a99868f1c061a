"""Which prompt an image was made for: a table as .csv, .tsv or .jsonl, with a line for each image.

One column holds the image's file, one its prompt, under the names that such tables usually have (``metadata.csv`` of
Hugging Face's image folders has ``file_name`` and ``text``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trilemma.errors import UserError

FILE = ("file_name", "filename", "file", "image", "path", "key")
PROMPT = ("prompt", "caption", "text")
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read_table(path: Path) -> list[tuple[str, str]]:
    """Returns (file, prompt) line by line; a file is a path relative to the images, with "/".

    Raises:
        UserError: the table cannot be read, lacks one of the columns, or names a file twice.
    """
    rows = [_row(row, f"{path}: line {line}") for line, row in _lines(path)]
    if not rows:
        raise UserError("this table has no lines.", where=str(path))
    seen: set[str] = set()
    for file, _ in rows:
        if file in seen:
            raise UserError(f'two lines are of the file "{file}".', where=str(path))
        seen.add(file)
    return rows


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".jsonl":
                yield from ((n, json.loads(line)) for n, line in enumerate(file, 1) if line.strip())
            elif path.suffix in SEPARATORS:
                yield from enumerate(csv.DictReader(file, delimiter=SEPARATORS[path.suffix]), 2)
            else:
                raise UserError(
                    "this is no table that is read here.", where=str(path), hint="Known: .csv, .tsv, .jsonl."
                )
    except (OSError, ValueError, csv.Error) as error:  # bytes that are no text are a ValueError
        raise UserError(f"this table cannot be read: {error}.", where=str(path)) from None


def _row(row: Any, where: str) -> tuple[str, str]:
    if not isinstance(row, dict):
        raise UserError("this is no object with names and values.", where=where)
    file, prompt = (next((row[name] for name in names if row.get(name) is not None), None) for names in (FILE, PROMPT))
    if not isinstance(file, str) or not isinstance(prompt, str):
        lacking, names = ("a file", FILE) if not isinstance(file, str) else ("a prompt", PROMPT)
        raise UserError(f"there is no text for {lacking} here.", where=where, hint=f"Columns: {', '.join(names)}.")
    return file.replace("\\", "/").removeprefix("./"), prompt
