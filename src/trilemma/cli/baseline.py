"""``baseline``: pinned, named runs that a gate holds others to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder

if TYPE_CHECKING:
    from trilemma.store.baselines import Baseline

baseline = typer.Typer(
    help="Pinned, named runs that a gate judges by.\n\nExample: trilemma baseline accept main latest --reason WHY",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@baseline.command("accept")
def accept(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as main; not latest: a baseline does not move.")],
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="The first is compared for quality; five or more judge times."),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why these numbers are the ones to hold.")],
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Of these models [all].", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace it; its history keeps the old reason.")] = False,
    out: Out = None,
    root: Root = None,
) -> None:
    """Makes finished runs a baseline under results/baselines, small enough to be committed and reviewed.

    Example: trilemma baseline accept main latest --reason "first release"
    """
    from trilemma.runner.environment import tool
    from trilemma.store.baselines import Proposal
    from trilemma.store.baselines import accept as made
    from trilemma.store.run import Run, find_run
    from trilemma.workspace import find_workspace

    proposal = Proposal(
        name=name,
        runs=[Run(find_run(run, runs_folder(root, out))) for run in runs],
        reason=reason,
        tool=tool(),
        models=None if models is None else [model.strip() for model in models.split(",")],
        replace=replace,
    )
    found = made(proposal, find_workspace(root).baselines)
    people().print(f"Baseline: {found.path}", soft_wrap=True, markup=False)


@baseline.command("list")
def list_(root: Root = None, json: Json = False) -> None:
    """Prints every baseline with its reason.

    Example: trilemma baseline list
    """
    from trilemma.cli.text_table import text_table
    from trilemma.store.baselines import baseline_names, find_baseline
    from trilemma.workspace import find_workspace

    folder = find_workspace(root).baselines
    found = [find_baseline(name, folder) for name in baseline_names(folder)]
    if json:
        print_json([_told(one) for one in found])
        return
    rows = [
        (one.name, told.accepted[:10], told.protocol, ", ".join(told.models), str(len(told.runs)), told.reason)
        for one in found
        for told in [one.manifest]
    ]
    header = ("name", "accepted", "protocol", "models", "runs", "reason")
    people().print(text_table(f"Baselines in {folder}", header, rows))


@baseline.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    root: Root = None,
    json: Json = False,
) -> None:
    """Prints what a baseline holds, where it came from, and what it replaced.

    Example: trilemma baseline show main
    """
    from trilemma.cli.table import metric_table
    from trilemma.store.baselines import find_baseline
    from trilemma.workspace import find_workspace

    found = find_baseline(name, find_workspace(root).baselines)
    found.verify()
    if json:
        print_json(_told(found))
        return
    console, told = people(), found.manifest
    console.print(f"{told.name}, accepted {told.accepted}: {told.reason}", markup=False)
    console.print(f"Runs: {', '.join(told.runs)}; protocol {told.protocol}.", markup=False)
    for before in told.history:
        console.print(f"Before, accepted {before.accepted}: {before.reason}", markup=False)
    console.print(metric_table(found.runs[0]))


def _told(one: Baseline) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(one.manifest)
