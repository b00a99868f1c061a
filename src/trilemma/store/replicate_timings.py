"""A model's timings that several processes add to, one after the other."""

from __future__ import annotations

from pathlib import Path

from trilemma.store.atomic import write_table
from trilemma.store.tables import TIMINGS, read_table


def add_replicate(path: Path, rows: Path, number: int) -> None:
    """Adds the rows of one process to a model's timings, in the place of what this number had before.

    A process whose rows are here, but of which the record does not know yet, was cut off in between: it is done again.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    new = read_table(rows, TIMINGS)
    if path.is_file():
        before = read_table(path, TIMINGS)
        kept = before.filter(pc.not_equal(before["replicate"], number))
        new = pa.concat_tables([kept, new])
    write_table(path, new)
