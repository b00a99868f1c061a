"""The verbs, in the order of a day's work."""

from __future__ import annotations

from typing import Annotated

import typer

from trilemma import __version__
from trilemma.cli.baseline import baseline
from trilemma.cli.calibrate import calibrate
from trilemma.cli.calibrate_metrics import calibrate_metrics
from trilemma.cli.compare import compare
from trilemma.cli.convert import convert
from trilemma.cli.explain_diff import explain_diff
from trilemma.cli.export import export
from trilemma.cli.fetch import fetch
from trilemma.cli.gate import gate
from trilemma.cli.history import history
from trilemma.cli.init import init
from trilemma.cli.list import list_
from trilemma.cli.prepare import prepare
from trilemma.cli.prompts import prompts
from trilemma.cli.query import query
from trilemma.cli.report import report
from trilemma.cli.run import run
from trilemma.cli.runs import runs
from trilemma.cli.score import score
from trilemma.cli.show import show
from trilemma.cli.speed import speed
from trilemma.cli.stats import stats
from trilemma.cli.sweep import sweep
from trilemma.cli.train import train

app = typer.Typer(
    help="Measures what an image generator gives up: quality, diversity or speed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Measures what an image generator gives up: quality, diversity or speed."""


app.command("init")(init)
app.command("list")(list_)
app.command("fetch")(fetch)
app.command("prompts")(prompts)
app.command("run")(run)
app.command("speed")(speed)
app.command("sweep")(sweep)
app.command("train")(train)
app.command("prepare")(prepare)
app.command("report")(report)
app.command("runs")(runs)
app.command("show")(show)
app.command("compare")(compare)
app.command("gate")(gate)
app.add_typer(baseline, name="baseline")
app.command("calibrate")(calibrate)
app.command("query")(query)
app.command("export")(export)
app.command("history")(history)
app.command("score")(score)
app.command("stats")(stats)
app.command("calibrate-metrics")(calibrate_metrics)
app.command("explain-diff")(explain_diff)
app.command("convert")(convert)
