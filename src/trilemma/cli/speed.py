"""``speed``: how long models take, and what that is made of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.interleave import chosen_scenarios
from trilemma.cli.options import Device, Json, Out, Quiet, Root, people, print_json
from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    from trilemma.card import Card
    from trilemma.runner.speed_job import SpeedSettings
    from trilemma.runner.speed_run import SpeedRequest
    from trilemma.store.run import Run
    from trilemma.workspace import Workspace

AUTO = "auto"


def speed(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Names, NAME@KNOB=VALUE, card.toml paths, or folders.")
    ],
    scenario: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="single-stream, offline or both [both].", show_default=False),
    ] = None,
    batch_size: Annotated[
        str, typer.Option(metavar="auto|A,B", help="Of offline; auto: 1, 2, 4 ... while it fits and gains.")
    ] = AUTO,
    precision: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="fp32, bf16, fp16: each model at each [its card's own].", show_default=False),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Also each of these compiled.")] = False,
    processes: Annotated[int, typer.Option(metavar="N", help="Fresh ones per model: the replicates.")] = 3,
    calls: Annotated[
        int, typer.Option(metavar="N", help="Least of single-stream per process; p90 needs 44 in all, p99 459.")
    ] = 15,
    seconds: Annotated[float, typer.Option(metavar="S", help="Least that a batch size is timed.")] = 1.0,
    budget: Annotated[float, typer.Option(metavar="S", help="Most for one scenario in one process.")] = 60.0,
    device: Device = "auto",
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Times models in fresh processes, in turn; the same command again continues an unfinished run.

    A batch that does not fit is a line of the record; times in which the GPU was slowed down, or something was
    compiled, do not count; what cannot be had is told with the reason. Nothing else should run meanwhile.

    Example: trilemma speed gan var --precision fp32,bf16 --compile --batch-size 1,16,64
    """
    from trilemma.workspace import find_workspace

    settings = _settings(scenario, batch_size, processes, calls, seconds, budget)
    request = _request(models, precision, compiled, settings, device, out, find_workspace(root))
    finished = _measure(request, quiet=quiet)
    _tell(finished, json=json)
    if finished.record.errors:
        raise typer.Exit(1)


def _settings(
    scenario: str | None, batch_size: str, processes: int, calls: int, seconds: float, budget: float
) -> SpeedSettings:
    from trilemma.runner.speed_job import SpeedSettings
    from trilemma.timing.batch_sweep import AUTO_SIZES

    auto = batch_size.strip() == AUTO
    return SpeedSettings(
        scenarios=tuple(chosen_scenarios(scenario)),
        batch_sizes=AUTO_SIZES if auto else batch_sizes(batch_size),
        auto=auto,
        processes=processes,
        calls=calls,
        seconds=seconds,
        budget_seconds=budget,
    )


def batch_sizes(text: str) -> tuple[int, ...]:
    """Returns the sizes of ``--batch-size``, ascending; raises UserError for what is no list of them."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not part.isdecimal() or int(part) < 1:
            raise UserError(f'"{part}" is no batch size.', where="--batch-size", hint="Such as: auto, or 1,16,64.")
    return tuple(sorted({int(part) for part in parts}))


def entries(models: Sequence[str], precision: str | None, compiled: bool, workspace: Workspace) -> list[Card]:
    """Returns every model at every precision, eager and with ``compiled`` compiled too.

    Raises:
        UserError: an unknown model or precision, or two entries of one name.
    """
    from trilemma.registry import find_card, select

    names = []
    for model in models:
        # A setting that a name states already, the card's own of compiled ones, is not stated twice.
        compiles = [[], ["compile"]] if compiled and not find_card(model, workspace).compile else [[]]
        names += [_named(model, [*chosen, *more]) for chosen in _precisions(precision) for more in compiles]
    return select(names, workspace)


def _precisions(text: str | None) -> list[list[str]]:
    from trilemma.card import PRECISIONS

    if text is None:
        return [[]]
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in PRECISIONS:
            raise UserError(f'there is no precision "{name}".', where="--precision", hint=suggest(name, PRECISIONS))
    if not names:
        raise UserError("no precision is named.", where="--precision")
    return [[name] for name in dict.fromkeys(names)]


def _named(model: str, words: list[str]) -> str:
    """Returns the name of a variant, of a variant too."""
    from trilemma.card import SEPARATOR

    return model if not words else f"{model}{'+' if SEPARATOR in model else SEPARATOR}{'+'.join(words)}"


def _request(
    models: Sequence[str],
    precision: str | None,
    compiled: bool,
    settings: SpeedSettings,
    device: str,
    out: Path | None,
    workspace: Workspace,
) -> SpeedRequest:
    from trilemma.runner.speed_run import SpeedRequest

    return SpeedRequest(
        cards=tuple(entries(models, precision, compiled, workspace)),
        runs=out.expanduser().resolve() if out is not None else workspace.runs,
        settings=settings,
        device=device,
        argv=tuple(sys.argv[1:]),
    )


def _measure(request: SpeedRequest, *, quiet: bool) -> Run:
    from trilemma.runner.display import Display
    from trilemma.runner.speed_run import run_speed

    try:
        return run_speed(request, Display(people(), quiet=quiet))
    except KeyboardInterrupt:
        typer.echo("Cancelled. The same command again goes on from here.", err=True)
        raise typer.Exit(130) from None


def _tell(finished: Run, *, json: bool) -> None:
    from trilemma.cli.speed_table import notes, speed_table
    from trilemma.cli.table import run_as_json
    from trilemma.report import write_report

    page = write_report(finished.folder.path)
    if json:
        print_json(run_as_json(finished) | {"report": str(page)})
    console = people()
    console.print(speed_table(finished))
    for line in notes(finished):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"Run:    {finished.folder.path}", soft_wrap=True, markup=False)
    console.print(f"Report: {page}", soft_wrap=True, markup=False)
