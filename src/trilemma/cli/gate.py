"""``gate``: finished runs against a pinned baseline, with an exit code that CI can act on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Json, Out, Quiet, Root, people, print_json, runs_folder
from trilemma.errors import UserError

if TYPE_CHECKING:
    from trilemma.tracking.gate import Outcome

Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="For a pull request.", show_default=False),
]
JUnit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.", show_default=False)]


def gate(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="A run's id, its folder or latest; two or more judge times."),
    ],
    baseline: Annotated[str, typer.Option("--baseline", metavar="NAME", help="See: trilemma baseline list.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="What could not be decided fails too, with exit code 3.")
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Times that are REGRESSED are measured again in fresh processes.")
    ] = False,
    checkout: Annotated[
        Path | None,
        typer.Option(
            "--checkout", metavar="DIR", help="The baseline's version, to confirm in turn with it.", show_default=False
        ),
    ] = None,
    markdown: Markdown = None,
    junit: JUnit = None,
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judges every gated series: worse beyond chance and beyond its margin is REGRESSED.

    Exit codes: 0 nothing failed; 1 a gated series is REGRESSED, INVALID or MISSING; 2 a mistake in what was asked, or
    a damaged record; 3 nothing could be decided, or with --strict not everything, or the run has another protocol, seed
    or size than the baseline.

    Example: trilemma gate latest --baseline main --markdown summary.md
    """
    from trilemma.cli.scoring import bars
    from trilemma.store.baselines import find_baseline
    from trilemma.store.run import Run, find_run
    from trilemma.tracking.confirm import confirm as confirmed
    from trilemma.tracking.gate import gate as judged
    from trilemma.workspace import find_workspace

    if checkout is not None and not confirm:
        raise UserError("is for --confirm.", where="--checkout")
    workspace = find_workspace(root)
    found = [Run(find_run(name, runs_folder(root, out))) for name in runs]
    pinned = find_baseline(baseline, workspace.baselines)
    outcome = judged(found, pinned, workspace)
    if confirm:
        with bars(quiet=quiet) as told:
            outcome = confirmed(outcome, found[0], pinned, workspace, checkout, told)
    _write(outcome, markdown, junit, strict=strict)
    _tell(outcome, strict=strict, json=json)
    raise typer.Exit(outcome.exit_code(strict=strict))


def _write(outcome: Outcome, markdown: Path | None, junit: Path | None, *, strict: bool) -> None:
    from trilemma.report.junit import junit as as_junit
    from trilemma.report.verdicts import markdown as as_markdown
    from trilemma.store.atomic import write_text

    if markdown is not None:
        write_text(markdown.expanduser(), as_markdown(outcome, strict=strict))
    if junit is not None:
        write_text(junit.expanduser(), as_junit(outcome, strict=strict))


def _tell(outcome: Outcome, *, strict: bool, json: bool) -> None:
    from trilemma.cli.verdict_table import verdict_table
    from trilemma.report.verdicts import as_rows, headline, totals

    if json:
        print_json(
            {
                "baseline": outcome.baseline,
                "candidate": outcome.candidate,
                "exit_code": outcome.exit_code(strict=strict),
                "verdicts": outcome.count(),
                "facts": outcome.facts,
                "series": as_rows(outcome.series),
            }
        )
        return
    console = people()
    console.print(verdict_table(outcome.gated, f"{outcome.candidate} against the baseline {outcome.baseline}"))
    for model, fields in outcome.facts.items():
        console.print(f"{model}: {'; '.join(fields)}", markup=False)
    console.print(f"{headline(outcome, strict=strict)}: {totals(outcome.count())}.", markup=False)
