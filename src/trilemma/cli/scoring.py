"""The options that ``score`` and ``stats`` share, and their progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from trilemma.cli.options import people

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import TaskID

    from trilemma.scoring.score import Options

Resize = Annotated[
    int | None,
    typer.Option(
        metavar="R", help="Scale shorter sides to R (bicubic) and cut out the centre, R x R.", show_default=False
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="B",
        help="How many images a network sees at a time [16 on a processor, 32 on a GPU].",
        show_default=False,
    ),
]
DType = Annotated[
    str | None,
    typer.Option(metavar="float32|float64", help="What networks compute in [the preset's own].", show_default=False),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch weights, and pictures of the hub, that are missing.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep features.")]
Seed = Annotated[int, typer.Option(metavar="S", help="Draws a model's images; chooses and deals out images otherwise.")]


def options_of(
    resize: int | None,
    batch_size: int | None,
    device: str,
    dtype: str | None,
    download: bool,
    seed: int,
    no_cache: bool,
) -> Options:
    """Returns the options as a score takes them; raises UserError where one is impossible."""
    from trilemma.scoring.score import Options

    return Options(
        resize=resize,
        batch_size=batch_size,
        device=device,
        dtype=cast(Any, dtype),
        download=download,
        seed=seed,
        cache=not no_cache,
    )


@contextmanager
def drawing_may_fail() -> Iterator[None]:
    """Ends the command with exit code 1 where a model could not draw."""
    from trilemma.scoring.drawing import DrawingFailed

    try:
        yield
    except DrawingFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function of a stage's name, how many images are done, and of how many: one bar for each stage."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    progress = Progress(*columns, console=people(), disable=quiet)

    def told(stage: str, done: int, total: int) -> None:
        progress.start()  # not before there is something to show: an error stays one line
        if stage not in tasks:
            tasks[stage] = progress.add_task(stage, total=total)
        progress.update(tasks[stage], completed=done, total=total)

    try:
        yield told
    finally:
        if tasks:
            progress.stop()
