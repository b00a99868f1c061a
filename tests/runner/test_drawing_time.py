"""How long images took, of rows with made-up times; and work that is done behind the caller's back."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trilemma import protocols, registry
from trilemma.generator import GeneratorInfo
from trilemma.runner import generate
from trilemma.runner.behind import Behind
from trilemma.runner.channel import Channel
from trilemma.runner.drawing_time import drawing, unknown
from trilemma.runner.job import Instrumentation, Job
from trilemma.runner.plan import plan
from trilemma.runner.storing import Drawn
from trilemma.store.layout import RunFolder
from trilemma.store.tables import SAMPLES, table
from trilemma.workspace import find_workspace


def batch(number: int, attempt: int, start: float, measured: float | None, name: str = "prompted") -> dict[str, Any]:
    """A batch whose images took three quarters of a second to make."""
    return {"set": name, "batch": number, "attempt": attempt, "t_start": start, "t_end": start + 0.75,
            "t_measured": measured}  # fmt: skip


def drawn(*batches: dict[str, Any], attempt: int = 1, seconds: float = 10.0) -> dict[str, Any]:
    """Two images of each batch."""
    return drawing(table(SAMPLES, [row for row in batches for _ in range(2)]), attempt, seconds)


def test_every_batch_counts_once() -> None:
    found = drawn(batch(0, 1, 100.0, 101.0), batch(1, 1, 102.0, 103.0), batch(0, 1, 104.0, 105.5, "unconditional"))
    assert found == {
        "generate_seconds": 2.25, "measure_seconds": 1.25, "wall_seconds": 10.0, "attempts": 1, "status": "ok",
        "reason": None,
    }  # fmt: skip


def test_of_attempts_that_were_killed_counts_what_they_stored() -> None:
    killed = [batch(0, 2, 100.0, 101.0), batch(1, 2, 102.0, 103.0)]
    found = drawn(*killed, batch(2, 5, 9000.0, 9001.0), attempt=5, seconds=4.0)
    assert found["wall_seconds"] == 4.0 + 3.0
    assert found["attempts"] == 2


def test_a_last_attempt_that_only_put_things_together_counts_too() -> None:
    found = drawn(batch(0, 1, 100.0, 101.0), attempt=2, seconds=0.5)
    assert found["wall_seconds"] == 1.5


def test_without_the_times_there_is_a_reason() -> None:
    found = drawn(batch(0, 1, 100.0, None), batch(1, 1, 102.0, 103.0))
    assert (found["generate_seconds"], found["measure_seconds"], found["wall_seconds"]) == (None, None, None)
    assert found["status"] == "skipped" and "version" in found["reason"]
    assert unknown("why")["reason"] == "why" and unknown("why").keys() == found.keys()


class Reusing:
    """A model that draws every batch into the same memory, each with one grey level more."""

    evaluations = 0

    def __init__(self) -> None:
        self.info = GeneratorInfo(name="reusing", family="gan", resolution=32, parameters=None)
        self.images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
        self.calls = [threading.Event() for _ in range(4)]
        self.made = 0

    def generate(self, prompts: list[str], seeds: list[int]) -> torch.Tensor:
        self.images += 1
        self.calls[self.made].set()
        self.made += 1
        return self.images


def test_what_is_stored_is_not_what_comes_after_it(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, stored = Reusing(), []

    def store_when_the_next_is_there(_: Job, number: int, drawn: Drawn, __: frozenset[str]) -> None:
        model.calls[min(number + 1, 3)].wait(60)
        stored.append(sorted(set(drawn.images.flatten().tolist())))

    monkeypatch.setattr(generate, "store_batch", store_when_the_next_is_there)
    protocol = replace(protocols.find_protocol("small", find_workspace(root)), batch_size=2)
    card = registry.find_card("tiny", find_workspace(root))
    job = Job(
        kind="model", folder=RunFolder(path=tmp_path), protocol=protocol, card=card, seed=0, samples=8, device="cpu",
        instruments=Instrumentation(), identity={}, cache=tmp_path,
    )  # fmt: skip
    entries = {"prompted": plan(protocol, 0, 8)["prompted"]}
    messages = io.StringIO()
    generate.generate_sets(job, model, {}, None, entries, Channel(messages))  # type: ignore[arg-type]
    assert stored == [[1], [2], [3], [4]]
    assert [json.loads(line)["done"] for line in messages.getvalue().splitlines()] == [2, 4, 6, 8]


def test_pieces_are_done_in_order_while_the_caller_goes_on() -> None:
    gate, done = threading.Event(), []
    with Behind() as behind:
        behind.do(lambda: done.append(gate.wait(60)))
        assert done == []  # the caller is here before the first piece is done
        gate.set()
        behind.do(lambda: done.append("second"))
    assert done == [True, "second"]


def test_the_second_piece_waits_for_the_first() -> None:
    first, second = threading.Event(), threading.Event()
    with Behind() as behind:
        behind.do(lambda: first.wait(60) and None)
        caller = threading.Thread(target=lambda: behind.do(second.set))
        caller.start()
        assert not second.wait(0.05)
        first.set()
        caller.join(60)
    assert second.is_set()


def test_what_a_piece_raises_the_caller_hears() -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"), Behind() as behind:
        behind.do(fail)
    with pytest.raises(OSError, match="full"), Behind() as behind:
        behind.do(fail)
        behind.do(lambda: None)


def test_the_callers_own_error_comes_first_and_what_was_begun_is_done() -> None:
    done: list[int] = []
    with pytest.raises(RuntimeError, match="the model"), Behind() as behind:
        behind.do(lambda: done.append(1))
        raise RuntimeError("the model fell over")
    assert done == [1]
