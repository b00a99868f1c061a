"""The glossary: every metric of the catalogue and nothing else, in three sentences each."""

from __future__ import annotations

import re

import pytest

from trilemma.metrics.catalog import METRICS, OF_SCENES
from trilemma.metrics.glossary import glossary

LONGEST = 240
SENTENCES = [
    (f"{name}{suffix}", word, text)
    for suffix, entries in (("", glossary()), (" elsewhere", glossary(knows_truth=False)))
    for name, entry in entries.items()
    for word, text in vars(entry).items()
]


def test_every_metric_of_the_catalogue_has_its_entry_in_its_order() -> None:
    assert list(glossary()) == list(METRICS)


@pytest.mark.parametrize(("name", "word", "text"), SENTENCES, ids=[f"{name}.{word}" for name, word, _ in SENTENCES])
def test_each_is_one_sentence(name: str, word: str, text: str) -> None:
    assert re.fullmatch(r"[A-Z0-9].+[^.]\.", text)
    assert not re.search(r"[.!?]\s", text), "two sentences"
    assert not re.search(r"\s\s|<", text)
    assert len(text) <= LONGEST
    assert text.count("`") % 2 == 0


def test_no_entry_is_a_copy_of_another() -> None:
    said = [(entry.sees, entry.misses) for entry in glossary().values()]
    assert len(set(said)) == len(said)


def test_over_other_data_nothing_is_said_of_scenes() -> None:
    told = glossary(knows_truth=False)
    assert list(told) == list(METRICS)
    others = {name: entry for name, entry in told.items() if name not in (*OF_SCENES, "is_inception")}
    words = re.compile(r"scenes|shape, colour|factor|of 512|known mode", re.IGNORECASE)
    said = [(name, text) for name, entry in others.items() for text in vars(entry).values()]
    assert [(name, text) for name, text in said if words.search(text)] == []
    assert others["score_diversity"] != glossary()["score_diversity"] and others["kid"] == glossary()["kid"]
