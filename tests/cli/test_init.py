"""A new user's first hour: ``init`` in an empty folder, and what its README says to do next."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trilemma import registry
from trilemma.cli import main
from trilemma.store.run import Run
from trilemma.workspace import find_workspace

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ".gitignore", "README.md", "benchmarks/custom.toml", "models/mine/card.toml", "models/mine/generator.py",
    "photos/README.md",
}  # fmt: skip
PHOTOS = 400


@pytest.fixture
def lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["init", str(tmp_path / "lab")]) == 0
    capsys.readouterr()
    return tmp_path / "lab"


def test_it_says_what_it_has_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "new" / "lab"), "--json"]) == 0
    printed = capsys.readouterr()
    assert set(json.loads(printed.out)["files"]) == FILES
    found = {path.relative_to(tmp_path / "new" / "lab").as_posix() for path in (tmp_path / "new").rglob("*.*")}
    assert {name for name in found if (tmp_path / "new" / "lab" / name).is_file()} == FILES
    assert "README.md says it" in printed.err


def test_the_working_folder_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.tex").touch()
    assert main(["init"]) == 0
    assert (tmp_path / "models" / "mine" / "card.toml").is_file() and (tmp_path / "thesis.tex").is_file()


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_is_ever_overwritten(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {tmp_path / name}: this is there already") and printed.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == "mine"


def test_where_nothing_can_be_written_one_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models").touch()
    assert main(["init", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert "cannot write here" in printed and printed.count("\n") == 1


def test_what_it_writes_is_valid(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(lab), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(model["name"], model["missing"]) for model in listed["models"]] == [("mine", None)]
    assert [protocol["name"] for protocol in listed["protocols"]] == ["custom"]


def test_its_python_is_as_ours(lab: Path) -> None:
    code = lab / "models" / "mine" / "generator.py"
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--config", str(ROOT / "pyproject.toml"), str(code)]
        assert subprocess.run(command, capture_output=True).returncode == 0


def test_its_model_keeps_the_promises(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "generator", raising=False)
    generator = registry.load(registry.find_card("mine", find_workspace(lab)), "cpu")
    state = torch.get_rng_state()
    seeds = list(range(1, 9))
    together = generator.generate([""] * 8, seeds)
    alone = torch.cat([generator.generate(["x"], [seed]) for seed in seeds])
    assert together.shape == (8, 3, 32, 32) and together.dtype == torch.uint8
    assert torch.equal(together, alone) and torch.equal(state, torch.get_rng_state())
    assert len({image.numpy().tobytes() for image in together}) == 8
    assert generator.evaluations == 16
    assert generator.generate([""], [1], contrast=0.0).unique().tolist() == [128]


def test_without_images_one_line_says_where_they_belong(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "custom", "--root", str(lab)]) == 2
    printed = capsys.readouterr().err
    assert str(lab / "photos") in printed.replace("benchmarks/../", "") and "there are no images here" in printed
    assert printed.count("\n") == 1


def photos(folder: Path, count: int = PHOTOS) -> None:
    """Pictures as a camera leaves them: coarse colours, fine grain, upright and lying."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC), dtype=np.int16)
        grained = (picture + rng.integers(-4, 5, picture.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grained[: 40 + number % 9]).save(folder / f"{number}.jpg")


def test_with_too_few_images_one_line_says_how_many(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos(lab / "photos", 30)
    assert main(["run", "custom", "--root", str(lab)]) == 2
    assert 'split "first-half" of "../photos" has 15 images; 200 are needed' in capsys.readouterr().err


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The shell commands of the guide and of the README that ``init`` writes, typed one after the other."""
    home = tmp_path_factory.mktemp("home")
    photos(home / "Pictures")
    (home / "bin").mkdir()
    command = home / "bin" / "trilemma"
    command.write_text(f"#!{sys.executable} -P\nfrom trilemma.cli import main\nraise SystemExit(main())\n")
    command.chmod(0o755)
    begin = script((ROOT / "docs" / "your-model.md").read_text()).splitlines()[:2]
    assert [line.split("#")[0].strip() for line in begin] == ["trilemma init lab", "cd lab"]
    template = ROOT / "src" / "trilemma" / "templates" / "README.md.template"
    told = subprocess.run(
        ["bash", "-ec", "\n".join([*begin, script(template.read_text())])],
        cwd=home, capture_output=True, text=True, env=variables(home),
    )  # fmt: skip
    return home / "lab", told


def variables(home: Path) -> dict[str, str]:
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {
        "HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "TRILEMMA_CACHE": str(home / "cache"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200",
    }  # fmt: skip


def script(text: str) -> str:
    found: list[str] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return found[0]


@pytest.mark.slow
def test_the_readme_s_commands_work_as_they_stand(hour: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    lab, told = hour
    assert told.returncode == 0, told.stderr
    runs = [Run(folder) for folder in sorted((lab / "results" / "runs").iterdir())]
    assert [run.record.spec["protocol"]["name"] for run in runs] == ["scenes", "custom"]
    assert [run.models for run in runs] == [["gan", "mine"], ["mine"]]
    assert all(run.record.status == "complete" and (run.folder.path / "report.html").is_file() for run in runs)


@pytest.mark.slow
def test_its_numbers_are_all_there(hour: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    lab, _ = hour
    run = Run(sorted((lab / "results" / "runs").iterdir())[-1])
    rows = {row.metric: row for row in run.rows}
    assert [name for name, row in rows.items() if row.value is None] == ["flops_per_image"]  # no network, no operations
    assert rows["score_quality"].se is not None and rows["score_diversity"].se is not None
    assert rows["fd"].params["reference"] and rows["fd"].n_reference == 200
