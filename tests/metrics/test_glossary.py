"""The glossary: every metric of the catalogue and nothing else, in three sentences each."""

from __future__ import annotations

import re

import pytest

from trilemma.metrics.catalog import METRICS
from trilemma.metrics.glossary import glossary

LONGEST = 240
SENTENCES = [(name, word, text) for name, entry in glossary().items() for word, text in vars(entry).items()]


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
