"""A workspace whose models need no network, and other checkouts of this suite beside it."""

import os
import shutil
from pathlib import Path

import pytest

import trilemma
from trilemma.protocols import find_protocol
from trilemma.registry import find_card
from trilemma.workspace import find_workspace

FAKES = Path(__file__).parent / "fakes"
SOURCE = Path(trilemma.__file__).resolve().parent
MODELS = {"renderer": "", "crashing": "crash = true", "dying": "die = true", "lingering": "sleep = 60.0"}


@pytest.fixture(autouse=True)
def _workers_find_the_fakes(monkeypatch):
    """Workers import a torch that takes no seconds; this process keeps the real one."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), *([before] if before else [])]))


def make_workspace(root: Path) -> Path:
    (root / "benchmarks").mkdir(parents=True)
    shutil.copy(FAKES / "small.toml", root / "benchmarks")
    for name, options in MODELS.items():
        folder = root / "models" / name
        folder.mkdir(parents=True)
        (folder / "card.toml").write_text(
            f'name = "{name}"\nfactory = "renderer:load"\ntitle = "{name}"\n[options]\n{options}\n'
        )
    return root


def make_checkout(root: Path) -> Path:
    """Another version of the suite: the workspace with a copy of our code."""
    make_workspace(root)
    shutil.copytree(SOURCE, root / "src" / "trilemma", ignore=shutil.ignore_patterns("__pycache__", "_content"))
    return root


@pytest.fixture
def root(tmp_path) -> Path:
    return make_workspace(tmp_path / "workspace")


@pytest.fixture
def other(tmp_path) -> Path:
    return make_checkout(tmp_path / "other")


@pytest.fixture
def ours(tmp_path) -> Path:
    return make_checkout(tmp_path / "ours")


@pytest.fixture
def protocol(root):
    return find_protocol("small", find_workspace(root))


@pytest.fixture
def card_of(root):
    return lambda name: find_card(name, find_workspace(root))


def patch(checkout: Path, file: str, old: str, new: str) -> None:
    path = checkout / "src" / "trilemma" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def slower(other) -> Path:
    """A version that renders every picture twice."""
    once = "    return render(factors(split, indices), resolution)\n"
    patch(other, "data/scenes.py", once, f"    render(factors(split, indices), resolution)\n{once}")
    return other


@pytest.fixture
def older(other) -> Path:
    """A version from before timing jobs: it reads every job as one of a run."""
    patch(other, "runner/job.py", 'if stored["kind"] == "timing":', "if False:")
    return other
