"""What a run keeps of its images: all of them, lossless, in the order of its sample rows; less where it is told so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trilemma.cli import main
from trilemma.errors import UserError
from trilemma.runner.kept import kept_of
from trilemma.store.digests import verify
from trilemma.store.run import Run
from trilemma.store.sheets import Sheets
from trilemma.store.strips import read_strips


@pytest.fixture(scope="module")
def traced(driver: ModuleType, root: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small complete run of a model that shows how it makes a picture."""
    run: Run = driver.drive(root, tmp_path_factory.mktemp("traced"), cache, "traced", samples=24)
    return run


def test_the_sheets_hold_the_images_of_the_sample_rows(finished: Run) -> None:
    samples, sheets = finished.samples("tiny"), Sheets(finished.folder.sheets("tiny"))
    assert sheets.index.sets == samples["set"].value_counts(sort=False).to_dict()
    for name, rows in samples.groupby("set"):
        images = sheets.images(str(name), range(len(rows)))
        assert [hashlib.sha256(image.tobytes()).hexdigest() for image in images] == rows["image_sha256"].tolist()


def test_the_grids_are_of_the_same_images(finished: Run) -> None:
    from PIL import Image

    folder, samples = finished.folder, finished.samples("tiny")
    about = json.loads((folder.images("tiny") / "within_prompt.json").read_text())
    rows = samples[samples["set"] == "within_prompt"].reset_index(drop=True)
    places = [rows.index[rows["key"] == key][0] for key in about["keys"]]
    wanted = Sheets(folder.sheets("tiny")).images("within_prompt", places)
    with Image.open(folder.images("tiny") / "within_prompt.png") as picture:
        tiles = np.asarray(picture).reshape(-1, 32, 8, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)
    assert np.array_equal(tiles[: len(wanted)], wanted)


def test_the_record_covers_the_pictures(traced: Run) -> None:
    pictures = {name for name in traced.record.files if name.startswith("images/")}
    sheets = {f"images/traced/sheets/{name}-000.png" for name in ("prompted", "unconditional", "within_prompt")}
    others = {"images/traced/sheets/index.json", "images/traced/strips/strips.png", "images/traced/strips/strips.json"}
    assert pictures == sheets | others
    assert "copies/traced.npz" in traced.record.files
    verify(traced)


def test_strips_are_of_the_first_prompts_and_end_in_the_images(traced: Run) -> None:
    found = read_strips(traced.folder.strips("traced"))
    assert found is not None
    about, frames = found
    samples, sheets = traced.samples("traced"), Sheets(traced.folder.sheets("traced"))
    assert [strip.kind for strip in about.strips] == ["sampling", "noising"] * 3 and about.problems == ()
    sampling = [(strip, pixels) for strip, pixels in zip(about.strips, frames, strict=True) if strip.kind == "sampling"]
    for row, (strip, pixels) in enumerate(sampling):
        assert (strip.key, strip.prompt, strip.seed) == tuple(samples.loc[row, ["key", "prompt", "seed"]])
        assert (strip.frames, strip.length, strip.evaluations) == ((1, 2), 2, 2)
        assert strip.wall_ms is not None and strip.wall_ms > 0
        assert np.array_equal(pixels[-1], sheets.images("prompted", [row])[0])
    noising = about.strips[1]
    assert (noising.space, noising.length, noising.evaluations, noising.wall_ms) == ("pixels", 3, None, None)
    assert np.array_equal(frames[1][0], frames[0][-1])


def test_copies_are_kept_image_by_image(traced: Run, cache: Path) -> None:
    kept, row = np.load(traced.folder.copies("traced")), traced.row("traced", "copy_rate")
    assert row is not None and row.params["threshold"] is not None
    assert (kept["distance"] < row.params["threshold"]).mean() == row.value
    thumbnails = np.load(next((cache / "reference").glob("training-*.npz")))["thumbnails"]
    own = traced.features("traced")["thumbnails"][: len(kept["nearest"])].astype(float)
    gaps = np.sqrt(((own - thumbnails[kept["nearest"]]) ** 2).mean(1))
    assert np.allclose(gaps, kept["distance"])


@pytest.mark.parametrize(("kept", "left"), [("grids", {"grids"}), ("none", set())])
def test_less_is_kept_where_it_is_told_so(
    driver: ModuleType, root: Path, cache: Path, tmp_path: Path, traced: Run, kept: str, left: set[str]
) -> None:
    run: Run = driver.drive(root, tmp_path, cache, "traced", samples=24, images=kept)
    folder = run.folder.images("traced")
    kinds = {"strips" if path.parent.name == "strips" else "grids" for path in folder.rglob("*.*")}
    assert kinds == left and not (folder / "sheets").exists()
    assert run.record.spec["images"] == kept and run.record.status == "complete"
    assert run.record.keys == traced.record.keys
    assert {row.series for row in run.rows} == {row.series for row in traced.rows}
    assert run.samples("traced")["image_sha256"].equals(traced.samples("traced")["image_sha256"])
    assert not list(run.folder.path.rglob("*.pixels.npz"))


def test_another_word_is_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "small", "--root", str(root), "--out", str(tmp_path), "--images", "some"]) == 2
    assert "--images" in capsys.readouterr().err and not list(tmp_path.iterdir())
    assert kept_of("grids") == "grids"
    with pytest.raises(UserError, match="Known: all, grids, none"):
        kept_of("")
