"""Whole runs of models that live elsewhere: images that exist already, and a factory in a Python of its own."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from trilemma.cli import main
from trilemma.metrics.catalog import METRICS
from trilemma.report import write_report
from trilemma.runner.speed import depends_on_machine
from trilemma.store.run import Run

ELSEWHERE = """
class Model:
    def generate(self, prompts, seeds):
        values = b"".join(self.image(prompt, seed) for prompt, seed in zip(prompts, seeds))
        return memoryview(values).cast("B", (len(prompts), 3, 32, 32))

    def image(self, prompt, seed):
        return bytes((seed + 7 * place + len(prompt)) % 256 for place in range(32 * 32)) * 3

def build(card, device):
    return Model()
"""


@pytest.fixture(scope="module")
def brought(
    finished: Run, driver: ModuleType, root: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Run]:
    """The images of the model "tiny" as files, and a factory in a Python of its own: their run, and that of tiny."""
    other = tmp_path_factory.mktemp("brought")
    (other / "benchmarks").mkdir()
    shutil.copy(root / "benchmarks" / "small.toml", other / "benchmarks")
    service, elsewhere = other / "models" / "service", other / "models" / "elsewhere"
    for folder in (service, elsewhere):
        folder.mkdir(parents=True)
    lines = 'name = "service"\nfamily = "samples"\n[options]\nimages = "out"\nassign = "names"\n'
    (service / "card.toml").write_text(lines)
    write_images(finished, service / "out")
    (elsewhere / "adapter.py").write_text(ELSEWHERE)
    lines = f'name = "elsewhere"\nfactory = "adapter:build"\npython = {json.dumps(sys.executable)}\n'
    (elsewhere / "card.toml").write_text(lines)
    run = driver.drive(other, tmp_path_factory.mktemp("runs"), cache, "service,elsewhere")
    return run, finished


def write_images(run: Run, folder: Path) -> None:
    """Writes what the model "tiny" drew as lossless files called after their samples."""
    from tiny import load as load_tiny  # the made-up family of this folder's fakes

    from trilemma.card import Card

    generator = load_tiny(Card(name="tiny", family="tiny", path=folder), "cpu")
    for row in run.samples("tiny").itertuples():
        pixels = generator.generate([row.prompt], [row.seed])[0].permute(1, 2, 0).numpy()
        path = folder / row.set / f"{row.key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def test_images_that_exist_are_measured_as_the_models_own(brought: tuple[Run, Run]) -> None:
    run, own = brought
    assert not run.record.errors
    assert run.samples("service")["image_sha256"].tolist() == own.samples("tiny")["image_sha256"].tolist()
    told = {row.metric: row for row in run.rows if row.model == "service"}
    wanted = {row.metric: row for row in own.rows if row.model == "tiny"}
    assert told.keys() == wanted.keys()
    for name, row in wanted.items():
        if METRICS[name].axis in ("quality", "diversity") or name in ("score_quality", "score_diversity"):
            assert told[name].value == row.value, name


def test_their_speed_is_marked_not_measured(brought: tuple[Run, Run]) -> None:
    run, _ = brought
    rows = {row.metric: row for row in run.rows if row.model == "service"}
    about = ("parameters", "evaluations_per_image", "flops_per_image")
    silent = [name for name in rows if depends_on_machine(name) or name in about]
    assert {"images_per_second", "latency_batch1", "score_speed", "peak_memory", *about} <= set(silent)
    for name in silent:
        assert (rows[name].value, rows[name].status) == (None, "skipped"), name
        assert "exist already" in (rows[name].reason or ""), name
    assert run.samples("service")["evaluations"].isna().all()
    assert run.timings("service").empty


def test_a_python_of_its_own_is_timed_with_the_way_there_and_back(brought: tuple[Run, Run]) -> None:
    run, _ = brought
    rows = {row.metric: row for row in run.rows if row.model == "elsewhere"}
    assert (rows["images_per_second"].value or 0) > 0 and (rows["load_seconds"].value or 0) > 0
    for name in ("peak_memory", "flops_per_image", "parameters", "evaluations_per_image"):
        assert rows[name].value is None and rows[name].status == "skipped" and rows[name].reason, name
    info = run.record.models["elsewhere"]["info"]
    assert info["runtime"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert run.record.cards["elsewhere"]["python"] == sys.executable


def test_the_report_is_written(brought: tuple[Run, Run]) -> None:
    page = write_report(brought[0].folder.path).read_text()
    assert "exist already" in page and "a Python of its own" in page


def test_too_few_images_stop_the_model_before_anything_is_measured(
    driver: ModuleType, root: Path, finished: Run, cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "few"
    (folder / "out" / "prompted").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(folder / "out" / "prompted" / "1.png")
    (folder / "card.toml").write_text('name = "few"\nfamily = "samples"\n[options]\nimages = "out"\nassign = "names"\n')
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(root / "benchmarks" / "small.toml", tmp_path / "benchmarks")
    few = driver.drive(tmp_path, tmp_path / "runs", cache, "few")
    assert few.record.errors["few"]["type"] == "UserError"
    assert "224 of 224 samples have no image" in few.record.errors["few"]["message"]
    assert few.record.counts["few"]["done"] == 0


def test_prompts_of_the_command_are_those_of_the_run(
    finished: Run, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", "small", "--root", str(root)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out), delimiter="\t"))
    samples = finished.samples("tiny")
    assert [row["key"] for row in rows] == samples["key"].tolist()
    assert [row["prompt"] for row in rows] == samples["prompt"].tolist()
