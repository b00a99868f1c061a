"""Protocols, and the one that comes with the suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma import protocols
from trilemma.comparable import Band, Comparable
from trilemma.errors import UserError
from trilemma.metrics.catalog import COUNTERS, METRICS, check_names
from trilemma.protocol import Allowance, Extractors, Gate, Protocol, Reference, SampleSet, SpeedSpec, load_protocol
from trilemma.strict_toml import build, dump
from trilemma.workspace import Workspace

SCENES = Path(__file__).resolve().parents[2] / "benchmarks" / "scenes.toml"
WORKSPACE = Workspace(root=SCENES.parents[1], results=SCENES.parents[1] / "results")


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


OTHERS = ("fashion-mnist", "cifar10", "imagenet256", "coco30k", "sdxl-mlperf")


@pytest.mark.parametrize("name", OTHERS)
def test_protocols_over_other_data_state_what_they_are(name: str) -> None:
    protocol = protocols.find_protocol(name, WORKSPACE)
    assert not protocol.knows_truth and protocol.reference is not None and protocol.extractors is not None
    assert protocol.comparable is not None and protocol.comparable.sentence.startswith("Comparable with ")
    assert protocol.gate.metrics and set(protocol.gate.metrics) <= METRICS.keys()
    check_names(protocol)
    assert build(Protocol, dump(protocol), where="") == protocol
    images = {entry.name: entry.images for entry in protocol.sets}
    assert images[protocol.main_set.name] == {
        "fashion-mnist": 2000, "cifar10": 50_000, "imagenet256": 50_000, "coco30k": 30_000, "sdxl-mlperf": 5000,
    }[name]  # fmt: skip


def test_the_bands_of_mlperf() -> None:
    comparable = protocols.find_protocol("sdxl-mlperf", WORKSPACE).comparable
    assert comparable is not None
    bands = {name: (band.low, band.high) for name, band in comparable.bands.items()}
    assert bands == {"fid": (23.01085758, 23.95007626), "clip_score": (31.68631873, 31.81331801)}


def test_recall_in_other_features_is_not_comparable() -> None:
    """Improved precision and recall are in the features of VGG16 (arXiv 1904.06991); ours are in Inception's."""
    protocol = protocols.find_protocol("cifar10", WORKSPACE)
    assert protocol.comparable is not None and protocol.extractors is not None
    assert protocol.extractors.features == "fid"
    assert "FID and IS" in protocol.comparable.numbers and "recall" not in protocol.comparable.numbers
    assert "recall and precision here are in Inception's features, those of papers in VGG16's" in (
        protocol.comparable.provided
    )


def test_published_numbers_that_there_are_none_of_are_refused(tmp_path: Path) -> None:
    text = (SCENES.parent / "cifar10.toml").read_text()
    for old, new, message in (
        ('table = "cifar-10"', 'table = "cifar10"', 'comparable: table: there is no table "cifar10". Did you mean'),
        ('protocol = "cifar-10-train"', 'protocol = "test"', 'comparable: protocol: "cifar-10" has no protocol "test"'),
        ('protocol = "cifar-10-train"', "", '"table" and "protocol" belong together'),
        ("numbers = ", "number = ", 'unknown key "number"'),
    ):
        assert old in text
        (tmp_path / "cifar10.toml").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=message):
            protocols.find_protocol(str(tmp_path / "cifar10.toml"), WORKSPACE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": "captions", "split": "a", "file": "b.txt"}, '"split" or from a "file"'),
        ({"prompts": "classes", "split": "a"}, "are for sets with captions"),
        ({"prompts": "classes", "images_per_prompt": 2}, 'several images of each in a row are "repeated"'),
        ({"prompts": "repeated", "split": "a", "file": "b.txt"}, "not from both"),
        ({"prompts": "none", "sha256": "0"}, '"column" and "sha256" are for a "file"'),
        ({"prompts": "captions", "file": "../b.txt"}, "s: file: must be a path inside the protocol's folder"),
        ({"prompts": "captions", "file": "/b.txt"}, "must be a path inside the protocol's folder"),
        ({"prompts": "captions", "file": ""}, "must be a path inside the protocol's folder"),
    ],
)
def test_where_prompts_come_from_is_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SampleSet(**({"name": "s", "images": 4} | changes))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (Reference, {"sha256": "0"}, 'are of the file that "features" names'),
        (Reference, {"features": "~/a.npz"}, "features: must be a path inside"),
        (Reference, {"floor_images": -1}, "floor_images: must be 0 or more"),
        (Reference, {"images": 0}, "images: must be at least 1"),
        (Extractors, {"features": "a", "optional": ("clip",)}, 'optional: "clip" is named nowhere'),
        (Comparable, {"numbers": ""}, "must say which numbers"),
        (Band, {"low": 2.0, "high": 1.0}, "from a number up to a larger one"),
        (Band, {"low": 0.0, "high": float("nan")}, "from a number up to a larger one"),
    ],
)
def test_tables_are_checked(kind: type, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        kind(**changes)


def test_scenes_have_no_classes_and_no_files() -> None:
    protocol = load_protocol(SCENES)
    for entry in (
        SampleSet(name="a", prompts="classes", images=8),
        SampleSet(name="a", prompts="repeated", images=8, images_per_prompt=2),
        SampleSet(name="a", prompts="captions", file="a.txt", images=8),
    ):
        with pytest.raises(UserError, match="sets: a: Scenes have no classes"):
            replace(protocol, sets=(entry,))


def test_what_is_new_in_a_protocol_is_absent_from_an_older_one_that_is_dumped() -> None:
    """Digests of measurements and identities of runs are made of what is dumped."""
    table = dump(load_protocol(SCENES))
    assert table.keys() == {
        "name", "version", "title", "resolution", "sets", "metrics", "extractors", "data", "models", "batch_size",
        "reference", "speed", "gate",
    }  # fmt: skip
    assert all(entry.keys() == {"name", "prompts", "images", "images_per_prompt", "split"} for entry in table["sets"])
    assert table["extractors"].keys() == {"features", "reader", "clip"} and len(table["reference"]) == 8
