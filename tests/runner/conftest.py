"""A small workspace with a small protocol and made-up models, and a way to run it."""

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

FAKES = Path(__file__).parent / "fakes"
PROTOCOL = """
name = "small"
version = 1
title = "A small protocol"
resolution = 32
batch_size = 16
metrics = ["fd_scenes", "kid", "precision", "coverage", "clip_score", "prompt_accuracy", "residual", "off_manifold",
    "coverage_unconditional", "precision_within_prompts", "coverage_within_prompts",
    "modes", "mode_tv", "within_prompt_spread", "copy_rate", "fid"]
[[sets]]
name = "prompted"
prompts = "captions"
split = "prompts"
images = 64
[[sets]]
name = "unconditional"
prompts = "none"
images = 64
[[sets]]
name = "within_prompt"
prompts = "repeated"
split = "prompts-within"
images = 96
images_per_prompt = 12
[extractors]
features = "none"
reader = "none"
clip = "none"
[reference]
images = 160
heldout_images = 128
floor_images = 192
training_images = 300
[speed]
batch_sizes = [1, 4]
min_seconds = 0.001
min_calls = 2
budget_seconds = 5.0
"""
MODELS = {
    "tiny": "",
    "loud": "[knobs]\ncontrast = 3.0",
    "linear": "[options]\nwidth = 4",
    "traced": "[options]\ntrace = 2\nnoising = 1",
    "slow": "[options]\nsleep = 0.15",
    "crashing": "[options]\ncrash_after = 40",
    "dying": "[options]\ndie_after = 40",
}


def make_workspace(root: Path) -> Path:
    (root / "benchmarks").mkdir(parents=True)
    (root / "benchmarks" / "small.toml").write_text(PROTOCOL)
    for name, tables in MODELS.items():
        folder = root / "models" / name
        folder.mkdir(parents=True)
        (folder / "card.toml").write_text(f'name = "{name}"\nfactory = "tiny:load"\ntitle = "{name}"\n{tables}\n')
    return root


@pytest.fixture(scope="session", autouse=True)
def _fakes_can_be_imported():
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FAKES), *([before] if before else [])])
    sys.path.insert(0, str(FAKES))
    yield
    sys.path.remove(str(FAKES))
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def finished(root, cache, tmp_path_factory):
    """One run of a good model, one that raises and one whose process dies."""
    from drive import drive

    return drive(root, tmp_path_factory.mktemp("runs"), cache, "tiny,crashing,dying")


@pytest.fixture(scope="session")
def driver(_fakes_can_be_imported) -> ModuleType:
    import drive

    return drive


@pytest.fixture(scope="session")
def second(driver, root, cache, tmp_path_factory):
    """The model "tiny" again, in a workspace where its card gives it another contrast."""
    other = shutil.copytree(root, tmp_path_factory.mktemp("other") / "workspace")
    card = other / "models" / "tiny" / "card.toml"
    card.write_text(card.read_text() + "[knobs]\ncontrast = 1.2\n")
    return driver.drive(other, tmp_path_factory.mktemp("runs"), cache, "tiny,loud")
