"""Baselines: pinned, named runs with the reason why they were accepted; ``results/baselines/NAME/``.

A baseline holds compact copies of its runs: all that a comparison reads, and neither features nor images. So it can be
committed, reviewed and restored without the runs that it came from.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trilemma.card import check_name
from trilemma.errors import UserError, suggest
from trilemma.identity import file_digest
from trilemma.store.atomic import write_json
from trilemma.store.digests import digested_files, verify
from trilemma.store.events import now
from trilemma.store.layout import RunFolder
from trilemma.store.run import Run
from trilemma.store.sessions import check_alike
from trilemma.strict_toml import build

SCHEMA = "trilemma.baseline/1"
FILE = "baseline.json"
RUNS = "runs"
MOVING = ("last", "latest", "newest", "previous")
"""Names of what moves: against the last run, a slow creep is never seen."""


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """An acceptance that was replaced later: when, why, and by which runs."""

    accepted: str
    reason: str
    runs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contents of ``baseline.json``.

    Attributes:
        accepted: UTC. reason: why these numbers are the ones to hold.
        runs: ids; the first is compared for quality, all of them are sessions of times.
        tool: version and commit that accepted it.
        files: path → sha256 of everything below.
        history: what it replaced, oldest first.
    """

    schema: str
    name: str
    reason: str
    accepted: str
    tool: dict[str, Any]
    protocol: str
    models: tuple[str, ...]
    runs: tuple[str, ...]
    files: dict[str, str]
    history: tuple[Acceptance, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise UserError(f'cannot read the schema "{self.schema}", only "{SCHEMA}".')
        needed = [f"{RUNS}/{run_id}/{name}" for run_id in self.runs for name in ("run.json", "metrics.jsonl")]
        if not needed or not self.models:
            raise UserError("a baseline without a run or a model holds nothing.")
        if lacking := [name for name in needed if name not in self.files]:
            raise UserError(f"the digest of {lacking[0]} is missing.", where="files")


class Baseline:
    """One baseline on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = _read(path / FILE)

    @property
    def name(self) -> str:
        """Its name."""
        return self.manifest.name

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it holds numbers of."""
        return self.manifest.models

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Its runs, the one for quality first."""
        return tuple(Run(self.path / RUNS / run_id) for run_id in self.manifest.runs)

    def verify(self) -> None:
        """Raises UserError where a file is missing, was added, or is not the one that was accepted."""
        for name, digest in self.manifest.files.items():
            path = self.path / name
            if not path.is_file():
                raise UserError("this part of the baseline is missing.", where=str(path))
            if file_digest(path) != digest:
                raise UserError("this part of the baseline is not what was accepted.", where=str(path))
        for run in self.runs:
            for name, path in digested_files(run.folder).items():
                if f"{RUNS}/{run.folder.path.name}/{name}" not in self.manifest.files:
                    raise UserError("this file was added to the baseline after it was accepted.", where=str(path))


def baseline_names(folder: Path) -> list[str]:
    """Returns the names of the baselines in ``results/baselines``."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def find_baseline(name: str, folder: Path) -> Baseline:
    """Returns a baseline; raises UserError where there is none of this name, or it cannot be read."""
    known = baseline_names(folder)
    if name not in known:
        hint = suggest(name, known) if known else "Accept a run: trilemma baseline accept NAME RUN --reason WHY."
        raise UserError(f'there is no baseline "{name}" in {folder}.', hint=hint)
    return Baseline(folder / name)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What is to become a baseline.

    Attributes:
        runs: complete runs of one protocol at one seed and size; the first is compared for quality.
        models: None for all that every run has measured.
        replace: the baseline that has this name already.
    """

    name: str
    runs: Sequence[Run]
    reason: str
    tool: dict[str, Any]
    models: Sequence[str] | None = None
    replace: bool = False

    def check(self) -> None:
        """Raises UserError for what must not become a baseline."""
        check_name(self.name)
        if self.name in MOVING:
            raise UserError(f'"{self.name}" says that it moves; a baseline is pinned.', where="NAME")
        if not self.reason.strip():
            raise UserError("a baseline needs a reason.", where="--reason")
        check_alike(self.runs, "baseline")
        for run in self.runs:
            if run.record.status != "complete":
                raise UserError(f"this run is {run.record.status}, not complete.", where=run.record.run_id)
            verify(run)
        if not self.known():
            raise UserError("the runs have no model in common.", where=self.name)
        unknown = [name for name in self.models or () if name not in self.known()]
        if unknown:
            raise UserError(f'not every run has measured "{unknown[0]}".', hint=suggest(unknown[0], self.known()))

    def known(self) -> list[str]:
        """The models that every run has measured."""
        return [m for m in self.runs[0].models if all(m in run.models for run in self.runs)]

    def chosen(self) -> tuple[str, ...]:
        """The models that the baseline will hold."""
        return tuple(self.known() if self.models is None else self.models)


def accept(proposal: Proposal, folder: Path) -> Baseline:
    """Makes a baseline in ``results/baselines`` and returns it.

    Raises:
        UserError: the proposal makes no sense, or the name is taken.
    """
    proposal.check()
    path = folder / proposal.name
    if path.exists() and not proposal.replace:
        raise UserError(
            f'there is a baseline "{proposal.name}" already.',
            where=str(path),
            hint="Add --replace: it keeps the old reason in its history.",
        )
    history = _history(Baseline(path).manifest) if path.exists() else ()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{proposal.name}.", dir=folder) as temporary:
        made = Path(temporary) / "new"
        _write(made, proposal, history)
        _put(made, path, Path(temporary) / "old")
    return Baseline(path)


def _write(path: Path, proposal: Proposal, history: tuple[Acceptance, ...]) -> None:
    models = proposal.chosen()
    for run in proposal.runs:
        _copy(run, path / RUNS / run.record.run_id, models)
    first = proposal.runs[0].record
    manifest = Manifest(
        schema=SCHEMA,
        name=proposal.name,
        reason=proposal.reason.strip(),
        accepted=now(),
        tool=proposal.tool,
        protocol=f"{first.spec['protocol']['name']}/{first.spec['protocol']['version']}",
        models=models,
        runs=tuple(run.record.run_id for run in proposal.runs),
        files={p.relative_to(path).as_posix(): file_digest(p) for p in sorted(path.rglob("*")) if p.is_file()},
        history=history,
    )
    write_json(path / FILE, asdict(manifest))


def _copy(run: Run, to: Path, models: Sequence[str]) -> None:
    """Copies what comparisons read: the record, the numbers, and the parts of these models."""
    for source in (run.folder.record, run.folder.metrics, *_parts(run.folder, models)):
        target = to / source.relative_to(run.folder.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _parts(folder: RunFolder, models: Sequence[str]) -> Iterator[Path]:
    for model in models:
        for path in (folder.samples(model), folder.replicates(model), folder.influence(model), folder.timings(model)):
            if path.is_file():
                yield path


def _put(made: Path, path: Path, old: Path) -> None:
    """Two renames: killed in between, the old baseline lies whole in a hidden folder beside, and the name is free.

    Whatever else goes wrong in between puts the old one back: the folder that it waits in is about to be removed.
    """
    try:
        if path.exists():
            os.replace(path, old)
        os.replace(made, path)
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise


def _history(replaced: Manifest) -> tuple[Acceptance, ...]:
    last = Acceptance(accepted=replaced.accepted, reason=replaced.reason, runs=replaced.runs)
    return (*replaced.history, last)


def _read(path: Path) -> Manifest:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"this baseline is damaged: {error}.", where=str(path)) from None
    if not isinstance(stored, dict):
        raise UserError("this baseline is damaged: it is no table.", where=str(path))
    return build(Manifest, stored, where=str(path))
