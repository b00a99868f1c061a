"""Pipelines of the hub: found where its client keeps them, pinned to a commit, and fetched only when that is asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trilemma import at_hand, registry
from trilemma.card import Card, load_card
from trilemma.cli import main
from trilemma.data.datasets import OPENERS
from trilemma.errors import UserError
from trilemma.families.hub import hub_cache, snapshot
from trilemma.published import load_published
from trilemma.workspace import Workspace, find_workspace

Pipelines = Callable[[str], Card]
COMMIT = "c0ffee" + "0" * 34
CHECKOUT = find_workspace(start=Path(__file__).parent)
HUB_CARDS = {
    name: card
    for name, card in registry.cards(CHECKOUT).items()
    if card.family == "diffusers" and "hub" in card.options
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def fetched(cache: Path, pipelines: Pipelines) -> Path:
    """A repository as the hub's client leaves it: blobs, and a snapshot of links to them."""
    repository = cache / "models--somebody--Tiny-SD"
    folder = repository / "snapshots" / COMMIT
    source = pipelines("sd").path
    for number, path in enumerate(path for path in source.rglob("*") if path.is_file() and path.name != "card.toml"):
        blob = repository / "blobs" / f"{number:040x}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, blob)
        link = folder / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "card.toml").write_text(
        'name = "tiny"\nfamily = "diffusers"\nresolution = 16\n[options]\nhub = "somebody/Tiny-SD"\n'
    )
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(CHECKOUT.benchmarks / "scenes.toml", tmp_path / "benchmarks")
    return find_workspace(tmp_path)


def test_the_cache_is_where_the_hubs_client_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hub_cache() == tmp_path / "hub"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert hub_cache() == tmp_path / "home" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert hub_cache() == tmp_path / "cache" / "huggingface" / "hub"


def test_a_repository_is_found_by_branch_and_by_commit(fetched: Path) -> None:
    assert snapshot("somebody/Tiny-SD") == snapshot("somebody/Tiny-SD", COMMIT) == fetched
    assert snapshot("somebody/Tiny-SD", "refs/pr/1") is None
    assert snapshot("somebody/other") is None
    for repository, revision in (("../x", "main"), ("a/b/c", "main"), ("a/b", "../../x"), ("a/b", "/etc")):
        with pytest.raises(UserError, match="no repository|no revision"):
            snapshot(repository, revision)


def test_a_repository_is_a_model_by_its_name(fetched: Path, workspace: Workspace, pipelines: Pipelines) -> None:
    card = registry.find_card("somebody/Tiny-SD@num_inference_steps=2", workspace)
    assert card.model == "tiny-sd" and card.resolution == 16
    assert card.options == {"hub": "somebody/Tiny-SD", "revision": COMMIT}
    made = registry.load(card, "cpu").generate(["a red star"], [1])
    plain = registry.load(pipelines("sd"), "cpu").generate(["a red star"], [1], num_inference_steps=2)
    assert torch.equal(made, plain)


def test_what_was_not_fetched_is_told_before_anything_starts(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert at_hand.competing(workspace) == []
    for command in (["run", "--models", "tiny"], ["speed", "tiny"], ["score", "scenes", "tiny"]):
        assert main([*command, "--root", str(workspace.root)]) == 2
        told = capsys.readouterr().err
        assert '"tiny" is not at hand: somebody/Tiny-SD of the Hugging Face hub was not fetched.' in told
        assert "Fetch it once: fetch tiny." in told and told.count("\n") == 1
    assert not workspace.results.exists()
    with pytest.raises(UserError, match='there is no model "somebody/Tiny-SD"'):
        registry.find_card("somebody/Tiny-SD", workspace)


def test_the_commit_that_lies_here_is_a_part_of_the_model(fetched: Path, workspace: Workspace) -> None:
    card = registry.find_card("tiny", workspace)
    assert card.options["revision"] == COMMIT
    other = "beef" + COMMIT[4:]
    fetched.rename(fetched.parent / other)
    (fetched.parents[1] / "refs" / "main").write_text(other)
    assert registry.find_card("tiny", workspace).revision != card.revision


def test_a_folder_that_is_here_is_no_repository(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace.root)
    (workspace.models / "tiny" / "card.toml").write_text('name = "tiny"\nfamily = "gan"\n')
    assert main(["fetch", "models/tiny", "--root", str(workspace.root)]) == 2
    assert '"tiny" names nothing that could be fetched' in capsys.readouterr().err


def test_list_marks_it(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(workspace.root)]) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if line.strip().startswith("tiny "))
    assert line.rstrip().endswith("nothing yet: not at hand")


