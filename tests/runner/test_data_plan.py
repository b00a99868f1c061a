"""Plans over any data set: every kind of prompt, and that fewer images are the beginning of more."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from trilemma.errors import UserError
from trilemma.identity import file_digest
from trilemma.protocol import Protocol, SampleSet
from trilemma.runner.plan import Planned, plan

CLASSES = ("ape", "bee", "cat")
SETS: dict[str, dict[str, Any]] = {
    "classes": {"prompts": "classes", "images": 30},
    "repeated-classes": {"prompts": "repeated", "images": 24, "images_per_prompt": 8},
    "captions": {"prompts": "captions", "split": "train", "images": 12},
    "repeated-split": {"prompts": "repeated", "split": "train", "images": 12, "images_per_prompt": 3},
    "file": {"prompts": "captions", "file": "texts/some.txt", "images": 9},
    "column": {"prompts": "captions", "file": "texts/some.jsonl", "column": "words", "images": 7},
    "repeated-file": {"prompts": "repeated", "file": "texts/some.txt", "images": 10, "images_per_prompt": 5},
    "none": {"prompts": "none", "images": 11},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in CLASSES:
        for index in range(4):
            path = home / "pets" / "train" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(path)
    (home / "texts").mkdir()
    (home / "texts" / "some.txt").write_text("".join(f"prompt {number}\n" for number in range(9)))
    lines = [json.dumps({"prompt": "no", "words": f"words {number}"}) for number in range(7)]
    (home / "texts" / "some.jsonl").write_text("\n".join(lines))
    return home


def protocol(home: Path, *sets: SampleSet) -> Protocol:
    return Protocol(
        name="pets", version=1, title="", resolution=4, metrics=(), data="./pets", sets=sets, home=home
    )  # fmt: skip


def planned(home: Path, kind: str, samples: int | None = None, seed: int = 0, **changes: Any) -> list[Planned]:
    entry = SampleSet(name=kind, **(SETS[kind] | changes))
    return plan(protocol(home, entry), seed, samples)[kind]


@pytest.mark.parametrize("kind", SETS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.integers(1, 40))
def test_fewer_samples_are_the_beginning_of_the_whole(home: Path, kind: str, samples: int) -> None:
    whole, cut = planned(home, kind), planned(home, kind, samples)
    assert cut == whole[: len(cut)]
    each = SETS[kind].get("images_per_prompt", 1)
    assert len(cut) == (len(whole) if samples >= len(whole) else samples // each * each or samples)


@pytest.mark.parametrize("kind", [kind for kind in SETS if kind != "none"])
def test_more_images_begin_as_fewer_do(home: Path, kind: str) -> None:
    each = SETS[kind].get("images_per_prompt", 1)
    fewer = planned(home, kind, images=3 * each) if kind != "repeated-file" else planned(home, kind, images=each)
    assert fewer == planned(home, kind)[: len(fewer)]


@pytest.mark.parametrize("kind", SETS)
def test_keys_and_seeds_are_all_different(home: Path, kind: str) -> None:
    entries = planned(home, kind)
    assert len({entry.key for entry in entries}) == len({entry.seed for entry in entries}) == len(entries)
    others = planned(home, kind, seed=1)
    assert [entry.key for entry in others] == [entry.key for entry in entries]
    assert not {entry.seed for entry in others} & {entry.seed for entry in entries}


def test_sets_of_one_source_share_no_noise(home: Path) -> None:
    pairs = (("classes", "repeated-classes"), ("file", "repeated-file"))
    for one, other in pairs:
        first, second = planned(home, one), planned(home, other)
        assert {entry.prompt for entry in first} >= {entry.prompt for entry in second}
        assert not {entry.seed for entry in first} & {entry.seed for entry in second}


def test_classes_come_in_turn_and_equally_often(home: Path) -> None:
    entries = planned(home, "classes")
    assert [entry.prompt for entry in entries[:4]] == ["ape", "bee", "cat", "ape"]
    assert [(entry.prompt_id, entry.index, entry.label) for entry in entries[3:5]] == [
        ("class-0", 1, 0), ("class-1", 1, 1),
    ]  # fmt: skip
    assert set(Counter(entry.label for entry in entries).values()) == {10}


def test_repeated_classes_come_one_after_the_other(home: Path) -> None:
    entries = planned(home, "repeated-classes")
    assert [entry.label for entry in entries] == [0] * 8 + [1] * 8 + [2] * 8
    assert [entry.index for entry in entries] == list(range(8)) * 3


def test_prompts_and_classes_of_a_split_and_of_a_file(home: Path) -> None:
    of_split = planned(home, "captions")
    assert all(CLASSES[entry.label] == entry.prompt for entry in of_split)
    assert [entry.prompt_id for entry in of_split[:2]] == ["train-0", "train-1"]
    of_file = planned(home, "file")
    assert [(entry.prompt_id, entry.prompt, entry.label) for entry in of_file[:2]] == [
        ("some-0", "prompt 0", -1), ("some-1", "prompt 1", -1),
    ]  # fmt: skip
    assert planned(home, "column")[6].prompt == "words 6"
    assert [entry.prompt for entry in planned(home, "repeated-file")] == ["prompt 0"] * 5 + ["prompt 1"] * 5
    assert {entry.prompt for entry in planned(home, "none")} == {""}


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("classes", {"images": 31}, "pets: sets: classes: 31 images cannot show 3 classes equally. Take a multiple"),
        ("repeated-classes", {"images": 32}, "there are 3 classes; 4 are needed"),
        ("captions", {"images": 13}, 'there are 12 prompts in the split "train"; 13 are needed'),
        ("captions", {"split": "val"}, 'no split "val"'),
        ("file", {"images": 10}, "there are 9 prompts; 10 are needed"),
        ("file", {"file": "texts/none.txt"}, r'file of prompts "texts/none.txt" is missing. Looked for .*none.txt'),
        ("file", {"sha256": "0" * 64}, r"this is not the file that the protocol names: its sha256 is"),
        ("column", {"column": "letters"}, 'no column "letters"'),
    ],
)
def test_what_cannot_be_planned_is_told(home: Path, kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned(home, kind, **changes)


def test_a_file_with_the_right_sum_is_taken_from_the_data_home_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRILEMMA_DATA", str(tmp_path))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "far.txt").write_text("far\n")
    sha256 = file_digest(tmp_path / "texts" / "far.txt")
    (entry,) = planned(home, "file", file="texts/far.txt", sha256=sha256, images=1)
    assert entry.prompt == "far"
