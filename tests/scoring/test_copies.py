"""The copy test of a score: copies are caught, honest images are not, and what is no held-out set is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trilemma import registry
from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.families import controls
from trilemma.features.presets import preset
from trilemma.features.thumbnails import thumbnails
from trilemma.metrics.copying import copy_test, nearest_distances
from trilemma.registry import find_card
from trilemma.scoring import copies
from trilemma.scoring.copies import PIXELS
from trilemma.scoring.record import as_document, read_record
from trilemma.scoring.resolve import Resolver
from trilemma.scoring.row import Row
from trilemma.scoring.score import Options, Score, score
from trilemma.scoring.side import Side
from trilemma.scoring.stats import write_statistics
from trilemma.workspace import find_workspace

CHECKOUT = Path(__file__).resolve().parents[2]
TRAINING, HELDOUT = 5000, 240
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def training() -> Pixels:
    return scenes.images("train", range(TRAINING))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: Pixels) -> Path:
    """A working folder with training images, held-out ones, and honest ones."""
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    np.save("training.npy", training)
    np.save("real.npy", scenes.images("heldout", range(HELDOUT)))
    np.save("honest.npy", scenes.images("reference", range(120)))
    return tmp_path


def side(name: str, count: int | None = None, **others: Any) -> Side:
    return Resolver().side(name, count, **others)


def scored(real: str = "real.npy", fake: str = "honest.npy", bank: str = "training.npy", **options: Any) -> Score:
    return score(side(real), side(fake), [PIXELS], Options(device="cpu", **options), training=side(bank))


def row(found: Score) -> Row:
    (one,) = (one for one in found.rows if one.metric == "copy_rate")
    return one


@pytest.fixture
def few_to_remember(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The control draws its pictures from the images that are the training images here."""
    monkeypatch.setattr(scenes, "TRAIN_IMAGES", TRAINING)
    controls._training_modes.cache_clear()
    yield
    controls._training_modes.cache_clear()


@pytest.mark.usefixtures("few_to_remember")
@pytest.mark.parametrize(("control", "caught"), [("memorizer", True), ("real", False)])
def test_the_memorizer_is_caught_and_fresh_pictures_are_not(control: str, caught: bool) -> None:
    generator = registry.load(find_card(control, find_workspace(CHECKOUT)), "cpu")
    drawn = generator.generate(list(scenes.captions("prompts", range(120))), list(range(120)))
    np.save("fake.npy", drawn.permute(0, 2, 3, 1).numpy())
    found = row(scored(fake="fake.npy"))
    assert found.details["beyond_chance"] is caught and found.value is not None and found.reason is not None
    assert found.value == 1 if caught else found.value < 0.1
    assert ("copies of training images, beyond chance" in found.reason) is caught
    assert ("no more than chance" in found.reason) is not caught


def test_a_row_is_what_the_pure_function_says_of_the_same_thumbnails(training: Pixels) -> None:
    fake = np.concatenate([training[:9], scenes.images("floor", range(91))])
    np.save("fake.npy", fake)
    found = row(scored(fake="fake.npy"))
    bank = thumbnails(training)
    wanted = copy_test(
        nearest_distances(thumbnails(fake), bank),
        nearest_distances(thumbnails(scenes.images("heldout", range(HELDOUT))), bank),
    )
    assert (found.value, found.se, found.ci) == (wanted.rate.value, wanted.rate.se, wanted.rate.interval())
    assert (found.preset, found.direction, found.n, found.n_reference) == ("pixels", "lower", 100, TRAINING)
    assert found.details == {
        "threshold": wanted.threshold,
        "heldout_images": HELDOUT,
        "p_value": wanted.p_value,
        "significance": 0.001,
        "beyond_chance": True,
    }


