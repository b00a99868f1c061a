"""The loop: what a step sees, the average, the checkpoint."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trilemma.data import scenes
from trilemma.data.mnist import open_fashion_mnist
from trilemma.data.scenes_data import ScenesData
from trilemma.training import loop
from trilemma.training.loop import Average, Stage, Step, Trained, learning_rate, run_stage
from trilemma.training.split import TrainingSplit


def flat(trained: Trained) -> dict[str, Tensor]:
    return {f"{module}.{name}": value for module, state in trained.weights.items() for name, value in state.items()}


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second between any two looks at the clock, and a checkpoint every four."""
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 3.5)
    yield


@pytest.mark.parametrize("die_at", (1, 6, 13, 19))
@pytest.mark.usefixtures("slow_clock")
def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, tiny_stage: Any, killed: type[Exception], die_at: int
) -> None:
    undisturbed = run_stage(tiny_stage(), tmp_path / "a", seed=3, quiet=True)
    with pytest.raises(killed):
        run_stage(tiny_stage(die_at=die_at), tmp_path / "b", seed=3, quiet=True)
    assert (tmp_path / "b" / "tiny.pt").exists() == (die_at > 4)
    again = tiny_stage()
    torch.manual_seed(99)  # a new process begins anywhere
    resumed = run_stage(again, tmp_path / "b", seed=3, quiet=True)
    assert len(again.seen) < 20 or die_at == 1
    expected = flat(undisturbed)
    assert flat(resumed).keys() == expected.keys()
    for name, value in flat(resumed).items():
        assert torch.equal(value, expected[name]), name
    assert resumed.images == undisturbed.images == 160


def test_a_finished_run_is_not_trained_again(tmp_path: Path, tiny_stage: Any) -> None:
    first = run_stage(tiny_stage(), tmp_path, seed=3, quiet=True)
    again = tiny_stage()
    second = run_stage(again, tmp_path, seed=3, quiet=True)
    assert again.seen == []
    assert all(torch.equal(value, flat(first)[name]) for name, value in flat(second).items())


def test_the_seed_decides(tmp_path: Path, tiny_stage: Any) -> None:
    one, other = (run_stage(tiny_stage(), tmp_path / str(seed), seed=seed, quiet=True) for seed in (1, 2))
    assert not torch.equal(flat(one)["net.0.weight"], flat(other)["net.0.weight"])


def test_averaged_and_plain_weights(tmp_path: Path, tiny_stage: Any) -> None:
    stage = tiny_stage()
    trained = run_stage(stage, tmp_path, seed=3, quiet=True)
    assert not torch.equal(trained.weights["net"]["0.weight"], stage.net[0].weight)
    assert torch.equal(trained.weights["other"]["weight"], stage.other.weight)


def test_the_average_follows_its_formula() -> None:
    module = nn.BatchNorm1d(2)
    average = Average(module=module, half_life=100)
    expected = module.weight.detach().double().clone()
    for step in range(1, 30):
        with torch.no_grad():
            module.weight.copy_(torch.tensor([step, -step]))
            assert module.num_batches_tracked is not None
            module.num_batches_tracked.add_(1)
        average.update(images_seen=10 * step, batch_size=10)
        half_life = min(100, 0.1 * 10 * step + 10)
        decay = 0.5 ** (10 / half_life)
        expected = decay * expected + (1 - decay) * module.weight.detach()
    torch.testing.assert_close(average.copy["weight"].double(), expected, atol=1e-4, rtol=1e-5)
    assert average.copy["num_batches_tracked"] == 29


def test_half_of_the_average_is_forgotten_in_a_half_life() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = Average(module=module, half_life=100)
    nn.init.ones_(module.weight)
    for _ in range(10):
        average.update(images_seen=10**9, batch_size=10)
    assert average.copy["weight"].item() == pytest.approx(0.5, abs=1e-6)


def test_a_mask_of_infinities_stays_a_mask() -> None:
    module = nn.Module()
    module.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    average = Average(module=module, half_life=100)
    average.update(images_seen=100, batch_size=10)
    assert average.copy["mask"].tolist() == [0.0, -torch.inf]


def test_an_epoch_is_a_permutation() -> None:
    drawn = np.concatenate([loop._indices(7, step, 30, 100) for step in range(10)]).reshape(3, 100)
    for epoch in drawn:
        assert np.array_equal(np.sort(epoch), np.arange(100))
    assert not np.array_equal(drawn[0], drawn[1])
    loop._permutation.cache_clear()
    again = loop._indices(7, 3, 30, 100)  # across the edge of an epoch, from nothing
    assert np.array_equal(again, drawn.reshape(-1)[90:120])
    assert not np.array_equal(loop._indices(8, 0, 30, 100), drawn[0, :30])


