"""Names to cards to generators."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trilemma import at_hand, protocols, registry
from trilemma.card import Card, load_card
from trilemma.errors import UserError
from trilemma.families.table import untrained
from trilemma.workspace import Workspace

FAMILY = """
from trilemma.generator import GeneratorInfo, Knob

class Plain:
    def __init__(self, card):
        knob = Knob(name="steps", kind="int", default=4, minimum=1, maximum=9, description="")
        self.info = GeneratorInfo(name=card.name, family="plain", resolution=32, parameters=1, knobs=(knob,))
        self.evaluations = 0

def load(card, device):
    return Plain(card)

not_a_function = 3
"""


def add(root: Path, name: str, text: str) -> Path:
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(text)
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for name in ("gan", "var"):
        add(tmp_path, name, f'name = "{name}"\nfamily = "{name}"\n')
    (tmp_path / "benchmarks").mkdir()
    return Workspace(root=tmp_path, results=tmp_path / "results")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A card with a factory beside it, in no workspace."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "plain_family", raising=False)
    folder = add(tmp_path / "elsewhere", "mine", 'name = "mine"\nfactory = "plain_family:load"\n[knobs]\nsteps = 6\n')
    (folder / "plain_family.py").write_text(FAMILY)
    return folder


def with_text(folder: Path, old: str, new: str) -> Card:
    path = folder / "card.toml"
    path.write_text(path.read_text().replace(old, new))
    return load_card(path)


def test_the_suite_s_own_can_be_named_in_any_workspace(workspace: Workspace) -> None:
    """But what the workspace has of the same name comes first, and what it lacks is not listed."""
    assert registry.find_card("real", workspace).path == Path(__file__).resolve().parents[2] / "models" / "real"
    assert registry.find_card("gan", workspace).path == workspace.models / "gan"
    assert protocols.find_protocol("scenes", workspace).data == "scenes"
    assert list(registry.cards(workspace)) == ["gan", "var"] and protocols.protocols(workspace) == {}


def test_names_are_found_and_suggested(workspace: Workspace) -> None:
    assert list(registry.cards(workspace)) == ["gan", "var"]
    assert [card.name for card in registry.select(["var", "gan"], workspace)] == ["var", "gan"]
    with pytest.raises(UserError, match='no model "gna". Did you mean "gan"'):
        registry.find_card("gna", workspace)
    with pytest.raises(UserError, match='no protocol "scens"'):
        protocols.find_protocol("scens", workspace)


def test_two_of_one_name_are_refused(workspace: Workspace, outside: Path) -> None:
    with pytest.raises(UserError, match='two models are called "gan"'):
        registry.select(["gan", "gan"], workspace)
    with_text(outside, 'name = "mine"', 'name = "gan"')
    with pytest.raises(UserError, match="two models are called"):
        registry.select(["gan", str(outside / "card.toml")], workspace)


def test_a_card_must_be_called_as_its_folder(workspace: Workspace) -> None:
    add(workspace.root, "other", 'name = "another"\nfamily = "gan"\n')
    with pytest.raises(UserError, match='the card says "another"'):
        registry.cards(workspace)


def test_a_model_from_outside_is_loaded_with_its_cards_defaults(workspace: Workspace, outside: Path) -> None:
    card = registry.find_card(str(outside / "card.toml"), workspace)
    generator = registry.load(card, "cpu")
    assert [(knob.name, knob.default) for knob in generator.info.knobs] == [("steps", 6)]
    assert sys.path[-1] == str(outside)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 6", "step = 6", 'knobs: unknown knob "step". Did you mean "steps"'),
        ("steps = 6", "steps = 10", r"knobs: knob \"steps\" must lie in \[1, 9\]"),
        ("steps = 6", "steps = 1.5", "must be an integer"),
        ("plain_family:load", "plain_familly:load", 'cannot import "plain_familly"'),
        ("plain_family:load", "plain_family:lod", 'no function "lod"'),
        ("plain_family:load", "plain_family:not_a_function", "no function"),
    ],
)
def test_what_cannot_be_loaded_is_named(outside: Path, old: str, new: str, message: str) -> None:
    card = with_text(outside, old, new)
    with pytest.raises(UserError, match=message) as raised:
        registry.load(card, "cpu")
    assert "card.toml" in str(raised.value)


def test_a_familys_own_missing_import_is_not_blamed_on_the_card(outside: Path) -> None:
    (outside / "plain_family.py").write_text("import no_such_library")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        registry.load(load_card(outside), "cpu")


def test_an_unknown_family_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='unknown family "gann". Did you mean "gan"'):
        registry.load(Card(name="a", family="gann", path=tmp_path), "cpu")


def test_weights_are_checked_before_any_code_runs(outside: Path) -> None:
    card = with_text(outside, "[knobs]", '[weights]\nw = "' + "0" * 64 + '"\n[knobs]')
    with pytest.raises(UserError, match="missing"):
        registry.load(card, "cpu")
    assert "plain_family" not in sys.modules


def test_a_pipeline_folder_makes_its_own_card(tmp_path: Path, workspace: Workspace) -> None:
    folder = tmp_path / "My Pipeline"
    for name, text in {
        "model_index.json": '{"_class_name": "StableDiffusionPipeline"}',
        "unet/config.json": '{"sample_size": 8}',
        "vae/config.json": '{"block_out_channels": [32, 64, 64]}',
        ".cache/x": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    card = registry.find_card(str(folder), workspace)
    assert (card.name, card.family, card.resolution) == ("my-pipeline", "diffusers", 32)
    assert sorted(card.weights_sha256) == ["model_index.json", "unet/config.json", "vae/config.json"]
    revision = card.revision
    (folder / "unet" / "config.json").write_text('{"sample_size": 16}')
    assert registry.find_card(str(folder), workspace).revision != revision


def test_a_network_that_is_only_described_waits_for_its_training(tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text('name = "new"\nfamily = "gan"\n[network]\nwidth = 8\n')
    with pytest.raises(UserError, match="not trained yet.*train new"):
        registry.load(load_card(card), "cpu")
    assert str(at_hand.missing(load_card(card))) == str(untrained(load_card(card)))
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.safetensors").touch()
    assert untrained(load_card(card)) is None


def test_neither_published_files_nor_a_family_without_recipe_wait_for_training(tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text('name = "new"\nfamily = "var"\n[options]\nhub = "somebody/else"\n[network]\nwidth = 8\n')
    assert untrained(load_card(card)) is None
    card.write_text('name = "new"\nfamily = "taming"\n[network]\nwidth = 8\n')
    assert untrained(load_card(card)) is None
