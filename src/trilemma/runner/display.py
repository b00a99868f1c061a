"""Progress for people, on standard error: one bar per model, with images per second and the time that is left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from trilemma.runner.launch import Message


class RateColumn(ProgressColumn):
    """Images per second of late, for workers that make images."""

    def render(self, task: Task) -> Text:
        """Returns such as ``812 images/s``; nothing while there is nothing to divide."""
        speed = task.finished_speed or task.speed
        shown = f"{speed:,.0f} images/s" if speed and task.fields["images"] else ""
        return Text(shown, style="progress.data.speed")


class Display:
    """One bar for each worker, by name."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.progress = Progress(
            TextColumn("{task.fields[name]:<14}"),
            TextColumn("{task.fields[stage]:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet,
        )
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begin(self, name: str, total: int, *, stage: str = "loading", images: bool = True) -> None:
        """Shows a bar; ``images`` says whether it counts images."""
        self.tasks[name] = self.progress.add_task("", total=total or None, name=name, stage=stage, images=images)

    def advance(self, name: str) -> None:
        """Moves a bar on by one."""
        self.progress.advance(self.tasks[name])

    def show(self, name: str, message: Message) -> None:
        """Shows a worker's message."""
        if message["kind"] != "progress":
            return
        counted = {} if message["stage"] == "timing" else {"completed": message["done"], "total": message["total"]}
        self.progress.update(self.tasks[name], stage=message["stage"], **counted)

    def end(self, name: str, error: dict[str, str] | None) -> None:
        """Shows how a worker ended."""
        task = self.tasks[name]
        self.progress.update(task, stage="done" if error is None else "failed")
        self.progress.stop_task(task)
        if error is not None:
            self.say(f"{name} failed: {error['type']}: {error['message']}")

    def say(self, text: str) -> None:
        """Prints a line, unless quiet."""
        if not self.quiet:
            self.console.print(text, markup=False, highlight=False)
