"""How long a model's images took to make, to measure, and in all: what is left in between is the suite's overhead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Batch = tuple[str, int]
Stamps = tuple[int, float, float, float | None]  # attempt, start, end, measured


def drawing(samples: pa.Table, attempt: int, seconds: float) -> dict[str, Any]:
    """Returns the seconds of a model whose samples are stored, as the record keeps them.

    Args:
        samples: the rows of all its images, with the times of each batch.
        attempt, seconds: of the process that stored the last of them, from its first call to the files that stay.
            Of earlier attempts, which were killed, counts the time from their first batch to the last that they
            stored: what they had begun and lost is no part of any number here.

    Returns:
        "generate_seconds", "measure_seconds", "wall_seconds", "attempts" (how many of them made images), "status" and
        "reason"; the seconds are null where a batch does not say when it was measured.
    """
    stamps = _by_batch(samples)
    attempts = len({one[0] for one in stamps})
    if any(measured is None for *_, measured in stamps):
        reason = "a batch is of a version that did not record when it was measured"
        return _numbers(None, None, None) | {"attempts": attempts, "status": "skipped", "reason": reason}
    timed = [(number, start, end, measured) for number, start, end, measured in stamps if measured is not None]
    generate = sum(end - start for _, start, end, _ in timed)
    measure = sum(measured - end for _, _, end, measured in timed)
    earlier = sum(_span(timed, number) for number in {one[0] for one in timed} - {attempt})
    return _numbers(generate, measure, seconds + earlier) | {"attempts": attempts, "status": "ok", "reason": None}


def unknown(reason: str) -> dict[str, Any]:
    """Returns what the record keeps where nothing was measured."""
    return _numbers(None, None, None) | {"attempts": None, "status": "skipped", "reason": reason}


def _numbers(generate: float | None, measure: float | None, wall: float | None) -> dict[str, Any]:
    return {"generate_seconds": generate, "measure_seconds": measure, "wall_seconds": wall}


def _by_batch(samples: pa.Table) -> list[Stamps]:
    """Returns the times of every batch once: all of its rows hold the same."""
    names = ("set", "batch", "attempt", "t_start", "t_end", "t_measured")
    columns = [samples.column(name).to_pylist() for name in names]
    found: dict[Batch, Stamps] = {(row[0], row[1]): row[2:] for row in zip(*columns, strict=True)}
    return list(found.values())


def _span(batches: list[tuple[int, float, float, float]], attempt: int) -> float:
    own = [(start, measured) for number, start, _, measured in batches if number == attempt]
    return max(measured for _, measured in own) - min(start for start, _ in own)
