"""``stats`` over many files: ``.venv/bin/python -m pytest benchmarks/perf/bench_stats.py -s``.

The whole command, from listing the folder to the written statistics, beside its network alone over the same images,
decoded and in memory, in batches of the same size; in turn, each turn of the command in a process of its own, whose
start is left out. Printed are the median of the turns' ratios, by the clock and by the processor's time, and the
process's peak memory, with the goals beside them. What is asserted is that statistics of all images were written.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from trilemma.data import scenes
from trilemma.data.folder import open_folder
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.preprocessing import Pixels
from trilemma.features.presets import Preset, preset
from trilemma.features.weights import VARIABLE, WeightsFile, find

if TYPE_CHECKING:
    from conftest import Sizes

GOAL, GOAL_GIB = 0.9, 1.5
TURNS = 3
BATCH = 32
RANDOM = "random.pth"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one pass took."""

    wall: float
    processor: float
    peak_gib: float = 0.0


@pytest.mark.benchmark(group="stats")
@pytest.mark.parametrize(("name", "size"), [("scenes", "files"), ("fid", "few_files")])
def test_stats(
    benchmark: Any, sizes: Sizes, name: str, size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    count = getattr(sizes, size)
    folder = written(tmp_path / "images", count)
    own_weights = with_weights(name, tmp_path, monkeypatch)
    extractor = load_extractor(chosen(name, own_weights).recipe)
    images = list(open_folder(folder).images())
    alone(extractor, images[:BATCH])
    turns: list[tuple[Spent, Spent]] = []
    arguments = (folder, tmp_path / "out.npz", name, own_weights)
    benchmark.pedantic(lambda: turns.append((alone(extractor, images), whole(*arguments, count))), rounds=TURNS)
    with capsys.disabled():
        print(told(name, count, turns))


def alone(extractor: Extractor, images: Sequence[Pixels]) -> Spent:
    start, processor = time.perf_counter(), time.process_time()
    for first in range(0, len(images), BATCH):
        extractor.batch(images[first : first + BATCH])
    return Spent(wall=time.perf_counter() - start, processor=time.process_time() - processor)


def whole(folder: Path, out: Path, name: str, own_weights: bool, count: int) -> Spent:
    command = [sys.executable, __file__, str(folder), str(out), name, str(int(own_weights))]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout)
    assert found.pop("n") == count
    return Spent(**found)


def told(name: str, count: int, turns: list[tuple[Spent, Spent]]) -> str:
    ratios = [(network.wall / command.wall, network.processor / command.processor) for network, command in turns]
    by_clock, by_processor = (statistics.median(values) for values in zip(*ratios, strict=True))
    speed = count / statistics.median(command.wall for _, command in turns)
    peak = max(command.peak_gib for _, command in turns)
    each = ", ".join(f"{clock:.2f}/{processor:.2f}" for clock, processor in ratios)
    return (
        f"\nstats, {name}, N = {count:,}: {by_clock:.3f} of the network's own speed by the clock, "
        f"{by_processor:.3f} by the processor's time ({each}); the goal is {GOAL}\n"
        f"{speed:,.0f} images/s; peak memory {peak:.2f} GiB, the goal is {GOAL_GIB}"
    )


def written(folder: Path, count: int) -> Path:
    """A folder of pictures of Scenes, 32x32."""
    folder.mkdir()
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
    """One turn of the command, in a process of its own."""
    from trilemma.scoring.networks import load_networks
    from trilemma.scoring.resolve import Resolver
    from trilemma.scoring.score import Options
    from trilemma.scoring.stats import write_statistics

    used = chosen(name, bool(int(own_weights)))
    load_networks((used,), "cpu", None, False)  # imports what the network is made of
    start, processor = time.perf_counter(), time.process_time()
    options = Options(batch_size=BATCH, cache=False)
    found = write_statistics(Resolver().side(folder), Path(out), used, options)
    wall, processor = time.perf_counter() - start, time.process_time() - processor
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({**asdict(Spent(wall=wall, processor=processor, peak_gib=peak_gib)), "n": found.features.count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
