"""The bar over a whole sweep: how far it is, whatever a part of it says."""

from __future__ import annotations

import io

from rich.console import Console

from trilemma.runner.display import Display


def shown(display: Display) -> tuple[str, float]:
    assert display.whole is not None
    task = next(task for task in display.progress.tasks if task.id == display.whole.task)
    return str(task.fields["stage"]), task.completed


def test_the_whole_moves_with_its_parts_and_starts_where_it_was_left() -> None:
    display = Display(Console(file=io.StringIO()))
    display.begin("reference", 0)
    display.end("reference", None)
    display.begin_whole("sweep", parts=4, waiting=3, images=100)
    assert shown(display) == ("1 of 4", 100)
    display.begin("a", 100)
    display.show("a", {"kind": "progress", "stage": "timing", "done": 0, "total": 3})
    assert shown(display) == ("1 of 4", 100)
    display.show("a", {"kind": "progress", "stage": "prompted", "done": 64, "total": 100})
    assert shown(display) == ("1 of 4", 164)
    display.end("a", None)
    assert shown(display) == ("2 of 4", 200)
    display.begin("b", 100)
    display.show("b", {"kind": "progress", "stage": "prompted", "done": 10, "total": 100})
    display.end("b", {"type": "E", "message": "m"})
    assert shown(display) == ("3 of 4", 300)
    visible = [str(task.fields["name"]) for task in display.progress.tasks if task.visible]
    assert visible == ["reference", "sweep"]


def test_a_run_without_a_whole_keeps_every_bar() -> None:
    display = Display(Console(file=io.StringIO()))
    display.begin("a", 100)
    display.show("a", {"kind": "progress", "stage": "prompted", "done": 100, "total": 100})
    display.end("a", None)
    assert display.whole is None and [task.visible for task in display.progress.tasks] == [True]
