"""Models with random weights take part in ``speed`` only, and every verb that judges says so before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trilemma.cli import main
from trilemma.cli.run import _request

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with a model, one with random weights, and a protocol that names no models."""
    for name, more in (("gan", ""), ("big", 'weights = "random"')):
        (tmp_path / "models" / name).mkdir(parents=True)
        text = f'name = "{name}"\nfamily = "var"\ntitle = "The model {name}"\n{more}\n[network]\nclasses = 10\n'
        (tmp_path / "models" / name / "card.toml").write_text(text)
    (tmp_path / "models" / "gan" / "transformer.safetensors").touch()
    (tmp_path / "benchmarks").mkdir()
    text = (CHECKOUT / "benchmarks" / "scenes.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("models =")]
    (tmp_path / "benchmarks" / "scenes.toml").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--models", "gan,big"],
        ["run", "--models", "big@bf16"],
        ["calibrate", "--models", "big"],
        ["compare", "--interleave", str(CHECKOUT), "--models", "big"],
        ["score", "scenes", "big"],
    ],
    ids=" ".join,
)
def test_what_judges_refuses_them(root: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([*command, "--root", str(root)]) == 2
    told = capsys.readouterr().err
    assert " has random weights: it takes part in speed only. Time it: speed big" in told
    assert not (root / "results").exists()


def test_run_without_models_leaves_them_out(root: Path) -> None:
    request = _request("scenes", None, None, 0, "cpu", "none", None, root)
    assert [card.name for card in request.cards] == ["gan"]


def test_a_protocol_that_names_one_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "benchmarks" / "scenes.toml"
    path.write_text('models = ["big"]\n' + path.read_text())
    assert main(["run", "--root", str(root)]) == 2
    assert '"big" has random weights' in capsys.readouterr().err


def test_they_have_no_recipe(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "big", "--root", str(root)]) == 2
    assert '"big" has no training recipe' in capsys.readouterr().err


def test_list_marks_them(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(root)]) == 0
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert [line for line in lines if line.startswith("big ")][0].endswith("speed only (random weights)")
    assert [line for line in lines if line.startswith("gan ")][0].endswith("everything")
    assert main(["list", "--root", str(root), "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert {model["name"]: model["random_weights"] for model in models} == {"big": True, "gan": False}
