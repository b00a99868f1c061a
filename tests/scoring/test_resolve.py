"""What names stand for: paths, Scenes, models and runs."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trilemma import registry
from trilemma.data import scenes
from trilemma.data.datasets import open_located
from trilemma.data.hub_data import HubData
from trilemma.errors import UserError
from trilemma.features import identity
from trilemma.features.presets import preset
from trilemma.features.thumbnails import thumbnails
from trilemma.generator import resolve_knobs
from trilemma.protocol import Protocol
from trilemma.protocols import find_protocol
from trilemma.registry import find_card
from trilemma.runner.plan import plan
from trilemma.scoring.checks import check_kinds, check_sizes
from trilemma.scoring.copies import PIXELS
from trilemma.scoring.drawing import DrawingFailed
from trilemma.scoring.resolve import Resolver, default_presets, named_presets
from trilemma.scoring.score import Options, score
from trilemma.scoring.views import Chosen
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays
from trilemma.store.layout import RunFolder
from trilemma.store.record import Record
from trilemma.store.tables import SAMPLES, write_rows
from trilemma.strict_toml import dump
from trilemma.workspace import find_workspace

CHECKOUT = Path(__file__).resolve().parents[2]
BROKEN = 'name = "broken"\nfactory = "broken_code:load"\n'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with two models, one of which fails, that is the working folder too."""
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    for name in ("real", "broken"):
        (tmp_path / "models" / name).mkdir(parents=True)
    (tmp_path / "models" / "real" / "card.toml").write_text((CHECKOUT / "models" / "real" / "card.toml").read_text())
    (tmp_path / "models" / "broken" / "card.toml").write_text(BROKEN)
    (tmp_path / "models" / "broken" / "broken_code.py").write_text(
        "def load(card, device):\n    raise RuntimeError('it fell over')\n"
    )
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "scenes.toml").write_text((CHECKOUT / "benchmarks" / "scenes.toml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def protocol_of(root: Path) -> Protocol:
    return find_protocol("scenes", find_workspace(root))


def make_run(root: Path, features: Any = None, network: str | None = None, **arrays: Any) -> Path:
    """A finished run of one model with six images with prompts and two without."""
    protocol = protocol_of(root)
    folder = RunFolder(path=root / "results" / "runs" / "20260101-000000-aaaaaaaa")
    record = Record(
        run_id=folder.path.name, identity="i", created="2026-01-01T00:00:00", spec={"protocol": dump(protocol)},
        status="complete", instruments=identity(protocol) | ({} if network is None else {"features": network}),
    )  # fmt: skip
    record.models = {"gan": {"status": "done"}}
    record.write(folder.record)
    sets = ["prompted"] * 6 + ["unconditional"] * 2
    rows = [
        {"model": "gan", "set": name, "key": f"key {i}", "prompt": f"p{i}", "status": "ok", "image_sha256": f"{i}"}
        for i, name in enumerate(sets)
    ]
    write_rows(folder.samples("gan"), SAMPLES, rows)
    made = np.arange(8 * 128, dtype=np.float32).reshape(8, 128) if features is None else features
    write_arrays(folder.features("gan"), {"features": made, "logits": np.zeros((8, 24), np.float32), **arrays})
    return folder.path


def test_scenes_by_split_and_number(root: Path) -> None:
    whole, few = Resolver().side("scenes"), Resolver().side("scenes:heldout", 5)
    assert (whole.kind, len(whole.images or ()), whole.name) == ("scenes", 10_000, "scenes")
    assert few.images is not None and few.prompts == tuple(scenes.captions("heldout", range(5)))
    assert np.array_equal(np.stack(list(few.images.images())), scenes.images("heldout", range(5)))


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("scenez", None, 'there is no "scenez".*Did you mean "scenes"?'),
        ("reel", None, 'there is no "reel".*Did you mean "real"?'),
        ("scenes:refrence", None, 'no split "refrence". Did you mean "reference"?'),
        ("./nothing", None, "nothing: there is no such file or folder"),
        ("scenes", 0, "at least one image is needed, got 0"),
        ("scenes:train", 100_001, "outside the split"),
        ("latest:gan", None, 'no run "latest"'),
    ],
)
def test_what_is_not_there_is_one_clear_error(root: Path, name: str, count: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Resolver().side(name, count)
    assert "\n" not in str(caught.value)


def test_a_folder_with_a_models_name_is_ambiguous_until_it_is_written_as_a_path(root: Path) -> None:
    np.save(root / "pixels.npy", scenes.images("heldout", range(3)))
    (root / "real").mkdir()
    with pytest.raises(UserError, match='"real" is a path and a model'):
        Resolver().side("real")
    with pytest.raises(UserError, match="no images here"):
        Resolver().side(f".{os.sep}real")
    (root / "scenes").mkdir()
    with pytest.raises(UserError, match='"scenes" is a path and Scenes'):
        Resolver().side("scenes")


def test_paths_need_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trilemma.workspace._PACKAGE", tmp_path / "a" / "b" / "c" / "d")
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "pixels.npy", scenes.images("heldout", range(3)))
    assert len(Resolver().side("pixels.npy").images or ()) == 3


