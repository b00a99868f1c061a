"""Cards: what they hold, what they refuse, and when a model counts as another one."""

from __future__ import annotations

import hashlib
import random
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trilemma.card import Card, Part, check_name, load_card, marked
from trilemma.errors import UserError
from trilemma.strict_toml import build, dump

KEYS = ["name", "family", "title", "description", "licence", "control", "resolution", "parameters", "knobs", "weights"]


def write(folder: Path, text: str) -> Path:
    (folder / "card.toml").write_text(text)
    return folder


def test_a_card_is_read_from_its_folder(tmp_path: Path) -> None:
    text = 'name = "a-1"\nfamily = "gan"\ncontrol = true\n[knobs]\ntruncation = 1\n'
    text += '[options]\nkind = "x"\n[training]\nseed = 3\n'
    card = load_card(write(tmp_path, text))
    assert (card.name, card.family, card.control, card.path) == ("a-1", "gan", True, tmp_path)
    assert card.knobs == {"truncation": 1} and card.options == {"kind": "x"} and card.training == {"seed": 3}
    assert load_card(tmp_path / "card.toml") == card


@given(st.sampled_from(KEYS), st.randoms(use_true_random=False))
def test_a_misspelt_key_is_named_with_the_right_one(key: str, chance: random.Random) -> None:
    position = chance.randrange(len(key))
    wrong = key[:position] + chance.choice(string.ascii_lowercase) + key[position + 1 :]
    assume(wrong not in KEYS + ["network", "options", "training", "measured", "factory", "parts"])
    with pytest.raises(UserError, match=rf'card\.toml: unknown key "{wrong}"\. Did you mean') as raised:
        build(Card, {"name": "a", "family": "gan", wrong: 1}, where="card.toml", path=Path())
    assert f'Did you mean "{key}"' in str(raised.value) or wrong[:1] != key[:1] or len(key) < 6


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "-a", "a b", ".a", "ä", "a\n"])
def test_names_that_could_be_paths_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot be a name"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"', 'either a "family" or a "factory"'),
        ('name = "a"\nfamily = "gan"\nfactory = "m:f"', 'either a "family" or a "factory"'),
        ('name = "a"\nfactory = "m.f"', "package.module:function"),
        ('name = "a"\nfamily = "gan"\nresolution = 0', "at least 1"),
        ('name = "a"\nfamily = "gan"\n[weights]\n"../w" = "' + "0" * 64 + '"', "not inside the card's folder"),
        ('name = "a"\nfamily = "gan"\n[weights]\nw = "12"', "64 lower case hex digits"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        load_card(write(tmp_path, text))
    assert str(tmp_path / "card.toml") in str(raised.value)


def test_weights_are_verified(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"weights").hexdigest()
    card = load_card(write(tmp_path, f'name = "a"\nfamily = "gan"\n[weights]\n"unet/w.bin" = "{sha256}"\n'))
    with pytest.raises(UserError, match="missing"):
        card.verify()
    card.weight("unet/w.bin").parent.mkdir()
    card.weight("unet/w.bin").write_bytes(b"weights")
    card.verify()
    card.weight("unet/w.bin").write_bytes(b"weighty")
    with pytest.raises(UserError, match="sha256 differs"):
        card.verify()
    with pytest.raises(UserError, match="lists no weights"):
        card.weight("other")


RANDOM = 'name = "a"\nfamily = "var"\nweights = "random"\n[[parts]]\nname = "net"\nparameters = 3\nsource = "S"\n'


def test_weights_may_be_random_in_place_of_the_table(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, RANDOM))
    assert card.random_weights and card.weights_sha256 == {}
    assert card.parts == (Part(name="net", parameters=3, source="S"),)
    card.verify()
    assert build(Card, dump(card), where="job", path=card.path) == card
    plain = replace(card, weights=None)
    assert not plain.random_weights and plain.revision != card.revision
    assert replace(card, name="b").revision != card.revision  # the name is the seed
    assert replace(card, name="a@bf16").random_weights and replace(card, parts=()).revision == card.revision


@pytest.mark.parametrize(
    ("value", "message"),
    [('"randm"', "'randm' is not possible here. Did you mean \"random\""), ("3", "must be a table, got 3")],
)
def test_other_words_for_weights_are_refused(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(UserError, match=f"weights: {re.escape(message)}"):
        load_card(write(tmp_path, f'name = "a"\nfamily = "var"\nweights = {value}\n'))


def test_a_name_is_marked_where_the_weights_are_random() -> None:
    assert marked("a", {"weights": "random"}) == "a (random weights)"
    assert marked("a", {"weights": {"w": "0"}}) == marked("a", {}) == "a"


def test_the_revision_sees_what_changes_pixels_and_nothing_else() -> None:
    card = Card(name="a", family="gan", path=Path("x"))
    same = [
        replace(card, title="T"),
        replace(card, measured={"fd": 1}),
        replace(card, training={"s": 1}, path=Path("y")),
    ]
    other = [replace(card, knobs={"k": 1}), replace(card, options={"o": 1}), replace(card, network={"width": 2})]
    assert {one.revision for one in same} == {card.revision}
    assert len({one.revision for one in [card, *other]}) == 4
