"""From sources to a score: one pass for all networks, features cached by content, and what cannot be compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.features.extractor import Extractor
from trilemma.features.inception import TFInception
from trilemma.features.presets import INCEPTION, Preset, preset
from trilemma.features.weights import VARIABLE, WeightsFile
from trilemma.metrics.statistics_file import read_statistics
from trilemma.scoring.networks import load_networks
from trilemma.scoring.record import SCHEMA, as_document, read_record
from trilemma.scoring.resolve import Resolver
from trilemma.scoring.row import Row
from trilemma.scoring.score import Options, Score, score
from trilemma.scoring.side import Side
from trilemma.scoring.stats import write_statistics

SCENES = (preset("scenes"),)
WIDTH = 128


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the batches that networks see."""
    seen: list[int] = []
    original = Extractor.batch

    def batch(self: Extractor, images: Sequence[Any]) -> dict[str, Any]:
        seen.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Extractor, "batch", batch)
    return seen


def save(path: Path, images: Any) -> Path:
    """A folder of PNG files."""
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number:03d}.png")
    return path


def side(path: Path | str, count: int | None = None, **others: Any) -> Side:
    return Resolver().side(str(path), count, **others)


def rows(found: Score) -> dict[str, Row]:
    return {row.metric: row for row in found.rows}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    real, fake = (scenes.images(split, range(count)) for split, count in (("reference", 60), ("heldout", 30)))
    return save(tmp_path / "real", real), save(tmp_path / "fake", fake)


def test_numbers_of_files_are_those_of_the_pictures_in_them(folders: tuple[Path, Path]) -> None:
    of_files = rows(score(side(folders[0]), side(folders[1]), SCENES))
    of_scenes = rows(score(side("scenes", 60), side("scenes:heldout", 30), SCENES))
    assert of_files["fd_scenes"].value == of_scenes["fd_scenes"].value
    assert of_files["fd_scenes"].identity["real"] != of_scenes["fd_scenes"].identity["real"]  # files, pixels
    assert of_files["vendi"].n == 30


def test_features_are_cached_by_content_and_never_by_name(
    folders: tuple[Path, Path], tmp_path: Path, batches: list[int]
) -> None:
    first = score(side(folders[0]), side(folders[1]), SCENES)
    assert sum(batches) == 90
    batches.clear()
    shutil.copytree(folders[0], tmp_path / "elsewhere")
    again = score(side(tmp_path / "elsewhere"), side(folders[1]), SCENES)
    assert batches == [] and again.rows == first.rows
    # The old name with a new content.
    Image.new("RGB", (32, 32)).save(folders[1] / "007.png")
    changed = score(side(folders[0]), side(folders[1]), SCENES)
    assert sum(batches) == 30 and rows(changed)["fd_scenes"].value != rows(first)["fd_scenes"].value


def test_without_the_cache_nothing_is_kept(folders: tuple[Path, Path], cache: Path, batches: list[int]) -> None:
    for _ in range(2):
        score(side(folders[0]), side(folders[1]), SCENES, Options(cache=False))
    assert sum(batches) == 180 and not cache.exists()


def test_the_same_twice_is_the_same_but_for_the_time(folders: tuple[Path, Path], tmp_path: Path) -> None:
    documents = [as_document(score(side(folders[0]), side(folders[1]), SCENES)) for _ in range(2)]
    for document in documents:
        assert document.pop("created").endswith("+00:00")
    assert json.dumps(documents[0]) == json.dumps(documents[1])


def test_the_record_reads_back(folders: tuple[Path, Path], tmp_path: Path) -> None:
    found = score(side(folders[0]), side(folders[1]), SCENES, Options(seed=4))
    (tmp_path / "a.json").write_text(json.dumps(as_document(found), allow_nan=False))
    read = read_record(tmp_path / "a.json")
    assert read.rows == found.rows
    assert read.document["schema"] == SCHEMA and read.document["fake"]["images"] == 30
    assert read.document["options"]["seed"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no score"),
        ('{"schema": "trilemma.run/1"}', 'not "trilemma.score/1"'),
        ('{"schema": "trilemma.score/1"}', "damaged"),
        ('{"schema": "trilemma.score/1", "numbers": [{"ci": 1}]}', "damaged"),
    ],
)
def test_a_file_that_is_no_score_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_record(tmp_path / "a.json")


