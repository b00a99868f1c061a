"""``run``: measures models under a protocol."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Device, Fetch, Json, Out, Quiet, Root, people, print_json

if TYPE_CHECKING:
    from trilemma.runner.run import Request
    from trilemma.store.run import Run


def run(
    protocol: Annotated[str, typer.Argument(metavar="[PROTOCOL]", help="A protocol's name or TOML file.")] = "scenes",
    models: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Names, NAME@KNOB=VALUE, card.toml paths, or diffusers folders [the protocol's own].",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="At most N images per set: a partial protocol.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Another seed, other noise for every model.")] = 0,
    device: Device = "auto",
    images: Annotated[
        str,
        typer.Option(
            metavar="all|grids|none",
            help="Which images are kept: all, lossless (0.5 to 3 KB each at 32x32: 3 to 17 MB a model under scenes), "
            "grids alone (0.2 MB a model), or none.",
        ),
    ] = "all",
    download: Fetch = False,
    out: Out = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the table as CSV.", show_default=False)
    ] = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measures models; the same command again continues an unfinished run.

    Example: trilemma run scenes --models gan,var --samples 256 --seed 1
    """
    request = _request(protocol, models, samples, seed, device, images, out, root)
    if download:
        from trilemma.runner.fetching import fetch

        fetch(request.protocol)
    finished = measure(request, quiet=quiet)
    if csv is not None:
        from trilemma.cli.table import write_csv

        write_csv(finished, csv)
    _tell(finished, json=json)
    if finished.record.errors:
        raise typer.Exit(1)


def _request(
    protocol: str,
    models: str | None,
    samples: int | None,
    seed: int,
    device: str,
    images: str,
    out: Path | None,
    root: Path | None,
) -> Request:
    from trilemma.at_hand import competing
    from trilemma.claims.stated import load_claims
    from trilemma.protocols import find_protocol
    from trilemma.registry import select
    from trilemma.runner.kept import kept_of
    from trilemma.runner.run import Request
    from trilemma.workspace import cache_folder, find_workspace

    workspace = find_workspace(root)
    load_claims(workspace)  # a mistake in them is told now, not by the report after hours of measuring
    wanted = find_protocol(protocol, workspace)
    names = [name.strip() for name in models.split(",") if name.strip()] if models is not None else wanted.models
    return Request(
        protocol=wanted,
        cards=tuple(select(names or competing(workspace, wanted), workspace, wanted)),
        runs=out.expanduser().resolve() if out is not None else workspace.runs,
        cache=cache_folder(),
        samples=samples,
        seed=seed,
        device=device,
        images=kept_of(images),
        argv=tuple(sys.argv[1:]),
    )


def measure(request: Request, *, quiet: bool) -> Run:
    """Does a run with bars for people; its failure and Ctrl-C end the command with their exit codes."""
    from trilemma.runner.display import Display
    from trilemma.runner.run import ReferenceFailed, run_benchmark

    display = Display(people(), quiet=quiet)
    try:
        return run_benchmark(request, display)
    except ReferenceFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("Cancelled. The same command again goes on from here.", err=True)
        raise typer.Exit(130) from None


def _tell(finished: Run, *, json: bool) -> None:
    from trilemma.cli.table import run_as_json, summary_table
    from trilemma.report import write_report

    page = write_report(finished.folder.path)
    if json:
        print_json(run_as_json(finished) | {"report": str(page)})
    console = people()
    console.print(summary_table(finished))
    for model, error in finished.record.errors.items():
        console.print(f"{model} failed: {error['type']}: {error['message']}", markup=False)
    console.print(f"Run:    {finished.folder.path}", soft_wrap=True, markup=False)
    console.print(f"Report: {page}", soft_wrap=True, markup=False)
