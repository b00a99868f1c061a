"""``calibrate``: how much identical versions differ on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.interleave import AllowBusy, BatchSize, Models, chosen_models
from trilemma.cli.options import Device, Json, Out, Quiet, Root, people, print_json
from trilemma.cli.text_table import text_table

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.store.run import Run
    from trilemma.tracking.calibrate import Plan
    from trilemma.tracking.calibration import Calibration, Noise


def calibrate(
    protocol: Annotated[str, typer.Argument(metavar="[PROTOCOL]", help="A protocol's name or TOML file.")] = "scenes",
    models: Models = None,
    sessions: Annotated[int, typer.Option(metavar="N", help="How often each model is timed.")] = 5,
    runs: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Complete runs of one version, for quality.", show_default=False),
    ] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    replace: Annotated[bool, typer.Option("--replace", help="Replace the calibration of this machine.")] = False,
    allow_busy: AllowBusy = False,
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Times this checkout against itself and writes results/calibration/PROTOCOL-HARDWARE.json, which widens margins.

    Every series is timed in fresh processes that lie apart in time; with --runs, repeated runs give the noise of
    quality too. Sigma is the standard deviation of the difference between two identical versions.

    Example: trilemma calibrate scenes --models gan,var --sessions 5
    """
    from trilemma.protocols import find_protocol
    from trilemma.runner.devices import check_device
    from trilemma.tracking.calibrate import Plan
    from trilemma.workspace import find_workspace

    check_device(device)
    workspace = find_workspace(root)
    wanted = find_protocol(protocol, workspace)
    plan = Plan(
        protocol=wanted,
        cards=tuple(chosen_models(models, wanted, root)),
        results=workspace.results,
        sessions=sessions,
        batch_size=batch_size,
        device=device,
        runs=_runs(runs, root, out),
        replace=replace,
        allow_busy=allow_busy,
    )
    path, found = _measure(plan, quiet=quiet)
    _tell(path, found, json=json)


def _runs(names: str | None, root: Path | None, out: Path | None) -> tuple[Run, ...]:
    from trilemma.cli.options import runs_folder
    from trilemma.store.run import Run, find_run

    given = [] if names is None else [name.strip() for name in names.split(",") if name.strip()]
    return tuple(Run(find_run(name, runs_folder(root, out))) for name in given)


def _measure(plan: Plan, *, quiet: bool) -> tuple[Path, Calibration]:
    from trilemma.cli.scoring import bars
    from trilemma.tracking.calibrate import CalibrationFailed, calibrate
    from trilemma.tracking.calibration import write_calibration

    try:
        with bars(quiet=quiet) as told:
            path, found = calibrate(plan, told)
    except CalibrationFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    write_calibration(path, found)
    return path, found


def _tell(path: Path, found: Calibration, *, json: bool) -> None:
    from dataclasses import asdict

    from trilemma.runner.busy import BUSY_CORES

    if json:
        print_json({"path": str(path), **asdict(found)})
    console = people()
    console.print(_table(found))
    if found.load_of_others > BUSY_CORES:
        busy = f"other processes used up to {found.load_of_others:.1f} cores"
        console.print(f"warning: busy machine, {busy}: these margins are too wide.", markup=False)
    console.print(f"Calibration: {path}", soft_wrap=True, markup=False)


def _table(found: Calibration) -> Table:
    rows = [(one.model, one.metric, _sigma(one), str(one.pairs), one.method) for one in found.series]
    return text_table("Noise between identical versions", ("model", "metric", "sigma", "pairs", "of"), rows)


def _sigma(one: Noise) -> str:
    from trilemma.report.numbers import with_error

    if one.sigma is None:
        return one.reason or ""
    return f"{one.sigma:.2%}" if one.unit == "log" else f"{with_error(one.sigma)} {one.unit}".strip()
