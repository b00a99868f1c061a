"""Files of published checkpoints: where they are looked for, what is refused, and what makes them part of a model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from trilemma import at_hand, protocols, registry
from trilemma.card import Card, load_card
from trilemma.cli import main
from trilemma.data.datasets import OPENERS
from trilemma.errors import UserError
from trilemma.families.published_files import ROLES
from trilemma.published import load_published
from trilemma.workspace import Workspace, find_workspace

Published = Callable[[str], Card]
CHECKOUT = find_workspace(start=Path(__file__).parent)
CARDS = {
    name: card for name, card in registry.cards(CHECKOUT).items() if {"checkpoint", "transformer"} & set(card.options)
}
COMMIT = "c0ffee" + "0" * 34
HUB = "somebody/var"


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is found but in folders of this test."""
    for name in ("HF_HOME", "XDG_CACHE_HOME", "TRILEMMA_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def copied(published: Published, tmp_path: Path) -> Callable[[str], Path]:
    """A checkpoint and its card in a workspace of their own, to be changed."""

    def copy(name: str) -> Path:
        (tmp_path / "benchmarks").mkdir(exist_ok=True)
        shutil.copy(CHECKOUT.benchmarks / "scenes.toml", tmp_path / "benchmarks")
        return shutil.copytree(published(name).path, tmp_path / "models" / name)

    return copy


def images(card: Card) -> torch.Tensor:
    return registry.load(card, "cpu").generate(["class 3"] if card.name != "taming-unconditional" else [""], [5])


def changed(folder: Path, old: str, new: str) -> Path:
    text = (folder / "card.toml").read_text()
    assert old in text
    (folder / "card.toml").write_text(text.replace(old, new))
    return folder


def test_they_are_found_wherever_they_may_lie(
    published: Published, copied: Callable[[str], Path], homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = images(published("var"))
    folder = changed(copied("var"), "[options]\n", f'[options]\nhub = "{HUB}"\n')
    monkeypatch.setenv("TRILEMMA_WEIGHTS", str(homes / "weights"))
    snapshot = homes / "hub" / "models--somebody--var" / "snapshots" / COMMIT
    places = [homes / "weights" / "var", homes / "cache" / "weights" / "var", snapshot]
    (homes / "hub" / "models--somebody--var" / "refs").mkdir(parents=True)
    (homes / "hub" / "models--somebody--var" / "refs" / "main").write_text(COMMIT)
    for place in places:
        place.mkdir(parents=True)
        for name in ("var_d2.pth", "vae.pth"):
            shutil.copy(published("var").path / name, place)
            (folder / name).unlink(missing_ok=True)
        assert torch.equal(images(load_card(folder)), wanted)
        shutil.rmtree(place)
    absent = at_hand.missing(load_card(folder))
    assert absent is not None and '"var" is not at hand: var_d2.pth is missing.' in str(absent)
    for told in (
        f"Get it from {HUB} of the Hugging Face hub",
        "put it at",
        "or at var/var_d2.pth in $TRILEMMA_WEIGHTS",
    ):
        assert told in str(absent)
    with pytest.raises(UserError, match="is not at hand"):
        registry.load(load_card(folder), "cpu")


def test_what_is_not_at_hand_is_told_before_anything_starts(
    copied: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied("biggan") / "pytorch_model.bin").unlink()
    for command in (["run", "--models", "biggan"], ["speed", "biggan"], ["score", "scenes", "biggan"]):
        assert main([*command, "--root", str(tmp_path)]) == 2
        told = capsys.readouterr().err
        assert '"biggan" is not at hand: pytorch_model.bin is missing.' in told and told.count("\n") == 1
    assert main(["list", "--root", str(tmp_path)]) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if line.strip().startswith("biggan "))
    assert line.rstrip().endswith("nothing yet: not at hand")


def test_what_lies_here_is_a_part_of_the_model(copied: Callable[[str], Path]) -> None:
    folder = copied("biggan")
    workspace = find_workspace(folder.parents[1])
    first = registry.find_card("biggan", workspace)
    sha256 = hashlib.sha256((folder / "pytorch_model.bin").read_bytes()).hexdigest()
    assert first.options["sha256"]["pytorch_model.bin"] == sha256
    assert registry.find_card(str(folder), workspace).revision == first.revision
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    state["embeddings.weight"][0, 0] += 1
    torch.save(state, folder / "pytorch_model.bin")
    assert registry.find_card("biggan", workspace).revision != first.revision
    changed(folder, "[options]\n", f'[options]\nsha256 = {{ "pytorch_model.bin" = "{sha256}" }}\n')
    with pytest.raises(UserError, match="this is not the file of the card: its sha256 is"):
        registry.find_card("biggan", workspace)


class ModelCheckpoint:
    """As Lightning's: a checkpoint of its first versions is keyed by the class itself."""


def test_a_checkpoint_of_more_than_tensors_is_refused_until_it_is_converted(
    published: Published, copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("taming")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    stored = torch.load(checkpoint, weights_only=True)
    torch.save(stored | {"callbacks": {ModelCheckpoint: {"best": 1.0}}}, checkpoint)
    with pytest.raises(UserError, match=r"holds more than tensors; it is not loaded.*trilemma convert \S+last.ckpt"):
        images(load_card(folder))
    assert main(["convert", str(checkpoint), str(checkpoint.with_suffix(".safetensors"))]) == 0
    assert "ModelCheckpoint" in capsys.readouterr().err
    assert torch.equal(images(load_card(folder)), images(published("taming")))
    pinned = registry.find_card("taming", find_workspace(folder.parents[1])).options["sha256"]
    assert set(pinned) == {"configs/project.yaml", "checkpoints/last.safetensors"}
    checkpoint.unlink()  # what was converted stands for it
    assert at_hand.missing(load_card(folder)) is None


def test_what_was_converted_stands_for_the_checkpoint_alone(
    published: Published, copied: Callable[[str], Path]
) -> None:
    """Also where the configuration is called as the checkpoint is, but for its ending."""
    folder = changed(copied("taming"), '"configs/project.yaml"', '"model.yaml"')
    changed(folder, '"checkpoints/last.ckpt"', '"model.ckpt"')
    (folder / "configs" / "project.yaml").rename(folder / "model.yaml")
    (folder / "checkpoints" / "last.ckpt").rename(folder / "model.ckpt")
    assert main(["convert", str(folder / "model.ckpt"), str(folder / "model.safetensors")]) == 0
    assert torch.equal(images(load_card(folder)), images(published("taming")))
    pinned = registry.find_card("taming", find_workspace(folder.parents[1])).options["sha256"]
    assert set(pinned) == {"model.yaml", "model.safetensors"}
    (folder / "model.yaml").unlink()
    assert "model.yaml is missing" in str(at_hand.missing(load_card(folder)))


def test_a_program_in_the_place_of_weights_is_not_run(copied: Callable[[str], Path], tmp_path: Path) -> None:
    canary = tmp_path / "executed"

    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (canary,)

    for name, file in (("var", "vae.pth"), ("taming", "checkpoints/last.ckpt"), ("biggan", "pytorch_model.bin")):
        folder = copied(name)
        for zipped in (True, False):
            torch.save({"a": torch.ones(2), "b": Harm()}, folder / file, _use_new_zipfile_serialization=zipped)
            with pytest.raises(UserError, match="damaged or holds more than tensors"):
                images(load_card(folder))
        (folder / file).write_bytes(b"\x80\x02junk")
        with pytest.raises(UserError, match="damaged or holds more than tensors"):
            images(load_card(folder))
    assert not canary.exists()


def test_a_yaml_is_data(copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied("taming")
    config = folder / "configs" / "project.yaml"
    text = config.read_text()
    config.write_text(text + f'\nx: !!python/object/apply:os.system ["touch {tmp_path / "executed"}"]\n')
    with pytest.raises(UserError, match="this is not readable YAML"):
        images(load_card(folder))
    assert not (tmp_path / "executed").exists()
    config.write_text("a: 1")
    with pytest.raises(UserError, match='the table "model" is missing'):
        images(load_card(folder))
    config.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(UserError, match="too large for a configuration"):
        images(load_card(folder))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("cond_stage_config",), {"target": "taming.models.vqgan.VQSegmentationModel"}, "it needs more than a class"),
        (("cond_stage_config",), "__is_first_stage__", "conditioned by __is_first_stage__"),
        (("cond_stage_config", "params", "n_classes"), 21, "the weights|these are 20 classes; the model has 21"),
        (("permuter_config",), {"target": "x"}, "are not supported"),
        (("transformer_config", "params", "block_size"), 63, "reads 63 tokens, and a picture has 64"),
        (("transformer_config", "params", "vocab_size"), 60, "knows 60 tokens, the codebook 64"),
        (("transformer_config", "params", "n_layer"), 3, "do not fit"),
        (("first_stage_config", "params", "ddconfig", "ch"), "wide", "no configuration of a VQGAN"),
    ],
)
def test_another_configuration_is_refused(
    copied: Callable[[str], Path], path: tuple[str, ...], value: Any, said: str
) -> None:
    folder = copied("taming")
    config = folder / "configs" / "project.yaml"
    whole = yaml.safe_load(config.read_text())
    place = whole["model"]["params"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    config.write_text(yaml.safe_dump(whole))
    with pytest.raises(UserError, match=said):
        images(load_card(folder))


def test_the_number_of_classes_is_the_yamls_or_the_cards(copied: Callable[[str], Path]) -> None:
    folder = copied("taming")
    config = folder / "configs" / "project.yaml"
    whole = yaml.safe_load(config.read_text())
    whole["model"]["params"]["cond_stage_config"] = {"target": "taming.models.dummy_cond_stage.DummyCondStage"}
    config.write_text(yaml.safe_dump(whole))
    with pytest.raises(UserError, match="none of the 20 classes"):
        registry.load(load_card(folder), "cpu").generate(["class 20"], [1])


def test_other_peoples_weights_are_refused(copied: Callable[[str], Path]) -> None:
    var, gan = copied("var"), copied("biggan")
    shutil.copy(var / "var_d2.pth", var / "vae.pth")
    with pytest.raises(UserError, match="this is no tokenizer of VAR"):
        images(load_card(var))
    state = torch.load(gan / "pytorch_model.bin", weights_only=True)
    del state["generator.bn.running_vars"]
    torch.save(state, gan / "pytorch_model.bin")
    with pytest.raises(UserError, match='BigGAN-deep: it lacks "generator.bn.running_vars"'):
        images(load_card(gan))
    config = json.loads((gan / "config.json").read_text())
    for changes in ({"layers": config["layers"][1:]}, {"output_dim": 64}, {"z_dim": "x"}, {"layers": [[1]]}):
        (gan / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(UserError, match="this is no configuration of BigGAN-deep"):
            images(load_card(gan))


def test_a_transformer_of_before_it_was_replaced_says_so(copied: Callable[[str], Path]) -> None:
    folder = copied("var")
    state = torch.load(folder / "var_d2.pth", weights_only=True)
    torch.save({name: value for name, value in state.items() if "scale_mul" not in name}, folder / "var_d2.pth")
    with pytest.raises(
        UserError, match="before queries and keys were normalised. Its authors replaced the first files"
    ):
        images(load_card(folder))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"var_d2.pth"', '"../var_d2.pth"', "is not inside the folder"),
        ('"var_d2.pth"', '"/etc/passwd"', "is not inside the folder"),
        ('"var_d2.pth"', "3", "must be the name of a file"),
        ('tokenizer = "vae.pth"\n', "", "options.tokenizer: must be the name of a file"),
        ("cfg = 1.5", "cfg = -1", "options.cfg: must be a number of 0 or more"),
        ("classes = [", 'classes = ["one more", ', "these are 21 classes; the model has 20"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(copied: Callable[[str], Path], old: str, new: str, said: str) -> None:
    card = load_card(changed(copied("var"), old, new))
    with pytest.raises(UserError, match=said):
        images(card)


def test_fetch_asks_for_the_two_files_and_nothing_else(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    folder = changed(copied("var"), "[options]\n", f'[options]\nhub = "{HUB}"\n')
    asked: list[tuple[str, str, Any]] = []

    def download(repository: str, name: str, *, revision: str | None) -> str:
        asked.append((repository, name, revision))
        return f"/somewhere/{name}"

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    root = ["--root", str(folder.parents[1])]
    assert main(["fetch", "var", *root]) == 0
    assert asked == [(HUB, "var_d2.pth", None), (HUB, "vae.pth", None)]
    assert "Fetched: /somewhere" in capsys.readouterr().err

    def fail(*_: Any, **__: Any) -> str:
        raise OSError("no network\nand much more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    assert main(["fetch", "var", *root]) == 2
    assert f"{HUB} could not be fetched: no network A gated" in capsys.readouterr().err


def test_without_a_repository_fetch_says_where_the_files_come_from(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = changed(copied("biggan"), "[options]\n", '[options]\nfrom = "their page"\n')
    assert main(["fetch", "biggan", "--root", str(folder.parents[1])]) == 2
    assert "Its files come from their page." in capsys.readouterr().err


def test_a_family_without_files_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('name = "a"\nfamily = "biggan"\nresolution = 32\n')
    with pytest.raises(UserError, match='needs weights = "random", or options.config and options.checkpoint'):
        registry.load(load_card(tmp_path), "cpu")


def test_well_known_checkpoints_have_cards() -> None:
    sizes = ("d16", "d20", "d24", "d30")
    assert {
        *(f"var-{size}-imagenet" for size in sizes), "var-d36-imagenet-512", "vqgan-imagenet", "vqgan-ffhq",
        "vqgan-celebahq", *(f"biggan-deep-{side}-imagenet" for side in (128, 256, 512)),
    } == CARDS.keys()  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_each_of_their_cards_holds_what_it_should(name: str) -> None:
    card = CARDS[name]
    published_names = {row.model for table in load_published(CHECKOUT.results / "published") for row in table.rows}
    assert card.licence and card.description and card.knobs and card.published_as in published_names
    assert set(ROLES[str(card.family)]) <= card.options.keys() and {"hub", "from"} & card.options.keys()
    assert all(len(digest) == 64 for digest in card.options.get("sha256", {}).values())
    assert card.data in {*OPENERS, "ffhq", "celeba-hq"} - {"scenes"}
    absent = at_hand.missing(card)  # nothing lies where this test looks
    assert absent is not None and "is not at hand" in str(absent) and "\n" not in str(absent)


def test_models_without_a_name_take_part_where_they_belong(copied: Callable[[str], Path]) -> None:
    folder = copied("biggan")
    workspace: Workspace = find_workspace(folder.parents[1])
    imagenet = protocols.find_protocol("imagenet256", CHECKOUT)
    assert at_hand.competing(workspace) == ["biggan"] and at_hand.competing(workspace, imagenet) == []
    changed(folder, "resolution = 32\n[options]", 'resolution = 32\ndata = "imagenet"\n[options]')
    assert at_hand.competing(workspace, imagenet) == []  # of another size
    assert at_hand.competing(workspace, replace(imagenet, resolution=32)) == ["biggan"]
    assert at_hand.competing(workspace, replace(imagenet, outputs="resized")) == ["biggan"]