def test_a_run_gives_the_features_of_its_prompted_images(root: Path) -> None:
    path = make_run(root)
    side = Resolver().side("latest:gan")
    assert side.stored is not None and side.images is None
    assert side.prompts == tuple(f"p{i}" for i in range(6))
    stored = read_arrays(path / "features" / "gan.npz")["features"]
    assert np.array_equal(side.stored.arrays["features"], stored[:6])
    assert side.origin == {"run": path.name, "model": "gan", "set": "prompted"}
    few = Resolver().side("20260101:gan", 4)
    assert few.stored is not None and few.stored.count == 4 and few.stored.digest != side.stored.digest


def test_a_run_may_be_named_by_its_folder(root: Path) -> None:
    path = make_run(root)
    assert Resolver().side(f"{path}:gan").origin == Resolver().side("latest:gan").origin
    with pytest.raises(UserError, match="gna"):
        Resolver().side(f"{path}:gna")


def test_a_run_serves_the_preset_of_scenes_alone(root: Path) -> None:
    make_run(root)
    side = Resolver().side("latest:gan")
    check_kinds(side, side, [preset("scenes")], None)
    with pytest.raises(UserError, match='a run keeps the features of the preset "scenes" and no images; "fid" needs'):
        check_kinds(side, side, [preset("scenes"), preset("fid")], None)
    with pytest.raises(UserError, match="no images that could be resized"):
        check_kinds(side, side, [preset("scenes")], 32)


def test_a_runs_thumbnails_serve_the_copy_test(root: Path) -> None:
    images = scenes.images("heldout", range(8))
    make_run(root, thumbnails=thumbnails(images))
    np.save(root / "same.npy", images[:6])
    np.save(root / "real.npy", scenes.images("floor", range(120)))
    np.save(root / "train.npy", scenes.images("train", range(50)))
    real, training = Resolver().side("real.npy"), Resolver().side("train.npy")
    found = [
        score(real, Resolver().side(fake), [PIXELS], Options(device="cpu"), training=training).rows[0]
        for fake in ("latest:gan", "same.npy")
    ]
    assert found[0].value == found[1].value and found[0].details == found[1].details
    assert found[0].n == 6 and found[0].details["threshold"] > 1


def test_a_run_without_thumbnails_cannot_be_tested_for_copies(root: Path) -> None:
    make_run(root)
    side = Resolver().side("latest:gan")
    with pytest.raises(UserError, match="latest:gan: this run has kept no thumbnails.*the model's name"):
        check_kinds(side, side, [preset("scenes"), PIXELS], None)


def test_the_size_of_a_runs_images_is_known(root: Path) -> None:
    make_run(root)
    np.save(root / "large.npy", scenes.images("floor", range(3), 48))
    with pytest.raises(UserError, match="48 x 48 in .*large.npy and 32 x 32 in latest:gan.$"):
        check_sizes(Resolver().side("large.npy"), Resolver().side("latest:gan"))


def test_the_training_split_is_taken_whole(root: Path) -> None:
    assert len(Resolver().side("scenes:train").images or ()) == scenes.TRAIN_IMAGES


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [("latest:gna", None, 'this run has no model "gna". Did you mean "gan"?'), ("latest:gan", 7, "6 images here; 7")],
)
def test_what_a_run_has_not_is_refused(root: Path, name: str, count: int | None, message: str) -> None:
    make_run(root)
    with pytest.raises(UserError, match=message):
        Resolver().side(name, count)


def test_a_run_that_another_network_measured_is_refused(root: Path) -> None:
    make_run(root, network="0" * 64)
    with pytest.raises(UserError, match="measured with other weights"):
        Resolver().side("latest:gan")


def test_stored_features_that_are_not_finite_are_refused_with_the_image(root: Path) -> None:
    features = np.zeros((8, 128), np.float32)
    features[3, 5] = np.nan
    make_run(root, features)
    with pytest.raises(UserError, match="latest:gan: the features of the image key 3 are not finite"):
        Resolver().side("latest:gan")


