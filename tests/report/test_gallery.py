"""The gallery's data: which image is of what, what moved the score, what may be a copy; and the page that holds it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic_gallery import SET, THRESHOLD, write_synthetic

from trilemma.data import scenes
from trilemma.report import write_report
from trilemma.report.gallery import gallery, page_data
from trilemma.report.inlined import LARGEST, tiled
from trilemma.report.record import Run, load
from trilemma.store.sheets import INDEX
from trilemma.store.tables import SAMPLES, read_table, write_rows

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><!-- ${alert(1)} {{ 7 * 7 }}",
    "a" * 10_000,
    "\u202eright to left \u05d0\u05d1\u05d2",
]
IMAGES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three models with hostile prompts; not to be changed."""
    return write_synthetic(tmp_path_factory.mktemp("gallery") / "run", models=3, images=IMAGES, prompts=HOSTILE)


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A run that a test may do with what it likes."""
    return write_synthetic(tmp_path / "run", models=2, images=20)


def data_of(run: Run) -> dict[str, Any]:
    shown = gallery(run)
    assert shown is not None
    told: dict[str, Any] = json.loads(json.dumps(page_data(run, shown)))
    return told


def inlined(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="viewer-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    told: dict[str, Any] = json.loads(found.group(1))
    return told


def test_rows_are_those_of_the_samples(folder: Path) -> None:
    run = load(folder)
    data = data_of(run)
    (of_set,) = data["sets"]
    rows = run.samples[run.samples["model"] == "model-0"]
    assert [data["texts"][number] for number in of_set["prompts"]] == rows["prompt"].tolist()
    assert [int(seed) for seed in of_set["seeds"]] == rows["seed"].tolist()
    assert of_set["models"] == [0, 1, 2] and [model["control"] for model in data["models"]] == [False, False, True]
    assert data["models"][1] | {"name": ""} == {
        "name": "", "control": False, "folder": "images/model-1/sheets", "tile": 32, "columns": 16,
    }  # fmt: skip


def test_influence_is_in_units_of_its_last_decimal(folder: Path) -> None:
    data = data_of(load(folder))
    assert data["influence"]["title"] == "quality score" and data["influence"]["unit"] == "points"
    for number in range(3):
        stored = np.load(folder / "replicates" / f"model-{number}.npz")["score_quality.0.influence"] / IMAGES
        told = np.array(data["sets"][0]["influence"][str(number)]) / 10 ** data["influence"]["decimals"]
        assert np.abs(told - stored).max() <= 0.5 / 10 ** data["influence"]["decimals"] + 1e-9
        assert 0.001 < np.abs(told).max() / np.abs(stored).max() < 1.1
    assert max(abs(v) for of in data["sets"][0]["influence"].values() for v in of) in range(100, 1000)


def test_suspected_copies_name_their_training_image(folder: Path, text: str) -> None:
    data = data_of(load(folder))
    sheet = np.asarray(Image.open(folder / "figures" / "nearest-000.png"))
    found = 0
    for number in range(3):
        stored = np.load(folder / "copies" / f"model-{number}.npz")
        copies = data["sets"][0]["copies"][str(number)]
        assert sorted(map(int, copies)) == np.flatnonzero(stored["distance"] < THRESHOLD).tolist()
        for row, (training, place, distance) in copies.items():
            assert training == stored["nearest"][int(row)] and distance == 5.0
            y, x = (32 * step for step in divmod(place, 16))
            assert np.array_equal(sheet[y : y + 32, x : x + 32], scenes.images("train", [training])[0])
            found += 1
    assert found > 0
    assert data["nearest"] == {"folder": "figures", "set": "nearest", "tile": 32, "columns": 16}


def test_where_the_training_images_are_not_known_the_distance_alone_is_told(own: Path) -> None:
    record = json.loads((own / "run.json").read_text())
    record["spec"]["protocol"]["data"] = "something else"
    (own / "run.json").write_text(json.dumps(record))
    arrays = dict(np.load(own / "copies" / "model-0.npz")) | {"distance": np.full(20, 5.0)}
    np.savez(own / "copies" / "model-0.npz", **arrays)
    write_report(own)
    data = data_of(load(own))
    assert data["nearest"] is None and len(data["sets"][0]["copies"]["0"]) == 20
    assert not (own / "figures" / "nearest-000.png").exists()


class Tags(HTMLParser):
    """Every tag with its attributes, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_hostile_prompts_are_text(text: str) -> None:
    scripts = [attributes for tag, attributes in Tags(text).tags if tag == "script"]
    assert {attributes.get("type") for attributes in scripts} == {"application/json", None}
    assert not [attributes for attributes in scripts if "src" in attributes or "onload" in attributes]
    assert not [tag for tag, attributes in Tags(text).tags if tag == "img" or "onerror" in attributes]
    assert inlined(text)["texts"][: len(HOSTILE)] == HOSTILE
    assert "{{ 7 * 7 }}" in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_policy_allows_the_script_by_its_digest_and_files_as_pictures_alone(text: str) -> None:
    policy = next(a["content"] for tag, a in Tags(text).tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith(
        "default-src 'none'; img-src data: 'self' file:; script-src 'sha256-"
    )
    assert "unsafe" not in policy and "connect-src" not in policy


def test_nothing_of_the_page_has_a_style_attribute(text: str) -> None:
    assert not [tag for tag, attributes in Tags(text).tags if "style" in attributes]


def test_the_first_rows_are_in_the_page_itself(folder: Path, text: str) -> None:
    tiles = [a for tag, a in Tags(text).tags if tag == "svg" and a.get("class") == "tile"]
    assert len(tiles) == 3 * 8
    assert all(len(tile["aria-label"] or "") < 300 for tile in tiles)
    assert "Samples</h2>" not in text  # the gallery shows what that section would


def test_other_names_are_quoted_in_addresses(own: Path) -> None:
    name = "gan@truncation=0.7"
    for part in ("images", "samples", "replicates", "copies"):
        for path in (own / part).glob("model-0*"):
            path.rename(path.with_name(path.name.replace("model-0", name)))
    record = (own / "run.json").read_text().replace('"model-0"', json.dumps(name))
    (own / "run.json").write_text(record)
    rows = [row | {"model": name} for row in read_table(own / "samples" / f"{name}.parquet", SAMPLES).to_pylist()]
    write_rows(own / "samples" / f"{name}.parquet", SAMPLES, rows)
    assert data_of(load(own))["models"][0]["folder"] == "images/gan%40truncation%3D0.7/sheets"


def test_images_that_are_not_there_say_why(own: Path) -> None:
    path = own / "samples" / "model-1.parquet"
    rows = read_table(path, SAMPLES).to_pylist()
    rows[3] |= {"status": "filtered", "error": "too <bright>"}
    rows[4] |= {"status": "error", "error": None}
    write_rows(path, SAMPLES, rows)
    assert data_of(load(own))["sets"][0]["absent"] == {"0": {}, "1": {"3": "too <bright>", "4": "error"}}


def test_a_model_of_other_prompts_or_damaged_sheets_is_left_out_and_named(own: Path) -> None:
    path = own / "samples" / "model-1.parquet"
    rows = read_table(path, SAMPLES).to_pylist()
    write_rows(path, SAMPLES, [*rows[1:], rows[0]])
    shown = gallery(load(own))
    assert shown is not None and [*shown.sets[0].by_model] == ["model-0"]
    assert shown.problems == (f"model-1, {SET}: the images are not those of the other models' prompts and seeds",)
    (own / "images" / "model-1" / "sheets" / INDEX).write_text("{")
    (own / "images" / "model-0" / "sheets" / f"{SET}-000.png").unlink()
    text = write_report(own).read_text(encoding="utf-8")
    assert "model-1: " in text and "this part of the record is damaged" in text
    assert f"model-0, {SET}: " in text and "this part of the record is missing" in text


def test_without_influence_there_is_none(own: Path) -> None:
    for path in (own / "replicates").iterdir():
        path.write_bytes(b"damaged")
    data = data_of(load(own))
    assert data["influence"] is None and data["sets"][0]["influence"] == {}


def test_older_runs_have_the_influence_on_the_distance(own: Path) -> None:
    for path in (own / "replicates").iterdir():
        (own / "influence").mkdir(exist_ok=True)
        np.savez(own / "influence" / path.name, fd_scenes=np.linspace(-1, 1, 20))
        path.unlink()
    data = data_of(load(own))
    assert data["influence"] == {"title": "FD-Scenes", "unit": "", "decimals": 4}
    assert data["sets"][0]["influence"]["0"][-1] == 500


def test_a_run_without_sheets_has_its_samples_and_no_gallery(run_folder: Path) -> None:
    assert gallery(load(run_folder)) is None
    text = write_report(run_folder).read_text(encoding="utf-8")
    assert '<section id="gallery"' not in text and '<section id="samples"' in text and "img-src data:;" in text


def test_large_tiles_are_shrunk_inside_the_page() -> None:
    images = np.full((3, 512, 512, 3), 77, np.uint8)
    small = tiled("a", images, 3)
    assert (small.side, small.size, small.box(2)) == (LARGEST, (3 * LARGEST, LARGEST), (256, 0, 128, 128))
    assert tiled("b", images[:, :32, :32], 2).size == (64, 64)


def test_influence_and_copies_are_of_the_set_that_stands_for_a_model(own: Path) -> None:
    record = json.loads((own / "run.json").read_text())
    record["spec"]["protocol"]["sets"] = [{"name": "other", "images": 20}, {"name": SET, "images": 20}]
    (own / "run.json").write_text(json.dumps(record))
    run = load(own)
    told = data_of(run)["sets"][0]
    assert SET == "prompted" and told["influence"] and told["copies"]
    record["spec"]["protocol"]["sets"] = [{"name": "other", "images": 20}]
    (own / "run.json").write_text(json.dumps(record))
    told = data_of(load(own))["sets"][0]
    assert told["influence"] == {} and told["copies"] == {}
