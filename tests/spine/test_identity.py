"""Names of samples and series."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.identity import CASE_FIELDS, case_key, digest, hardware_key, sample_key, sample_seed

CASE = dict.fromkeys(CASE_FIELDS, "x")


def test_digest_ignores_the_order_of_keys_and_sees_every_value() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest(["1"]) != digest([1])


def test_digest_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest(float("nan"))


@given(st.text(), st.integers(0, 2**40), st.text(), st.integers(0, 2**40))
def test_seeds_fit_into_63_bits_and_depend_on_every_part(protocol: str, run: int, prompt: str, index: int) -> None:
    seed = sample_seed(protocol, run, prompt, index)
    assert 0 <= seed < 2**63
    others = [
        sample_seed(protocol + "x", run, prompt, index),
        sample_seed(protocol, run + 1, prompt, index),
        sample_seed(protocol, run, prompt + "x", index),
        sample_seed(protocol, run, prompt, index + 1),
    ]
    assert seed not in others


def test_the_recipe_of_seeds_and_keys_stays() -> None:
    # A change of it breaks the pairing with every stored run.
    seed = hashlib.sha256(b'["seed","scenes",0,"prompts-0",0]').hexdigest()
    assert sample_seed("scenes", 0, "prompts-0", 0) == int(seed, 16) >> (256 - 63)
    key = hashlib.sha256('["key","scenes","prompted","prömpts-0",0]'.encode()).hexdigest()
    assert sample_key("scenes", "prompted", "prömpts-0", 0) == key[:16]


def test_a_key_names_its_fields_and_refuses_others() -> None:
    key = case_key(**CASE)
    assert key.as_dict()["version"] == 1
    assert case_key(**{**CASE, "knobs": "y"}).digest != key.digest
    with pytest.raises(UserError, match='Did you mean "revision"'):
        case_key(**CASE, revison="y")
    with pytest.raises(UserError, match="lacks"):
        hardware_key(device="cpu")
