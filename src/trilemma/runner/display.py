"""Progress for people, on standard error: one bar per model, with images per second and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(kw_only=True)
class Whole:
    """A bar over ``parts`` of equally many images each."""

    task: TaskID
    parts: int
    images: int
    finished: int


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
        self.whole: Whole | None = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begin_whole(self, name: str, parts: int, waiting: int, images: int) -> None:
        """Shows one bar over all parts of so many images each; those that are finished then lose their own bars."""
        task = self.progress.add_task("", total=parts * images, name=name, stage="", images=True)
        self.whole = Whole(task=task, parts=parts, images=images, finished=parts - waiting)
        self._show_whole(0)

    def begin(self, name: str, total: int, *, stage: str = "loading", images: bool = True) -> None:
        """Shows a bar; ``images`` says whether it counts images."""
        self.tasks[name] = self.progress.add_task("", total=total or None, name=name, stage=stage, images=images)

    def advance(self, name: str) -> None:
        """Moves a bar on by one."""
        self.progress.advance(self.tasks[name])

    def stage(self, name: str, stage: str) -> None:
        """Says what is being done; the bar stays where it is."""
        self.progress.update(self.tasks[name], stage=stage)

    def show(self, name: str, message: Message) -> None:
        """Shows a worker's message."""
        if message["kind"] != "progress":
            return
        counted = {} if message["stage"] == "timing" else {"completed": message["done"], "total": message["total"]}
        self.progress.update(self.tasks[name], stage=message["stage"], **counted)
        self._show_whole(counted.get("completed", 0))

    def end(self, name: str, error: dict[str, str] | None) -> None:
        """Shows how a worker ended."""
        task = self.tasks[name]
        self.progress.update(task, stage="done" if error is None else "failed")
        self.progress.stop_task(task)
        if self.whole is not None:
            self.progress.update(task, visible=False)
            self.whole.finished = min(self.whole.finished + 1, self.whole.parts)
            self._show_whole(0)
        if error is not None:
            self.say(f"{name} failed: {error['type']}: {error['message']}")

    def _show_whole(self, images: int) -> None:
        """Moves the bar over all parts to so many images of the part that is at work."""
        if self.whole is None:
            return
        finished = self.whole.finished
        stage = f"{finished} of {self.whole.parts}"
        self.progress.update(self.whole.task, completed=finished * self.whole.images + images, stage=stage)

    def say(self, text: str) -> None:
        """Prints a line, unless quiet."""
        if not self.quiet:
            self.console.print(text, markup=False, highlight=False)
