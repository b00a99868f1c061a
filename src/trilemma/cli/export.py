"""``export``: runs in the forms that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Root, people, runs_folder
from trilemma.errors import UserError, suggest


def export(
    to: Annotated[str, typer.Option("--to", metavar="csv|parquet|pytest-benchmark|github-action", help="The form.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="Ids, folders, or latest.", show_default=False)
    ] = None,
    all_runs: Annotated[bool, typer.Option("--all", help="All runs that there are.")] = False,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where runs are kept [results/runs of the workspace].", show_default=False),
    ] = None,
    root: Root = None,
) -> None:
    """Writes runs for other tools.

    csv and parquet: one row per number. pytest-benchmark: the timings of one run as its "compare" reads them.
    github-action: the numbers of one run for github-action-benchmark, in two files beside each other: FILE's name with
    .bigger before its end for the tool customBiggerIsBetter, with .smaller for customSmallerIsBetter.

    Example: trilemma export latest --to pytest-benchmark --out timings.json
    """
    if to not in FORMS:
        raise UserError(f'there is no form "{to}".', where="--to", hint=suggest(to, FORMS))
    written = FORMS[to](_paths(run or [], all_runs, runs_folder(root, runs)), out.expanduser())
    people().print(f"Written: {', '.join(map(str, written))}", markup=False, soft_wrap=True)


def _paths(names: list[str], all_runs: bool, runs: Path) -> list[Path]:
    from trilemma.store.run import find_run, run_ids

    if all_runs == bool(names):
        raise UserError("name runs, or give --all.", hint="Such as: export latest --to csv --out numbers.csv")
    paths = [runs / name for name in run_ids(runs)] if all_runs else [find_run(name, runs) for name in names]
    if not paths:
        raise UserError("there are no runs.", where=str(runs))
    return paths


def _csv(paths: list[Path], out: Path) -> list[Path]:
    from trilemma.store.atomic import write_text
    from trilemma.store.exports import TIDY, as_csv, tidy

    write_text(out, as_csv(list(TIDY), tidy(paths)))
    return [out]


def _parquet(paths: list[Path], out: Path) -> list[Path]:
    from trilemma.store.exports import TIDY, tidy
    from trilemma.store.tables import write_rows

    write_rows(out, TIDY, [dict(zip(TIDY, row, strict=True)) for row in tidy(paths)])
    return [out]


def _pytest_benchmark(paths: list[Path], out: Path) -> list[Path]:
    from trilemma.store.atomic import write_json
    from trilemma.store.exports import pytest_benchmark
    from trilemma.store.run import Run

    document = pytest_benchmark(Run(_only(paths)))
    if not document["benchmarks"]:
        raise UserError("nothing was timed in this run.", where=str(paths[0]))
    write_json(out, document)
    return [out]


def _github_action(paths: list[Path], out: Path) -> list[Path]:
    from trilemma.store.atomic import write_json
    from trilemma.store.exports import action_benchmark
    from trilemma.store.run import Run

    entries, missing = action_benchmark(Run(_only(paths)))
    for row in missing:
        people().print(f"left out: {row.model}/{row.metric}: {row.reason}", markup=False, soft_wrap=True)
    written = []
    for which, some in entries.items():
        written.append(out.with_suffix(f".{which}{out.suffix or '.json'}"))
        write_json(written[-1], some)
    return written


def _only(paths: list[Path]) -> Path:
    if len(paths) != 1:
        raise UserError("this form holds one run to a file.", hint="Name one: export latest.")
    return paths[0]


FORMS: dict[str, Callable[[list[Path], Path], list[Path]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "pytest-benchmark": _pytest_benchmark,
    "github-action": _github_action,
}