def test_the_identity_holds_what_the_rate_depends_on() -> None:
    first, again = row(scored()), row(scored(seed=0))
    assert first.identity == again.identity
    assert first.identity["training"] == side("training.npy").images.digest()  # type: ignore[union-attr]
    assert first.identity["parameters"] == {"quantile": 0.01}
    np.save("training.npy", scenes.images("train", range(TRAINING - 1)))
    other = row(scored())
    differing = {name for name in first.identity if first.identity[name] != other.identity[name]}
    assert differing == {"training", "n_reference"}
    alone = score(side("real.npy"), side("honest.npy"), [preset("scenes")], Options(device="cpu"))
    assert all("training" not in one.identity and one.details == {} for one in alone.rows)


def test_the_floor_is_the_rate_of_real_images(training: Pixels) -> None:
    np.save("few.npy", training[:100])
    floor = row(scored(fake="few.npy")).floor
    assert (floor.n, floor.n_reference) == (100, TRAINING) and floor.value is not None and floor.value < 0.1
    np.save("many.npy", scenes.images("floor", range(121)))
    assert row(scored(fake="many.npy")).floor.reason == "needs 242 real images; there are 240"


def test_the_copy_test_stands_beside_other_presets() -> None:
    told: list[tuple[str, int, int]] = []
    found = score(
        side("real.npy"),
        side("honest.npy"),
        [preset("scenes")],
        Options(device="cpu"),
        progress=lambda *step: told.append(step),
        training=side("training.npy"),
    )
    assert [one.name for one in found.presets] == ["scenes", "pixels"]
    assert row(found).value is not None and found.rows[0].metric == "fd_scenes"
    assert ("training", TRAINING, TRAINING) in told
    assert found.training is not None and found.training["images"] == TRAINING