def test_sizes_that_differ_are_refused_and_resizing_is_the_way_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    large = save(tmp_path / "large", scenes.images("heldout", range(30), 48))
    with pytest.raises(UserError, match=r"32 x 32 in .*real and 48 x 48 in .*large.*--resize R"):
        score(side(folders[0]), side(large), SCENES)
    found = rows(score(side(folders[0]), side(large), SCENES, Options(resize=32)))
    assert found["fd_scenes"].value is not None and found["fd_scenes"].identity["resize"] == 32


def test_images_of_several_sizes_are_refused_with_two_of_them(folders: tuple[Path, Path]) -> None:
    Image.new("RGB", (40, 24)).save(folders[1] / "009.png")
    with pytest.raises(UserError, match=r"fake: the images differ in size: 32 x 32 and 40 x 24.*--resize R"):
        score(side(folders[0]), side(folders[1]), SCENES)


def test_features_that_are_not_finite_are_refused_with_the_image(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (32, 32), (255, 0, 255)).save(folders[1] / "017.png")
    forward = Extractor.batch

    def batch(self: Extractor, images: Sequence[Any]) -> dict[str, Any]:
        if any((image == (255, 0, 255)).all() for image in images):
            raise UserError("the features of an image are not finite: are the weights those of the network?")
        return forward(self, images)

    monkeypatch.setattr(Extractor, "batch", batch)
    with pytest.raises(UserError, match=r"fake/017.png: the features of an image are not finite"):
        score(side(folders[0]), side(folders[1]), SCENES, Options(batch_size=8))


def test_no_number_at_all_is_refused_with_the_reasons(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one = save(tmp_path / "one", scenes.images("heldout", range(1)))
    with pytest.raises(UserError, match="no number could be had. fd_scenes, vendi: needs at least 20 samples"):
        score(side(folders[0]), side(one), SCENES)


def test_a_cache_that_cannot_be_written_says_so(
    folders: tuple[Path, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="features cannot be kept here.*--no-cache"):
        score(side(folders[0]), side(folders[1]), SCENES)


def test_images_are_chosen_by_the_seed_and_not_by_their_names(folders: tuple[Path, Path]) -> None:
    first, again, other = (Resolver(seed=seed).side(str(folders[0]), 20) for seed in (0, 0, 1))
    assert first.images is not None and again.images is not None and other.images is not None
    assert first.images.keys() == again.images.keys() != other.images.keys()
    assert first.images.keys() != [f"{number:03d}.png" for number in range(20)]


def test_the_progress_is_told_for_both_sides(folders: tuple[Path, Path]) -> None:
    told: list[tuple[str, int, int]] = []
    score(side(folders[0]), side(folders[1]), SCENES, progress=lambda *step: told.append(step))
    assert ("real", 60, 60) in told and told[-1] == ("fake", 30, 30)


def test_statistics_stand_for_the_images_that_they_are_of(folders: tuple[Path, Path], tmp_path: Path) -> None:
    written = write_statistics(side(folders[0]), tmp_path / "s.npz", SCENES[0])
    assert written.features.count == 60 and written.identity["source"]["digest"] == side(folders[0]).images.digest()  # type: ignore[union-attr]
    by_file = rows(score(side(tmp_path / "s.npz"), side(folders[1]), SCENES))["fd_scenes"]
    by_images = rows(score(side(folders[0]), side(folders[1]), SCENES))["fd_scenes"]
    assert by_file.value == pytest.approx(by_images.value, rel=1e-9)
    assert by_file.n_reference == 60


def test_the_same_statistics_are_the_same_file(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_statistics(side(folders[0]), tmp_path / name, SCENES[0])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(dtype="float64"), r"extractor.dtype is 'float32' there, 'float64' here"),
        (Options(resize=32), "resize is None there, 32 here"),
    ],
)
def test_statistics_of_another_extractor_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, options: Options, message: str
) -> None:
    write_statistics(side(folders[0]), tmp_path / "s.npz", SCENES[0])
    with pytest.raises(UserError, match=message):
        score(side(tmp_path / "s.npz"), side(folders[1]), SCENES, options)