def test_a_model_draws_what_a_run_would_draw(root: Path) -> None:
    told: list[tuple[int, int]] = []
    side = Resolver(seed=3, device="cpu", drawing=lambda *step: told.append(step)).side("real", 70)
    entries = plan(protocol_of(root), 3)["prompted"][:70]
    assert side.kind == "model" and side.images is not None and told == []
    assert side.prompts == tuple(entry.prompt for entry in entries)
    drawn = np.stack(list(side.images.images()))
    assert told == [(64, 70), (70, 70)]
    generator = registry.load(find_card("real", find_workspace(root)), "cpu")
    knobs = resolve_knobs(generator.info.knobs, {})
    wanted = generator.generate([entry.prompt for entry in entries], [entry.seed for entry in entries], **knobs)
    assert np.array_equal(drawn, wanted.permute(0, 2, 3, 1).numpy())
    assert np.array_equal(np.stack(list(side.images.images(60))), drawn[60:]) and len(told) == 2  # drawn once


def test_a_model_that_fails_is_no_mistake_of_the_user(root: Path) -> None:
    side = Resolver(device="cpu").side("broken", 30)
    with pytest.raises(DrawingFailed, match='the model "broken" failed: RuntimeError: it fell over'):
        score(Resolver().side("scenes", 30), side, default_presets(side, side))


def test_the_last_words_of_a_model_that_dies_are_told(root: Path) -> None:
    code = "import os\n\n\ndef load(card, device):\n    print('out of luck', flush=True)\n    os._exit(3)\n"
    (root / "models" / "broken" / "broken_code.py").write_text(code)
    side = Resolver(device="cpu").side("broken", 30)
    assert side.images is not None
    with pytest.raises(DrawingFailed, match="the model's process ended with exit code 3. out of luck"):
        side.images.digest()


def test_the_default_preset(root: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", scenes.images("heldout", range(3)))
    ours, model, files = (Resolver().side(name) for name in ("scenes", "real", "pixels.npy"))
    assert [one.name for one in default_presets(ours, model)] == ["scenes"]
    assert [one.name for one in default_presets(ours, files)] == ["fid"]


def test_presets_by_name() -> None:
    assert [one.name for one in named_presets("fid, scenes,fid")] == ["fid", "scenes"]
    assert named_presets("pixels") == (PIXELS,)
    with pytest.raises(UserError, match='there is no preset "fdi". Did you mean "fid"?'):
        named_presets("fdi")
    with pytest.raises(UserError, match="--preset: no preset is named"):
        named_presets(" , ")


def write_shard(path: Path, count: int) -> Path:
    """A shard of WebDataset: pictures of Scenes with a caption each."""
    with tarfile.open(path, "w") as archive:
        for number, image in enumerate(scenes.images("reference", range(count))):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            for ending, data in (("png", file.getvalue()), ("txt", f"picture {number}".encode())):
                member = tarfile.TarInfo(f"{number:04d}.{ending}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def test_shards_are_a_side_with_their_captions(root: Path) -> None:
    write_shard(root / "train-0.tar", 40)
    found = Resolver(root=root).side(f"wds:{root}/train-0.tar")
    assert found.images is not None and len(found.images) == 40 and found.kind == "images"
    assert found.prompts == tuple(f"picture {number}" for number in range(40))
    some = Resolver(root=root, seed=3).side("wds:train-0.tar", 5)
    assert isinstance(some.images, Chosen) and some.prompts is not None
    assert some.prompts == tuple(f"picture {row}" for row in some.images.rows)
    (root / "prompts.txt").write_text("\n".join(map(str, range(40))))
    assert Resolver(root=root).side("wds:.", None, root / "prompts.txt").prompts == tuple(map(str, range(40)))


def test_shards_and_a_folder_of_the_same_files_have_the_same_numbers(root: Path) -> None:
    write_shard(root / "train-0.tar", 40)
    (root / "folder").mkdir()
    with tarfile.open(root / "train-0.tar") as archive:
        for member in archive:  # Python 3.11.2's extractall has no filter
            content = archive.extractfile(member)
            assert content is not None
            (root / "folder" / member.name).write_bytes(content.read())
    numbers = [
        {row.metric: row.value for row in score(Resolver(root=root).side(real), fake, (preset("scenes"),)).rows}
        for fake in [Resolver(root=root).side("scenes:heldout", 20)]
        for real in (f"wds:{root}", "./folder")
    ]
    assert numbers[0] == numbers[1] and numbers[0]["fd_scenes"] is not None


def test_pictures_of_the_hub_are_fetched_where_that_is_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr(HubData, "fetch", lambda self, split=None: asked.append(split))
    monkeypatch.setattr(HubData, "source", lambda self, split=None: open_located(f"wds:{root}").source())
    write_shard(root / "train-0.tar", 3)
    for download in (False, True):
        side = Resolver(root=root, download=download).side("hf:owner/name@v1?split=train")
        assert side.images is not None and len(side.images) == 3
    assert asked == [None]