def test_a_stage_sees_the_whole_split_and_nothing_beyond(
    tmp_path: Path, tiny_stage: Any, small_fashion_mnist: Path
) -> None:
    stage = tiny_stage(images=400)
    stage.data = TrainingSplit(open_fashion_mnist())
    run_stage(stage, tmp_path, seed=3, quiet=True)
    seen = np.concatenate(stage.seen)
    assert stage.data.count == 200
    assert np.bincount(seen).tolist() == [2] * 200


def test_marks_fire_once_when_their_share_is_reached(tmp_path: Path, tiny_stage: Any) -> None:
    reached: list[tuple[float, int]] = []
    marks = {share: lambda t, share=share: reached.append((share, t.images)) for share in (0.25, 0.33, 0.5)}
    run_stage(tiny_stage(), tmp_path, seed=3, quiet=True, marks=marks)
    assert reached == [(0.25, 40), (0.33, 56), (0.5, 80)]


def test_a_step_is_told_how_far_it_is(tmp_path: Path, tiny_stage: Any) -> None:
    stage = tiny_stage(images=33)  # the last batch is whole: five steps of eight
    run_stage(stage, tmp_path, seed=3, quiet=True)
    assert stage.progress == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_the_log_has_images_seconds_and_losses(tmp_path: Path, tiny_stage: Any) -> None:
    run_stage(tiny_stage(images=8 * 120), tmp_path, seed=3, quiet=True)
    rows = [json.loads(line) for line in (tmp_path / "tiny.jsonl").read_text().splitlines()]
    assert [row["images"] for row in rows] == [400, 800, 960]
    assert all(row.keys() == {"images", "seconds", "loss"} for row in rows)


def test_rows_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    loop._forget_log(path, 0)
    assert not path.exists()
    rows = [json.dumps({"images": images, "seconds": 1.0, "loss": 0.5}) for images in (400, 800, 1200)]
    path.write_text("\n".join(rows) + "\n")
    loop._forget_log(path, 800)
    assert path.read_text() == "\n".join(rows[:2]) + "\n"
    loop._forget_log(path, 0)
    assert path.read_text() == ""


@pytest.mark.usefixtures("slow_clock")
def test_a_killed_run_leaves_the_log_of_an_undisturbed_one(
    tmp_path: Path, tiny_stage: Any, killed: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    run_stage(tiny_stage(), tmp_path / "a", seed=3, quiet=True)
    with pytest.raises(killed):
        run_stage(tiny_stage(die_at=11), tmp_path / "b", seed=3, quiet=True)
    again = tiny_stage()
    run_stage(again, tmp_path / "b", seed=3, quiet=True)
    assert 9 < len(again.seen) < 20  # some steps were done, and logged, a second time
    undisturbed, resumed = (
        [json.loads(line) for line in (tmp_path / name / "tiny.jsonl").read_text().splitlines()] for name in "ab"
    )
    assert [(row["images"], row["loss"]) for row in resumed] == [(row["images"], row["loss"]) for row in undisturbed]


class Diverging(Stage):
    name = "diverging"
    data = TrainingSplit(ScenesData())
    images, batch_size = 80, 8
    averaged = ()
    modules: dict[str, nn.Module] = {}  # noqa: RUF012
    optimizers: dict[str, torch.optim.Optimizer] = {}  # noqa: RUF012

    def step(self, step: Step) -> dict[str, Tensor]:
        return {"loss": torch.tensor(float("nan"))}


def test_divergence_raises(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="diverged after 80 images"):
        run_stage(Diverging(), tmp_path, seed=1, quiet=True)
    assert not (tmp_path / "diverging.pt").exists()


def test_a_stage_must_have_a_step() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Stage()  # type: ignore[abstract]


def test_the_learning_rate_warms_up_and_decays() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)

    def at(progress: float) -> float:
        learning_rate(optimizer, 2.0, progress, warmup=0.1)
        return float(optimizer.param_groups[0]["lr"])

    assert 0 < at(0.0) < 0.05
    assert at(0.05) == pytest.approx(1.0, rel=0.05)
    assert at(0.1) == pytest.approx(2 * (0.05 + 0.95 * 0.5 * (1 + np.cos(0.1 * np.pi))))
    assert at(1.0) == pytest.approx(0.1)
    assert [at(p) for p in (0.2, 0.5, 0.9)] == sorted((at(p) for p in (0.2, 0.5, 0.9)), reverse=True)


def test_pictures_are_those_of_the_training_split() -> None:
    pixels = TrainingSplit(ScenesData()).pictures(np.array([5, 6]), torch.device("cpu"))
    assert pixels.shape == (2, 3, 32, 32)
    back = ((pixels + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(back, scenes.images("train", [5, 6]))


def test_operations_of_a_step_are_counted(tiny_stage: Any) -> None:
    forward = 2 * 8 * (4 * 8 + 8 * 1 + 1 * 1)
    assert forward * 2 < loop.step_flops(tiny_stage()) <= forward * 3