def test_statistics_of_another_suite_are_checked_by_their_width(folders: tuple[Path, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    with pytest.raises(UserError, match='these statistics are of 2048 features; those of "scenes" are 128'):
        score(side(tmp_path / "wide.npz"), side(folders[1]), SCENES)
    np.savez(tmp_path / "fits.npz", mu=np.zeros(WIDTH), sigma=np.eye(WIDTH))
    row = rows(score(side(tmp_path / "fits.npz"), side(folders[1]), SCENES))["fd_scenes"]
    assert row.value is not None and row.reason is not None and "does not tell its number" in row.reason


@pytest.mark.parametrize("extractor", [None, "inception", ["a"], {"network": "none"}])
def test_statistics_whose_identity_is_another_suites_own_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, extractor: Any
) -> None:
    identity = np.array(json.dumps({"extractor": extractor}))
    np.savez(tmp_path / "s.npz", mu=np.zeros(WIDTH), sigma=np.eye(WIDTH), identity=identity)
    with pytest.raises(UserError, match='statistics of another extractor than that of "scenes": extractor'):
        score(side(tmp_path / "s.npz"), side(folders[1]), SCENES)


def test_statistics_cannot_be_judged(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_statistics(side(folders[0]), tmp_path / "s.npz", SCENES[0])
    with pytest.raises(UserError, match="s.npz: these are reference statistics; what is judged must be images"):
        score(side(folders[0]), side(tmp_path / "s.npz"), SCENES)


@pytest.mark.parametrize("name", ["s.txt", "s"])
def test_statistics_are_written_to_npz_alone(folders: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="a file in .npz"):
        write_statistics(side(folders[0]), tmp_path / name, SCENES[0])


def test_prompts_of_a_file_follow_their_images(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("".join(f"prompt {number // 2}\n" for number in range(30)))
    whole = side(folders[1], prompts=tmp_path / "prompts.txt")
    assert whole.prompts is not None and whole.prompts[17] == "prompt 8" and whole.grouped
    few = side(folders[1], 7, prompts=tmp_path / "prompts.txt")
    assert few.images is not None
    assert few.prompts == tuple(f"prompt {int(key[:3]) // 2}" for key in few.images.keys())
    with pytest.raises(UserError, match="there are 30 prompts for the 60 images"):
        side(folders[0], prompts=tmp_path / "prompts.txt")
    with pytest.raises(UserError, match="these have their own"):
        side("scenes", 30, prompts=tmp_path / "prompts.txt")


@pytest.fixture
def of_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Preset, Preset]:
    """``fid`` and ``fid-adm`` with random weights under a name of their own."""
    torch.manual_seed(0)
    torch.save(TFInception().state_dict(), tmp_path / "random.pth")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    fid, adm = (
        replace(one, recipe=replace(one.recipe, files=(WeightsFile(name="random.pth"),)))
        for one in (preset("fid"), preset("fid-adm"))
    )
    return fid, adm


def test_presets_of_one_network_share_it(of_inception: tuple[Preset, Preset], monkeypatch: pytest.MonkeyPatch) -> None:
    networks = load_networks(of_inception, "cpu", None, False)
    assert len(networks.extractors) == 1
    assert networks.of(of_inception[0]).recipe.outputs == ("features", "logits", "spatial")
    assert networks.identity(of_inception[0]) == networks.identity(of_inception[1])


def test_adms_reference_batch_gives_statistics_for_distances_and_images_for_neighbours(
    of_inception: tuple[Preset, Preset], tmp_path: Path
) -> None:
    pixels = scenes.images("reference", range(22))
    np.save(tmp_path / "pixels.npy", pixels)
    write_statistics(side(tmp_path / "pixels.npy"), tmp_path / "own.npz", of_inception[1])
    own = read_statistics(tmp_path / "own.npz")
    assert own.spatial is not None and own.spatial.mean_D.shape == (2023,)
    np.savez(
        tmp_path / "adm.npz", arr_0=pixels[:21], mu=own.features.mean_D, sigma=own.features.covariance_DD,
        mu_s=own.spatial.mean_D, sigma_s=own.spatial.covariance_DD,
    )  # fmt: skip
    fake = side(tmp_path / "pixels.npy", 20)
    found = score(side(tmp_path / "adm.npz"), fake, of_inception[1:])
    for name in ("fid", "sfid"):
        assert rows(found)[name].value is not None and rows(found)[name].n_reference is None
    assert rows(found)["precision"].reason == "needs at least 40 samples; there are 20"
    assert found.real["statistics"]["n"] is None and found.real["images"] == 21


def test_missing_weights_are_named_before_anything_is_measured(
    folders: tuple[Path, Path], batches: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME", VARIABLE):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=INCEPTION.name):
        score(side(folders[0]), side(folders[1]), (*SCENES, preset("fid")))
    assert batches == []
