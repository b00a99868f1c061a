"""``stats`` over many files: ``.venv/bin/python -m pytest benchmarks/perf/bench_stats.py -s``.

*Speed*: the whole command, from listing the folder to the written statistics, beside its network alone over the same
images, decoded and in memory, in batches of the same size. Both run in short turns in one process, and the mean of two
turns of the network is divided by the turn of the command between them, since the speed of a machine drifts by more
than what is measured. The files are in the system's memory. Printed are the turns' median ratio by the clock and by the
processor's time, with quartiles and the goal.

*Memory*: one pass over all files in a process of its own; printed are its peak, and what part of its time the network
had. What is asserted is that statistics of all images were written.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from trilemma.data import scenes
from trilemma.data.folder import open_folder
from trilemma.features.extract import ON_PROCESSOR
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.preprocessing import Pixels
from trilemma.features.presets import Preset, preset
from trilemma.features.weights import VARIABLE, WeightsFile, find
from trilemma.scoring import networks
from trilemma.scoring.resolve import Resolver
from trilemma.scoring.score import Options
from trilemma.scoring.stats import write_statistics
from trilemma.timing.clock import peak_rss_bytes

if TYPE_CHECKING:
    from conftest import Sizes

GOAL, GOAL_GB = 0.9, 1.5
RANDOM = "random.pth"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one turn took, in seconds."""

    wall: float
    processor: float

    def __truediv__(self, whole: Spent) -> Spent:
        return Spent(wall=self.wall / whole.wall, processor=self.processor / whole.processor)


@pytest.mark.benchmark(group="stats")
@pytest.mark.parametrize(("name", "files", "turns"), [("scenes", "files_in_turn", 20), ("fid", "few_files", 4)])
def test_speed(
    benchmark: Any, sizes: Sizes, name: str, files: str, turns: int, folder_of: Callable[[int], Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any,
) -> None:  # fmt: skip
    count = getattr(sizes, files)
    folder = folder_of(count)
    used = chosen(name, with_weights(name, tmp_path, monkeypatch))
    extractor = load_extractor(used.recipe)
    images = list(open_folder(folder).images())
    alone(extractor, images[:ON_PROCESSOR])
    network, command = [timed(lambda: alone(extractor, images))], []

    def turn() -> None:
        list(open_folder(folder).images())
        command.append(timed(lambda: whole(folder, tmp_path / "out.npz", used, count)))
        network.append(timed(lambda: alone(extractor, images)))

    benchmark.pedantic(turn, rounds=turns)
    ratios = [
        Spent(wall=(before.wall + after.wall) / 2, processor=(before.processor + after.processor) / 2) / between
        for (before, after), between in zip(pairwise(network), command, strict=True)
    ]
    with capsys.disabled():
        print(f"\nstats, {name}, {count:,} images in turn: the goal is {GOAL} of the network's own speed")
        print(f"by the clock {told([ratio.wall for ratio in ratios])}")
        print(f"by the processor's time {told([ratio.processor for ratio in ratios])}")


@pytest.mark.benchmark(group="stats")
@pytest.mark.parametrize(("name", "files"), [("scenes", "files"), ("fid", "few_files")])
def test_memory(
    benchmark: Any, sizes: Sizes, name: str, files: str, folder_of: Callable[[int], Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any,
) -> None:  # fmt: skip
    count = getattr(sizes, files)
    own_weights = with_weights(name, tmp_path, monkeypatch)
    command = [sys.executable, __file__, str(folder_of(count)), str(tmp_path / "out.npz"), name, str(int(own_weights))]
    answer = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, text=True, check=True))
    found = json.loads(answer.stdout)
    assert found["count"] == count
    with capsys.disabled():
        print(
            f"\nstats, {name}, {count:,} images in one pass: peak memory {found['peak_gb']:.2f} GB, the goal is "
            f"{GOAL_GB}; {count / found['wall']:,.0f} images/s; the network has {found['in_network']:.3f} of the time"
        )


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Returns a folder of so many pictures of Scenes, 32x32."""
    folders: dict[int, Path] = {}

    def folder(count: int) -> Path:
        if count not in folders:
            folders[count] = written(tmp_path_factory.mktemp("images"), count)
        return folders[count]

    return folder


def timed(work: Callable[[], object]) -> Spent:
    start, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(wall=time.perf_counter() - start, processor=time.process_time() - processor)


def alone(extractor: Extractor, images: Sequence[Pixels]) -> None:
    for first in range(0, len(images), ON_PROCESSOR):
        extractor.batch(images[first : first + ON_PROCESSOR])


def whole(folder: Path, out: Path, used: Preset, count: int) -> None:
    options = Options(cache=False)
    assert write_statistics(Resolver().side(str(folder)), out, used, options).features.count == count


def told(ratios: list[float]) -> str:
    low, high = np.quantile(ratios, (0.25, 0.75))
    return f"{statistics.median(ratios):.3f} (quartiles {low:.3f} to {high:.3f}, {len(ratios)} turns)"


def written(folder: Path, count: int) -> Path:
    for start in range(0, count, 1000):
        for number, image in enumerate(scenes.images("train", range(start, min(count, start + 1000))), start):
            Image.fromarray(image).save(folder / f"{number:06d}.png", compress_level=1)
    return folder


def with_weights(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Writes random weights of the same size where the published ones are not at hand, and says whether it did."""
    if all(map(find, preset(name).recipe.files)):
        return False
    from trilemma.features.inception import TFInception

    torch.save(TFInception().state_dict(), folder / RANDOM)
    monkeypatch.setenv(VARIABLE, str(folder))
    return True


def chosen(name: str, own_weights: bool) -> Preset:
    found = preset(name)
    return replace(found, recipe=replace(found.recipe, files=(WeightsFile(name=RANDOM),))) if own_weights else found


def main(folder: str, out: str, name: str, own_weights: str) -> None:
    """One pass of the command, in a process of its own; its time begins when the network is loaded."""
    used = chosen(name, bool(int(own_weights)))
    start = in_network = 0.0
    load, batch = networks.load_networks, Extractor.batch

    def loaded(*arguments: Any) -> networks.Networks:
        nonlocal start
        found = load(*arguments)
        start = time.perf_counter()
        return found

    def watched(extractor: Extractor, images: Sequence[Pixels]) -> dict[str, Any]:
        nonlocal in_network
        start = time.perf_counter()
        arrays = batch(extractor, images)
        in_network += time.perf_counter() - start
        return arrays

    networks.load_networks = loaded  # type: ignore[assignment]
    Extractor.batch = watched  # type: ignore[assignment, method-assign]
    options = Options(cache=False)
    count = write_statistics(Resolver().side(folder), Path(out), used, options).features.count
    wall = time.perf_counter() - start
    print(
        json.dumps({"count": count, "wall": wall, "in_network": in_network / wall, "peak_gb": peak_rss_bytes() / 1e9})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
