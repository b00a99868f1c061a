"""Protocols, and the one that comes with the suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.protocol import SampleSet, SpeedSpec, load_protocol

SCENES = Path(__file__).resolve().parents[2] / "benchmarks" / "scenes.toml"


def test_scenes_is_what_the_design_says() -> None:
    protocol = load_protocol(SCENES)
    sets = {entry.name: (entry.prompts, entry.images, entry.images_per_prompt) for entry in protocol.sets}
    assert sets == {
        "prompted": ("captions", 2048, 1),
        "unconditional": ("none", 2048, 1),
        "within_prompt": ("repeated", 2048, 32),
    }
    assert protocol.reference_images == 10_000 and protocol.resolution == 32
    assert set(protocol.metrics) <= METRICS.keys()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("resolution = 32", "resolutoin = 32", 'unknown key "resolutoin". Did you mean "resolution"'),
        ("budget_seconds", "budget_second", r"speed: unknown key"),
        ("images_per_prompt = 32", "images_per_prompt = 33", "multiple"),
        ('name = "unconditional"', 'name = "prompted"', "a name of its own"),
        ("batch_sizes = [1, 16, 64, 256]", "batch_sizes = [16, 1]", "ascending"),
        ("version = 1", "version = 1.5", "version: must be an integer"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SCENES.read_text()
    assert old in text
    (tmp_path / "scenes.toml").write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message) as raised:
        load_protocol(tmp_path / "scenes.toml")
    assert "scenes.toml" in str(raised.value)


def test_sets_and_speed_are_checked() -> None:
    with pytest.raises(UserError, match="split"):
        SampleSet(name="a", prompts="captions", images=4)
    with pytest.raises(UserError, match="split"):
        SampleSet(name="a", prompts="none", images=4, split="prompts")
    with pytest.raises(UserError, match="warmup_calls"):
        SpeedSpec(warmup_calls=0)
