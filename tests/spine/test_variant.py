"""A model at other settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.strict_toml import build, dump
from trilemma.variant import at, variant

CARD = Card(name="gan", family="gan", knobs={"truncation": 1.0}, path=Path("gan"))


def test_settings_change_the_card_and_name_it() -> None:
    made = variant(CARD, "compile+truncation=0.70+steps=4.0+bf16")
    assert made.name == "gan@steps=4+truncation=0.7+bf16+compile"
    assert made.model == "gan" and made.knobs == {"truncation": 0.7, "steps": 4}
    assert (made.precision, made.compile) == ("bf16", True)


def test_a_precision_is_another_revision_and_a_compilation_is_not() -> None:
    assert variant(CARD, "bf16").revision != CARD.revision
    assert variant(CARD, "compile").revision == CARD.revision
    assert variant(CARD, "truncation=0.7").revision != CARD.revision


def test_what_the_card_has_already_adds_nothing() -> None:
    assert variant(CARD, "fp32") is CARD and at(CARD) is CARD


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("bf17", "no setting.*"),
        ("", "no setting"),
        ("../x", "no setting"),
        ("bf16+fp16", "exclude one another"),
        ("bf16+bf16", "given twice"),
        ("a=1+a=2", "given twice"),
        ("a=1.2.3", "no number"),
        ("A=1", "no setting"),
    ],
)
def test_what_is_no_setting_is_refused(settings: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        variant(CARD, settings)


KNOBS = st.dictionaries(
    st.sampled_from(["truncation", "top_k", "guidance_scale"]),
    st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6, allow_nan=False),
    min_size=1,
)


@given(knobs=KNOBS, compiled=st.booleans(), precision=st.sampled_from(["fp32", "bf16"]))
def test_a_name_leads_back_to_its_card(knobs: dict[str, float | int], compiled: bool, precision: str) -> None:
    made = at(CARD, knobs=knobs, precision=precision, compiled=compiled)  # type: ignore[arg-type]
    assert variant(CARD, made.name.partition("@")[2]) == made
    assert build(Card, dump(made), where="job", path=made.path) == made
    assert not set(made.name) & set('/\\:*?"<>| ')