def test_thumbnails_are_kept_by_content(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = row(scored())
    for name in ("real", "honest", "training"):
        (here / f"{name}.npy").rename(here / f"{name}-renamed.npy")
    calls: list[int] = []
    monkeypatch.setattr("trilemma.features.extractor.Extractor.batch", lambda *_: calls.append(1))
    assert row(scored("real-renamed.npy", "honest-renamed.npy", "training-renamed.npy")) == first
    assert calls == []


def test_images_are_decoded_once_for_thumbnails_and_features(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    class Counted:
        def __init__(self, source: Any) -> None:
            self._source = source

        def __getattr__(self, name: str) -> Any:
            return getattr(self._source, name)

        def __len__(self) -> int:
            return len(self._source)

        def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
            for image in self._source.images(start, stop):
                decoded.append(1)
                yield image

    def counted(name: str) -> Side:
        found = side(name)
        return replace(found, images=Counted(found.images))  # type: ignore[arg-type]

    score(
        counted("real.npy"),
        side("honest.npy"),
        [preset("scenes")],
        Options(device="cpu"),
        training=counted("training.npy"),
    )
    assert len(decoded) == HELDOUT + TRAINING


def test_fewer_than_a_hundred_real_images_are_too_few() -> None:
    np.save("real.npy", scenes.images("heldout", range(99)))
    with pytest.raises(UserError, match="copy_rate: needs at least 100 held-out images; there are 99"):
        scored()
    found = score(
        side("real.npy"), side("honest.npy"), [preset("scenes")], Options(device="cpu"), training=side("training.npy")
    )
    assert (row(found).value, row(found).status, row(found).details) == (None, "skipped", {})


@pytest.mark.parametrize("shared", ["all", "some", "nearly"])
def test_real_images_that_were_trained_on_set_no_threshold(shared: str, training: Pixels) -> None:
    if shared == "all":
        real = training
    else:
        real = scenes.images("heldout", range(200))
        real[::20] = training[:10]
        if shared == "nearly":
            real[:, ::2, ::2] ^= 1  # one grey level in every fourth pixel
    np.save("trained.npy", real)
    found = score(
        side("trained.npy"),
        side("honest.npy"),
        [preset("scenes")],
        Options(device="cpu"),
        training=side("training.npy"),
    )
    one = row(found)
    assert (one.value, one.status, one.floor.value) == (None, "withheld", None)
    share = "100%" if shared == "all" else "5%"
    assert one.reason == (
        f"REAL is not held out from TRAINING: {share} of its images lie within 0.5 grey levels of a training image"
    )
    assert found.rows[0].value is not None  # the other numbers stand


def test_training_images_as_real_ones_are_told_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def search(images: Any, training: Any) -> NDArray[np.float64]:
        searched.append(len(images))
        return nearest_distances(images, training)

    monkeypatch.setattr(copies, "nearest_distances", search)
    with pytest.raises(UserError, match="copy_rate: REAL is not held out from TRAINING: 100%"):
        scored(real="training.npy")
    assert searched == [120]


def test_one_shared_image_in_a_thousand_leaves_the_test_as_it_is(training: Pixels) -> None:
    real = scenes.images("heldout", range(1000))
    real[7] = training[3]
    np.save("real.npy", real)
    assert row(scored()).status == "ok"


def test_the_copy_test_needs_training_images() -> None:
    with pytest.raises(UserError, match='--preset: the preset "pixels" tests for copies.*--training SOURCE'):
        score(side("real.npy"), side("honest.npy"), [PIXELS], Options(device="cpu"))


def test_statistics_are_neither_held_out_nor_trained_on(here: Path) -> None:
    write_statistics(side("real.npy"), here / "s.npz", preset("scenes"), Options(device="cpu"))
    with pytest.raises(UserError, match=r"s.npz: these are reference statistics; the copy test needs real images"):
        scored(real="s.npz")
    with pytest.raises(UserError, match=r"s.npz: these are reference statistics; the copy test needs training images"):
        scored(bank="s.npz")


def test_training_images_of_another_size_are_refused_until_all_are_resized() -> None:
    np.save("large.npy", scenes.images("train", range(60), 48))
    with pytest.raises(UserError, match=r"32 x 32 in .*real.* and 48 x 48 in .*large.*--resize R"):
        scored(bank="large.npy")
    found = row(scored(bank="large.npy", resize=24))
    assert found.value is not None and found.identity["resize"] == 24


def test_repeated_prompts_are_clusters_of_the_error(here: Path, training: Pixels) -> None:
    np.save("fake.npy", np.concatenate([training[:30], scenes.images("floor", range(90))]))
    (here / "prompts.txt").write_text("".join(f"prompt {number // 10}\n" for number in range(120)))
    found = score(
        side("real.npy"),
        side("fake.npy", prompts=here / "prompts.txt"),
        [PIXELS],
        Options(device="cpu"),
        training=side("training.npy"),
    )
    plain = row(scored(fake="fake.npy"))
    grouped = row(found)
    assert grouped.value == plain.value and grouped.se_method == "mean_clustered"
    assert grouped.se is not None and plain.se is not None and grouped.se > plain.se


def test_the_record_keeps_the_verdict_and_reads_back(here: Path) -> None:
    found = scored()
    document = as_document(found)
    (here / "a.json").write_text(json.dumps(document, allow_nan=False))
    assert read_record(here / "a.json").rows == found.rows
    assert document["training"]["digest"] == found.rows[0].identity["training"]
    assert document["numbers"][0]["details"]["beyond_chance"] is False
    del document["numbers"][0]["details"]  # as files are that were written before there were any
    (here / "b.json").write_text(json.dumps(document))
    assert read_record(here / "b.json").rows[0].details == {}


def test_folders_and_arrays_of_the_same_pictures_give_the_same_rate(here: Path, training: Pixels) -> None:
    (here / "folder").mkdir()
    for number, image in enumerate(training[:200]):
        Image.fromarray(image).save(here / "folder" / f"{number:03d}.png")
    np.save("array.npy", training[:200])
    assert row(scored(bank="folder")).details == row(scored(bank="array.npy")).details
