"""``sweep``: a model as a frontier: its knobs' settings, what is not dominated, and how much of the cube they take."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Device, Json, Out, Quiet, Root, people, print_json
from trilemma.cli.run import measure

if TYPE_CHECKING:
    from trilemma.runner.run import Request
    from trilemma.runner.settings import Values
    from trilemma.store.run import Run
    from trilemma.workspace import Workspace


def sweep(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Names, card.toml paths, or diffusers folders [those of the protocol whose cards have a sweep].",
            show_default=False,
        ),
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=1,2,4", help="Values of a knob; several make a grid [the cards' own sweeps]."),
    ] = None,
    protocol: Annotated[str, typer.Option(metavar="NAME", help="A protocol's name or TOML file.")] = "scenes",
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="At most N images per set [1024].", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Another seed, other noise for every setting.")] = 0,
    device: Device = "auto",
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measures models at many settings of their knobs; the same command again continues an unfinished sweep.

    Example: trilemma sweep ldm --knob num_inference_steps=4,8,16 --knob guidance_scale=1,2,4
    """
    request = _request(models or [], knob or [], protocol, samples, seed, device, out, root)
    finished = measure(request, quiet=quiet)
    _tell(finished, json=json)
    if finished.record.errors:
        raise typer.Exit(1)


def _request(
    models: list[str],
    knobs: list[str],
    protocol: str,
    samples: int | None,
    seed: int,
    device: str,
    out: Path | None,
    root: Path | None,
) -> Request:
    """Everything is looked at before the first model is loaded to tell its knobs, for that takes seconds."""
    from trilemma.protocols import find_protocol
    from trilemma.registry import select
    from trilemma.runner.plan import plan
    from trilemma.runner.run import Request
    from trilemma.runner.settings import SAMPLES, for_sweeps, parse_knobs, swept_knobs
    from trilemma.workspace import cache_folder, find_workspace

    workspace = find_workspace(root)
    wanted = for_sweeps(find_protocol(protocol, workspace))
    cards = select(models or _declaring(wanted.models, workspace), workspace)
    asked = parse_knobs(knobs)
    values = [swept_knobs(card, asked) for card in cards]
    request = Request(
        protocol=wanted,
        cards=tuple(cards),
        runs=out.expanduser().resolve() if out is not None else workspace.runs,
        cache=cache_folder(),
        samples=SAMPLES if samples is None else samples,
        seed=seed,
        device=device,
        images="grids",  # of so many settings all images would fill the disk
        argv=tuple(sys.argv[1:]),
    )
    request.check()
    plan(wanted, seed, request.samples)
    return _with_settings(request, values)


def _with_settings(request: Request, values: Sequence[Values]) -> Request:
    from trilemma.runner.declared import ModelFailed, declared_knobs
    from trilemma.runner.settings import sweep_of

    try:
        sweeps = [sweep_of(card, v, declared_knobs(card)) for card, v in zip(request.cards, values, strict=True)]
    except ModelFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    return replace(
        request,
        cards=tuple(card for one in sweeps for card in one.cards),
        sweep={one.model.name: one.knobs for one in sweeps},
    )


def _declaring(names: tuple[str, ...], workspace: Workspace) -> list[str]:
    from trilemma.registry import cards

    found = cards(workspace)
    return [name for name in names or found if name in found and found[name].sweep]


def _tell(finished: Run, *, json: bool) -> None:
    from trilemma.cli.frontier_table import frontier_tables
    from trilemma.cli.table import run_as_json
    from trilemma.report import write_report
    from trilemma.store.frontier import read_frontier

    page, found = write_report(finished.folder.path), read_frontier(finished.folder.frontier)
    if json:
        print_json(run_as_json(finished) | {"frontier": asdict(found), "report": str(page)})
    console = people()
    for part in frontier_tables(found):
        console.print(part)
    console.print(f"Run:      {finished.folder.path}", soft_wrap=True, markup=False)
    console.print(f"Report:   {page}", soft_wrap=True, markup=False)
