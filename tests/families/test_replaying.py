"""Replaying with a recorder that stands for a CUDA graph: it fills the same output on each replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from trilemma.families.replaying import WARM_UP_CALLS, Replayed, Work, capture


class Recorder:
    """Counts recordings and replays; a replay computes anew from the recorded inputs, in the same output."""

    def __init__(self) -> None:
        self.recordings = self.replays = 0

    def __call__(self, work: Work) -> tuple[Tensor, Callable[[], None]]:
        self.recordings += 1
        output = work()

        def replay() -> None:
            self.replays += 1
            output.copy_(work())

        return output, replay


def scaled(x: Tensor, y: Tensor, *, factor: float) -> Tensor:
    return factor * x + y


def test_new_inputs_are_replayed_and_results_kept_apart() -> None:
    recorder = Recorder()
    function = Replayed(scaled, recorder)
    first = function(torch.ones(3), torch.zeros(3), factor=2.0)
    second = function(torch.arange(3.0), torch.ones(3), factor=2.0)
    assert (recorder.recordings, recorder.replays) == (1, 2)
    assert torch.equal(first, torch.full((3,), 2.0))
    assert torch.equal(second, 2 * torch.arange(3.0) + 1)


def test_other_shapes_and_constants_are_recorded_anew() -> None:
    recorder = Recorder()
    function = Replayed(scaled, recorder)
    for size, factor in ((3, 2.0), (4, 2.0), (4, 3.0), (4, 3.0)):
        expected = torch.full((size,), factor)
        assert torch.equal(function(torch.ones(size), torch.zeros(size), factor=factor), expected)
    assert recorder.recordings == 3


def test_what_is_recorded_in_inference_mode_serves_outside_of_it() -> None:
    function = Replayed(scaled, Recorder())
    with torch.inference_mode():
        function(torch.ones(3), torch.zeros(3), factor=2.0)
    assert torch.equal(function(torch.zeros(3), torch.ones(3), factor=2.0), torch.ones(3))


def test_a_recording_that_failed_is_not_replayed() -> None:
    def failing(work: Work) -> tuple[Tensor, Callable[[], None]]:
        raise torch.OutOfMemoryError("too large")

    function = Replayed(scaled, Recorder())
    function(torch.ones(2), torch.ones(2), factor=1.0)
    good, function.record = function.record, failing
    with pytest.raises(torch.OutOfMemoryError):
        function(torch.ones(9), torch.ones(9), factor=1.0)
    function.record = good
    assert torch.equal(function(torch.ones(9), torch.ones(9), factor=1.0), torch.full((9,), 2.0))
    assert torch.equal(function(torch.ones(2), torch.ones(2), factor=1.0), torch.full((2,), 2.0))


def test_what_sets_itself_up_at_first_use_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    @contextmanager
    def recording(graph: object) -> Iterator[None]:
        events.append("begin")
        yield
        events.append("end")

    @contextmanager
    def on(stream: object) -> Iterator[None]:
        yield

    def work() -> Tensor:
        events.append("work")
        return torch.zeros(1)

    stream = SimpleNamespace(wait_stream=lambda other: events.append("wait"))
    graph = SimpleNamespace(replay=lambda: events.append("replay"))
    fakes = {"Stream": lambda: stream, "current_stream": lambda: stream, "stream": on}
    for name, fake in (fakes | {"CUDAGraph": lambda: graph, "graph": recording}).items():
        monkeypatch.setattr(torch.cuda, name, fake)
    _, replay = capture(work)
    replay()
    assert events == ["wait", *["work"] * WARM_UP_CALLS, "wait", "begin", "work", "end", "replay"]
