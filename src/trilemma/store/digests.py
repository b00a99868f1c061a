"""What a complete run keeps, file by file, and whether it is still what it was."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from trilemma.errors import UserError
from trilemma.identity import file_digest
from trilemma.store.arrays import read_arrays
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import read_metrics
from trilemma.store.record import SCHEMA
from trilemma.store.run import Run
from trilemma.store.tables import SAMPLES, TIMINGS, read_table

# Reports, figures and tables are drawn from these, and may be drawn anew.
NUMBERS = (
    "metrics.jsonl",
    "frontier.json",
    "samples/*.parquet",
    "influence/*.npz",
    "replicates/*.npz",
    "copies/*.npz",
    "timings/*.parquet",
)
# Pictures take most of a run's room and no number stands in them: they may be gone, but not be others.
PICTURES = ("images/*/sheets/*", "images/*/strips/*")


def digested_files(folder: RunFolder) -> dict[str, Path]:
    """Returns the files of a run that its digests are of, by their path in its folder."""
    found = sorted(path for pattern in (*NUMBERS, *PICTURES) for path in folder.path.glob(pattern))
    return {path.relative_to(folder.path).as_posix(): path for path in found}


def digests(folder: RunFolder) -> dict[str, str]:
    """Returns the sha256 of each of :func:`digested_files`."""
    return {name: file_digest(path) for name, path in digested_files(folder).items()}


def verify(run: Run, *, whole: bool = True) -> None:
    """Raises UserError, naming the file, unless every file is what it was when the run completed.

    Pictures may have been removed since. A run that is not complete, or of a schema without digests, only has to be
    readable.

    Args:
        whole: whether every file has to be there; a baseline's copy of a run leaves some out.
    """
    found = digested_files(run.folder)
    if run.record.status != "complete" or run.record.schema != SCHEMA:
        for name, path in found.items():
            _read(name, path)
        return
    if "metrics.jsonl" not in run.record.files:
        raise UserError("this record is damaged: it lacks the digests of its files.", where=str(run.folder.record))
    for name, digest in run.record.files.items():
        if name in found or (whole and not _is_picture(name)):
            _check(run.folder.path, name, digest)
    for name in found.keys() - run.record.files.keys():
        raise UserError("this file was added after the run had ended.", where=str(run.folder.path / name))


def _is_picture(name: str) -> bool:
    return any(PurePosixPath(name).match(pattern) for pattern in PICTURES)


def _check(folder: Path, name: str, digest: str) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise UserError(f'this record is damaged: "{name}" is no file of its own.', where=str(folder / "run.json"))
    path = folder / name
    if not path.is_file():
        raise UserError("this part of the record is missing.", where=str(path))
    if file_digest(path) != digest:
        raise UserError("this file has changed since the run ended: its sha256 differs.", where=str(path))


def _read(name: str, path: Path) -> None:
    if _is_picture(name):
        return
    if name == "metrics.jsonl":
        read_metrics(path)
    elif name.endswith(".npz"):
        read_arrays(path)
    else:
        read_table(path, SAMPLES if name.startswith("samples/") else TIMINGS)
