"""Files numbered in their names: by their numbers, padded or not, and otherwise as they were."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.families.names_order import names_order

LETTERS = st.text(st.characters(codec="utf-8", exclude_characters="0123456789/"), max_size=4)
NUMBERS = st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True)


def ordered(*names: str) -> list[str]:
    return [names[place] for place in names_order(names)]


@given(LETTERS, LETTERS, NUMBERS, st.integers(0, 9), st.randoms())
def test_image_n_is_the_nth_whether_padded_or_not(
    before: str, after: str, numbers: list[int], width: int, shuffler: random.Random
) -> None:
    wanted = [f"{before}{number:0{width}d}{after}.png" for number in sorted(numbers)]
    assert ordered(*shuffler.sample(wanted, len(wanted))) == wanted


@given(st.lists(st.tuples(LETTERS, st.integers(0, 9999), LETTERS), max_size=20))
def test_padded_names_keep_their_order(parts: list[tuple[str, int, str]]) -> None:
    names = [f"{before}{number:04d}{after}.png" for before, number, after in parts]
    assert ordered(*names) == sorted(names)


@given(st.lists(st.integers(0, 16**6 - 1), max_size=20))
def test_names_of_one_length_keep_their_order(numbers: list[int]) -> None:
    names = [f"{number:06x}.png" for number in numbers]
    assert ordered(*names) == sorted(names)


@given(st.lists(st.text(st.sampled_from("0129a/-_.")), max_size=20))
def test_the_order_is_that_of_the_names_alone(names: list[str]) -> None:
    assert sorted(names_order(names)) == list(range(len(names)))
    assert ordered(*names) == ordered(*reversed(names))


@pytest.mark.parametrize(
    "names",
    [
        ["img.png", "img1.png", "img2.png", "img10.png"],
        ["1/2.png", "1/10.png", "2/1.png", "10/1.png"],
        ["1.png", "01.png", "2.png", "002.png"],
        ["-1.png", "1.png", "9.png", "10.png", "a.png"],
        ["2.png", "9" * 5000 + ".png", "1" + "0" * 5000 + ".png"],  # longer than Python reads as an integer
    ],
)
def test_examples(names: list[str]) -> None:
    assert ordered(*reversed(names)) == names