def test_a_repository_that_was_fetched_in_part_says_so(fetched: Path, workspace: Workspace) -> None:
    (fetched / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be opened.*fetch it again"):
        registry.load(registry.find_card("tiny", workspace), "cpu")


@pytest.mark.parametrize("model", ("tiny", "somebody/Tiny-SD"))
def test_fetch_asks_for_safetensors_alone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import diffusers

    asked: list[tuple[str, dict[str, Any]]] = []

    def download(repository: str, **options: Any) -> str:
        asked.append((repository, options))
        return "/somewhere"

    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", staticmethod(download))
    assert main(["fetch", model, "--root", str(workspace.root)]) == 0
    assert asked == [("somebody/Tiny-SD", {"revision": None, "variant": None, "use_safetensors": True})]
    assert "Fetched: /somewhere" in capsys.readouterr().err


def test_a_failed_fetch_is_one_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import diffusers

    def download(repository: str, **options: Any) -> str:
        raise OSError("no network\nand much more")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", staticmethod(download))
    assert main(["fetch", "tiny", "--root", str(workspace.root)]) == 2
    assert "somebody/Tiny-SD could not be fetched: no network A gated" in capsys.readouterr().err
    (workspace.models / "tiny" / "card.toml").write_text('name = "tiny"\nfamily = "gan"\n')
    assert main(["fetch", "tiny", "--root", str(workspace.root)]) == 2
    assert "names nothing that could be fetched" in capsys.readouterr().err


def test_well_known_checkpoints_have_cards() -> None:
    assert {
        "stable-diffusion-1-5", "sdxl", "sdxl-mlperf", "sdxl-turbo", "lcm-dreamshaper-7", "lcm-lora-sd-1-5",
        "sd-3-medium", "flux-1-dev", "flux-1-schnell", "pixart-alpha", "pixart-sigma", "sana-1600m", "dit-xl-2-256",
        "ldm-celebahq-256", "ddpm-cifar10", "cd-imagenet64",
    } <= HUB_CARDS.keys()  # fmt: skip


@pytest.mark.parametrize("name", HUB_CARDS)
def test_each_of_their_cards_holds_what_it_should(name: str) -> None:
    card = load_card(CHECKOUT.models / name)
    known = {row.model for table in load_published(CHECKOUT.results / "published") for row in table.rows}
    assert card.licence and card.description and "num_inference_steps" in card.knobs
    assert card.published_as is None or card.published_as in known
    assert card.data in {*OPENERS, "celeba-hq"} - {"scenes"}
    assert len(card.options.get("revision", COMMIT)) == 40
    absent = at_hand.missing(card)  # the cache of this test is empty
    assert absent is not None and f"{card.options['hub']} of the Hugging Face hub was not fetched" in str(absent)


def test_mlperfs_settings_are_on_its_card() -> None:
    """https://github.com/mlcommons/inference/blob/master/text_to_image/backend_pytorch.py"""
    card, plain = HUB_CARDS["sdxl-mlperf"], HUB_CARDS["sdxl"]
    assert card.knobs == {"num_inference_steps": 20, "guidance_scale": 8.0}
    negative = "normal quality, low quality, worst quality, low res, blurry, nsfw, nude"
    own = {"scheduler": "EulerDiscreteScheduler", "negative_prompt": negative}
    assert card.options == plain.options | own


def test_schnell_reads_no_more_tokens_than_it_was_distilled_for() -> None:
    assert HUB_CARDS["flux-1-schnell"].options["max_sequence_length"] == 256
