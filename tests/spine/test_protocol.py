"""Protocols, and the one that comes with the suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trilemma.errors import UserError
from trilemma.metrics.catalog import COUNTERS, METRICS, check_names
from trilemma.protocol import Allowance, Gate, Protocol, SampleSet, SpeedSpec, load_protocol
from trilemma.strict_toml import build, dump

SCENES = Path(__file__).resolve().parents[2] / "benchmarks" / "scenes.toml"


def test_scenes_is_what_the_design_says() -> None:
    protocol = load_protocol(SCENES)
    sets = {entry.name: (entry.prompts, entry.images, entry.images_per_prompt) for entry in protocol.sets}
    assert sets == {
        "prompted": ("captions", 2048, 1),
        "unconditional": ("none", 2048, 1),
        "within_prompt": ("repeated", 2048, 32),
    }
    assert protocol.reference is not None and protocol.reference.images == 10_000 and protocol.resolution == 32
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
        ("[gate] ", "[gaet] ", 'unknown key "gaet". Did you mean "gate"'),
        ("[gate] ", "[gate]\nexact_imges = true\n", "gate: unknown key"),
        ("[gate] ", "[gate]\nmargins.kid.relativ = 0.1\n", "gate: margins.kid: unknown key"),
        ("[gate] ", "[gate]\nmargins.kid.relative = -0.1\n", "gate: margins.kid: relative: must be a number of 0"),
        ("[gate] ", "[gate]\nmargins.kid.absolute = nan\n", "absolute: must be a number of 0 or more, got nan"),
        ('"copy_rate", "score_quality"', '"copy_rate", "copy_rate"', "gate: metrics: names a metric twice"),
        ('clip = "scenes-clip"', "", 'extractors: the key "clip" is missing'),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SCENES.read_text()
    assert old in text
    (tmp_path / "scenes.toml").write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message) as raised:
        load_protocol(tmp_path / "scenes.toml")
    assert "scenes.toml" in str(raised.value)


def test_counters_need_neither_networks_nor_clocks() -> None:
    protocol = load_protocol(SCENES.parent / "counters.toml")
    assert (protocol.extractors, protocol.reference, protocol.speed, protocol.metrics) == (None, None, None, ())
    assert protocol.gate.exact_images and set(protocol.gate.metrics) == set(COUNTERS)
    assert [(entry.name, entry.images) for entry in protocol.sets] == [("prompted", 64), ("unconditional", 64)]


@pytest.mark.parametrize("name", ["scenes", "counters"])
def test_protocols_name_metrics_that_exist_and_come_back(name: str) -> None:
    protocol = load_protocol(SCENES.parent / f"{name}.toml")
    check_names(protocol)
    assert protocol.gate.metrics
    assert build(Protocol, dump(protocol), where="") == protocol


def test_margins_come_back() -> None:
    gate = Gate(metrics=("kid",), margins={"kid": Allowance(absolute=1e-4)})
    assert dump(gate) == {
        "metrics": ["kid"], "exact_images": False, "margins": {"kid": {"relative": 0.0, "absolute": 1e-4}},
    }  # fmt: skip
    assert build(Gate, dump(gate), where="") == gate


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (("extractors",), "belong together"),
        (("reference",), "belong together"),
        (("extractors", "reference"), "metrics: these are measured by networks"),
    ],
)
def test_networks_and_real_images_come_together(without: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(load_protocol(SCENES), **dict.fromkeys(without))  # type: ignore[arg-type]


def test_sets_and_speed_are_checked() -> None:
    with pytest.raises(UserError, match="split"):
        SampleSet(name="a", prompts="captions", images=4)
    with pytest.raises(UserError, match="split"):
        SampleSet(name="a", prompts="none", images=4, split="prompts")
    with pytest.raises(UserError, match="warmup_calls"):
        SpeedSpec(warmup_calls=0)
