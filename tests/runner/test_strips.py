"""Filmstrips of a model: which prompts, which frames, and what is left where tracing fails."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from trilemma.generator import GeneratorInfo, Noised
from trilemma.runner.plan import Planned
from trilemma.runner.strips import shown_frames, trace_strips, traced_entries
from trilemma.store.layout import RunFolder
from trilemma.store.strips import Strips, read_strips


class Slow:
    """Forty steps from black to white; told which of its calls fail."""

    def __init__(self, *capabilities: str, failing: str = "") -> None:
        able = frozenset(capabilities)
        self.info = GeneratorInfo(name="slow", family="slow", resolution=8, parameters=1, capabilities=able)
        self.evaluations, self.failing, self.calls = 0, failing, 0

    def trace(self, prompts: list[str], seeds: list[int]) -> list[torch.Tensor]:
        self.calls += 1
        self.evaluations += 40
        if self.failing == "size":
            return [torch.zeros(1, 3, 9, 9, dtype=torch.uint8)]
        if prompts[0] == self.failing:
            raise RuntimeError("no such luck")
        return [torch.full((1, 3, 8, 8), 6 * step, dtype=torch.uint8) for step in range(1, 41)]

    def noise(self, images: torch.Tensor, seeds: list[int]) -> Noised:
        if self.failing == "noise":
            raise RuntimeError("no noise today")
        return Noised(frames=[images // step for step in range(2, 42)], space="pixels")


def entries(*prompts: str) -> dict[str, list[Planned]]:
    planned = [
        Planned(set="s", prompt_id=str(i), index=0, prompt=prompt, key=f"k{i}", seed=i)
        for i, prompt in enumerate(prompts)
    ]
    return {"s": planned}


def strips_of(folder: Path, generator: Slow, *prompts: str) -> Strips | None:
    job = SimpleNamespace(folder=RunFolder(path=folder), name="slow")
    trace_strips(job, generator, {}, entries(*prompts))  # type: ignore[arg-type]
    found = read_strips(job.folder.strips("slow"))
    return None if found is None else found[0]


def test_the_first_prompts_that_differ_are_traced() -> None:
    assert [entry.key for entry in traced_entries(entries("", "a", "a", "b", "", "c", "d"))] == ["k1", "k3", "k5"]
    assert [entry.key for entry in traced_entries(entries("", "", "", ""))] == ["k0", "k1", "k2"]
    assert [entry.key for entry in traced_entries(entries("a"))] == ["k0"]


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 50, 64, 1000])
def test_at_most_ten_frames_are_kept_with_both_ends(length: int) -> None:
    frames = shown_frames(length)
    assert len(frames) == min(length, 10) and frames[-1] == length and frames[0] == 1
    assert list(frames) == sorted(set(frames))


def test_long_strips_say_what_they_leave_out(tmp_path: Path) -> None:
    about = strips_of(tmp_path, Slow("trace", "noising"), "a", "b")
    assert about is not None
    assert [(s.kind, len(s.frames), s.length) for s in about.strips] == [("sampling", 10, 40), ("noising", 10, 41)] * 2
    assert {strip.evaluations for strip in about.strips} == {40, None}


def test_a_model_that_cannot_show_its_way_leaves_none(tmp_path: Path) -> None:
    assert strips_of(tmp_path, Slow(), "a") is None


def test_nothing_is_traced_twice(tmp_path: Path) -> None:
    strips_of(tmp_path, Slow("trace"), "a")
    again = Slow("trace")
    strips_of(tmp_path, again, "a")
    assert again.calls == 0


@pytest.mark.parametrize(
    ("failing", "kinds", "problem"),
    [
        ("b", ["sampling", "noising", "sampling", "noising"], "RuntimeError: no such luck"),
        ("noise", ["sampling"] * 3, "RuntimeError: no noise today"),
        ("size", [], "UserError: the model must return"),
    ],
)
def test_what_fails_is_told_and_the_rest_is_kept(tmp_path: Path, failing: str, kinds: list[str], problem: str) -> None:
    about = strips_of(tmp_path, Slow("trace", "noising", failing=failing), "a", "b", "c")
    assert about is not None
    assert [strip.kind for strip in about.strips] == kinds
    assert about.problems and all(told.startswith(problem) for told in about.problems)


def test_a_model_whose_trace_fails_is_done(driver: ModuleType, root: Path, cache: Path, tmp_path: Path) -> None:
    import shutil

    other = shutil.copytree(root, tmp_path / "workspace")
    card = other / "models" / "traced" / "card.toml"
    card.write_text(card.read_text().replace("trace = 2", "trace = -1"))
    run = driver.drive(other, tmp_path / "runs", cache, "traced", samples=20)
    assert run.record.status == "complete" and run.record.errors == {}
    found = read_strips(run.folder.strips("traced"))
    assert found is not None and found[0].strips == ()
    assert found[0].problems[0] == "RuntimeError: nothing to see <here>"
