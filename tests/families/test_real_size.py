"""The cards of published size: their networks have the published parameters, and they are for timing alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trilemma import at_hand, protocols, registry
from trilemma.card import Card
from trilemma.families.weights import count_parameters
from trilemma.published import load_published
from trilemma.workspace import find_workspace

WORKSPACE = find_workspace(start=Path(__file__).parent)
CARDS = {name: card for name, card in registry.cards(WORKSPACE).items() if card.random_weights}
NAMES = {
    "var-d16", "var-d20", "var-d24", "var-d30", "taming-imagenet", "ldm-4", "dit-xl-2", "sd-1-5", "biggan-deep-256",
}  # fmt: skip


@pytest.fixture(params=sorted(CARDS))
def card(request: pytest.FixtureRequest) -> Card:
    return CARDS[request.param]


def test_all_families_are_there() -> None:
    assert CARDS.keys() == NAMES


def test_parameters_agree_with_what_was_published(card: Card) -> None:
    with torch.device("meta"):
        networks = registry.networks(card)
    assert all(parameter.is_meta for network in networks.values() for parameter in network.parameters())
    counted = {part.name: count_parameters(networks[part.name]) for part in card.parts}
    assert counted == {part.name: pytest.approx(part.parameters, rel=0.01) for part in card.parts}
    assert counted and all(part.source for part in card.parts)


def test_they_are_published_under_the_name_that_the_card_gives(card: Card) -> None:
    known = {row.model for table in load_published(WORKSPACE.results / "published") for row in table.rows}
    assert card.published_as is None or card.published_as in known


def test_the_sampler_is_the_published_one(card: Card) -> None:
    assert card.resolution in (256, 512)
    assert card.knobs, "published settings, not the family's"


def test_they_are_for_timing_alone() -> None:
    assert not NAMES & set(at_hand.competing(WORKSPACE))
    assert not NAMES & {name for protocol in protocols.protocols(WORKSPACE).values() for name in protocol.models}
