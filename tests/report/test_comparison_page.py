"""The page of two runs: the verdicts of ``compare``, the differing fields, and the same seeds' images."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic_comparison as synthetic
from PIL import Image
from synthetic_comparison import IMAGES, MODELS_A, MODELS_B, RUN_A, RUN_B, SET, STEADY

from trilemma.report import inline, write_comparison
from trilemma.report.comparison.contents import Contents, contents
from trilemma.report.comparison.differing import Field
from trilemma.report.comparison.forest import forest_figure
from trilemma.report.comparison.images import moved
from trilemma.report.comparison.outcome import headline, title_of
from trilemma.report.comparison.page import html as page_of
from trilemma.report.comparison.pair import load_pair
from trilemma.report.verdicts import as_rows, bounds_text
from trilemma.store.run import Run
from trilemma.store.sheets import Sheets
from trilemma.tracking.two_runs import compare_two
from trilemma.workspace import Workspace

GOLDEN = Path(__file__).parents[1] / "store" / "golden"
EVIL = '<script>alert(1)</script> & "a red star" \u202eשלום'


def workspace(folder: Path) -> Workspace:
    return Workspace(root=folder, results=folder)


def told_of(a: Path, b: Path) -> Contents:
    return contents(load_pair(a, b, workspace(a.parent)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Not to be changed."""
    return synthetic.write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def written(runs: tuple[Path, Path]) -> Path:
    return write_comparison(*runs, workspace(runs[0].parent))


@pytest.fixture(scope="module")
def text(written: Path) -> str:
    return written.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def told(runs: tuple[Path, Path]) -> Contents:
    return told_of(*runs)


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a run under an id, beside the others that a test makes."""

    def made(run_id: str, models: Mapping[str, Any], **options: Any) -> Path:
        return synthetic.write_run(tmp_path / run_id, models, **options)

    return made


def section(text: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', text, re.DOTALL)
    assert found is not None
    return found.group()


def plain(markup: str) -> str:
    """What a reader sees of a piece of the page, on one line."""
    without = re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without)).replace("\N{NO-BREAK SPACE}", " ").split())


def rows_of(text: str, model: str) -> dict[str, str]:
    """The lines of a model's table of verdicts, by the metric."""
    table = re.search(
        r'<table class="verdicts">.*?</table>', text[text.index(f'aria-label="Verdicts: {model}"') :], re.DOTALL
    )
    assert table is not None
    lines = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table.group(), re.DOTALL)
    return {plain(name): plain(cells) for name, cells in lines}


def test_page_lies_beside_the_second_record_with_the_same_as_markdown_and_json(
    runs: tuple[Path, Path], written: Path
) -> None:
    assert written == runs[1] / f"compare-{RUN_A}.html"
    assert sorted(path.name for path in runs[1].glob("compare-*")) == [
        f"compare-{RUN_A}.{kind}" for kind in ("html", "json", "md")
    ]
    assert not list(runs[0].glob("compare-*"))


def test_page_says_first_what_changed(text: str) -> None:
    said = re.search(r'<p class="lede">(.*?)</p>', text)
    assert said is not None
    assert plain(said.group(1)) == (
        "Of 35 gated series of models that both runs have: 2 regressed (gan FD-Scenes, gan Recall), 1 improved "
        "(var FD-Scenes), 6 missing, 22 unchanged, 4 undecided. Of 7 other series: 6 missing, 1 undecided. "
        "Only in A: old. Only in B: new."
    )


def test_every_series_has_the_verdict_and_the_words_of_compare(runs: tuple[Path, Path], text: str) -> None:
    series = compare_two(*runs, workspace(runs[0].parent)).series
    assert len(series) > 40
    for one in series:
        line = rows_of(text, one.model)[title_of(one.metric)]
        assert one.verdict in line and one.message in line
    assert rows_of(text, "gan")["Recall"].split()[1] == "REGRESSED"
    assert rows_of(text, "real")["Latency at batch 1"].split()[1] == "(INCONCLUSIVE)"


def test_a_line_has_difference_bounds_margin_and_both_values_with_error_and_n(text: str) -> None:
    line = rows_of(text, "gan")["FD-Scenes"]
    assert re.search(
        r"REGRESSED 0\.60\d* ± 0\.0\d+ 0\.5\d+ to 0\.6\d+ 0\.1 10\.\d+ ± [\d.]+ n 80 10\.\d+ ± [\d.]+ n 80", line
    )
    assert rows_of(text, "gan")["FID"].count("not measured") == 2


def test_bounds_are_turned_as_the_difference_is(told: Contents) -> None:
    series = {one.name: one for one in told.pair.series}
    recall, distance = series["gan/recall"], series["gan/fd_scenes"]
    assert recall.difference is not None and recall.difference < 0
    low, high = (float(part.replace("\N{MINUS SIGN}", "-")) for part in bounds_text(recall).split(" to "))
    assert low < recall.difference < high < 0
    assert recall.decision.lower == pytest.approx(-high, rel=0.05)
    assert [float(part) for part in bounds_text(distance).split(" to ")] == pytest.approx(
        [distance.decision.lower, distance.decision.upper], rel=0.05
    )
    assert bounds_text(series["gan/parameters"]) == "–"


def test_models_of_one_run_are_told(text: str) -> None:
    said = plain(section(text, "verdicts"))
    assert "old only in A" in said and "new only in B" in said
    assert "not in this run" in rows_of(text, "old")["Recall"]
    assert "MISSING" in rows_of(text, "old")["Recall"] and "NEW" in rows_of(text, "new")["Recall"]


def test_figure_puts_better_to_the_right_in_units_of_the_margin(told: Contents) -> None:
    series = {one.name: one for one in told.pair.series}
    shown = [series["gan/fd_scenes"], series["var/fd_scenes"], series["gan/clip_score"]]
    axes = forest_figure(shown).axes[0]
    points = next(found for found in axes.collections if len(found.get_offsets()) == 3)
    across = np.asarray(points.get_offsets())[:, 0]
    assert across[0] == pytest.approx(-0.6 / 0.1) and across[1] == pytest.approx(7.0, rel=0.01)
    assert abs(across[2]) < 1
    words = {found.get_text() for found in axes.texts}
    assert {"REGRESSED", "IMPROVED", "SAME", "← worse", "better →"} <= words
    assert [found.get_text() for found in axes.get_yticklabels()] == ["FD-Scenes", "FD-Scenes", "CLIP score"]


def test_every_figure_has_a_name_and_its_table(text: str) -> None:
    figures = re.findall(r'<svg [^>]*class="figure"[^>]*>', text)
    names = [re.search(r'aria-label="(\w+): differences of \d+ series', one) for one in figures]
    assert [found.group(1) for found in names if found] == ["gan", "var", "vqar"]
    assert all(name in text for name in ('aria-label="Verdicts: gan"', 'aria-label="Verdicts: var"'))


def test_only_what_differs_is_shown_side_by_side(told: Contents, text: str) -> None:
    found = {group.title: group.fields for group in told.differing}
    assert found["Software"] == (
        Field(name="python", a="3.11.7", b="3.12.1"),
        Field(name="packages.torch", a="2.14.1", b="2.15.0"),
    )
    assert found["Suite and command"] == (
        Field(name="git", a="a" * 12 + "…", b="b" * 12 + "…"),
        Field(name="dirty", a="no", b="yes"),
    )
    assert {field.models for field in found["Models"]} == {"gan", "var", "vqar", "broken"}
    assert set(found) == {"Suite and command", "Software", "Models"}
    said = plain(section(text, "differing"))
    assert "packages.torch 2.14.1 2.15.0" in said and "numpy" not in said


def test_of_lists_only_what_the_other_lacks_is_shown(make: Make) -> None:
    a, b = make(RUN_A, MODELS_A), make(RUN_B, MODELS_A)
    record = Run(b).record
    record.spec["protocol"]["metrics"] = [*record.spec["protocol"]["metrics"][1:], "kid", "density"]
    record.write(b / "run.json")
    (group,) = told_of(a, b).differing
    assert group.title == "Protocol and plan"
    assert group.fields == (Field(name="protocol.metrics", a="fd_scenes", b="kid, density"),)


def test_a_field_that_differs_alike_in_all_models_stands_once(make: Make) -> None:
    a, b = make(RUN_A, MODELS_A), make(RUN_B, MODELS_A)
    record = Run(b).record
    for key in record.keys.values():
        key["hardware"]["fields"]["driver"] = "550.1"
    record.write(b / "run.json")
    assert told_of(a, b).differing[0].fields == (
        Field(name="hardware.driver", a="not recorded", b="550.1", models="all"),
    )


def test_images_are_counted_and_the_pairs_that_differ_most_come_first(told: Contents, runs: tuple[Path, Path]) -> None:
    images = {one.model: one for one in told.images}
    assert "old" not in images and "new" not in images
    assert (images["ldm"].pairs, images["ldm"].same, images["ldm"].shown) == (IMAGES, IMAGES, ())
    gan = images["gan"]
    assert gan.changed == IMAGES and gan.slight == 0 and len(gan.shown) == 24
    before, after = (Sheets(run / "images" / "gan" / "sheets").images(SET, range(IMAGES)).astype(float) for run in runs)
    rms = np.sqrt(((before - after) ** 2).mean(axis=(1, 2, 3)))
    order = np.argsort(-rms)[:24]
    assert [one.key for one in gan.shown] == [f"{i:016x}" for i in order]
    assert [one.rms for one in gan.shown] == pytest.approx(rms[order].tolist())
    assert gan.shown[0].most == np.abs(before - after)[order[0]].max()


def test_a_pair_stands_on_the_page_pixel_by_pixel(text: str, told: Contents, runs: tuple[Path, Path]) -> None:
    gan = next(one for one in told.images if one.model == "gan")
    assert gan.picture is not None
    source = re.search(rf'<image id="{gan.picture.id}"[^>]*href="data:image/png;base64,([^"]+)"', text)
    assert source is not None
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.group(1)))))
    row = int(gan.shown[1].key, 16)
    for run, number in zip(runs, (2, 3), strict=True):
        x, y, width, height = gan.picture.box(number)
        stored = Sheets(run / "images" / "gan" / "sheets").images(SET, [row])[0]
        assert (picture[y : y + height, x : x + width] == stored).all()


def test_a_grey_level_that_moved_is_told_from_a_picture_that_changed() -> None:
    before = np.full((3, 4, 4, 3), 200, np.uint8)
    after = before.copy()
    after[1, 0, 0, 0] = 201
    after[2] = 0
    assert moved(before, after)[:, 1].tolist() == [0.0, 1.0, 200.0]
    assert moved(before, after)[:, 0] == pytest.approx([0.0, 48**-0.5, 200.0])


def test_where_no_images_were_kept_the_digests_are_counted_and_the_page_says_why(make: Make) -> None:
    told = told_of(make(RUN_A, MODELS_A), make(RUN_B, MODELS_B, kept="none"))
    gan = next(one for one in told.images if one.model == "gan")
    assert (gan.pairs, gan.same, gan.slight, gan.picture) == (IMAGES, 0, None, None)
    said = plain(section(page_of(told), "images"))
    assert f"gan {IMAGES} 0 {IMAGES} not known 0 0" in said
    assert "No pictures of gan , var , vqar : B kept no image files; run --images all does." in said


def test_a_sheet_that_cannot_be_read_is_told(runs: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = (Path(shutil.copytree(run, tmp_path / run.name)) for run in runs)
    (b / "images" / "gan" / "sheets" / f"{SET}-000.png").unlink()
    gan, *others = [one for one in told_of(a, b).images if one.pairs]
    assert "this part of the record is missing" in gan.why_not and gan.changed == IMAGES
    assert any(one.shown for one in others)


def test_runs_of_other_seeds_are_incomparable_and_share_no_image(make: Make) -> None:
    told = told_of(make(RUN_A, MODELS_A), make(RUN_B, MODELS_B, spec={"seed": 1}))
    text = page_of(told)
    assert "Other plan" in text and "seed: 0 against 1" in text
    assert rows_of(text, "gan")["Recall"].split()[1] == "INCOMPARABLE"
    assert all(one.pairs == 0 for one in told.images if one.model != "broken")
    assert "no image of A has the prompt and the seed of one of B" in text
    assert "regressed" not in headline(told.pair)


def test_a_failed_model_is_told_and_its_series_are_missing(text: str, told: Contents) -> None:
    assert "B: 1 model failed" in text
    assert "Failed in B RuntimeError: tensor <a> is lost File x, line 1" in plain(section(text, "verdicts"))
    assert rows_of(text, "broken")["Recall"].split()[1] == "MISSING"
    broken = next(one for one in told.images if one.model == "broken")
    assert broken.pairs is None and broken.why_not == "B keeps no record of its images"


def test_a_run_beside_itself_has_changed_nothing(runs: tuple[Path, Path]) -> None:
    told = told_of(runs[0], runs[0])
    text = page_of(told)
    assert {one.verdict for one in told.pair.series if one.unit != "s"} <= {"EXACT_SAME", "MISSING"}
    assert told.differing == () and "Nothing differs" in text
    assert all(one.same == one.pairs == IMAGES for one in told.images)
    assert "Both sides are the same run" in text
    assert "improved" not in headline(told.pair) and "regressed" not in headline(told.pair)
    assert " open>" not in text


def test_text_of_prompts_names_and_errors_is_escaped(make: Make) -> None:
    name = "<img src=x onerror=alert(2)>"
    worse = replace(STEADY, distance=12.0, salt=2)
    broken = replace(STEADY, error=EVIL)
    a = make(RUN_A, {name: STEADY, "broken": STEADY}, prompts=[EVIL] * IMAGES, env={"python": EVIL})
    b = make(RUN_B, {name: worse, "broken": broken}, prompts=[EVIL] * IMAGES)
    page = write_comparison(a, b, workspace(a.parent))
    text = re.sub(r"<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "<script" not in text and "<img" not in text
    assert "&lt;script&gt;alert(1)" in section(text, "images")
    assert "&lt;img src=x onerror=alert(2)&gt;" in section(text, "verdicts")
    assert "&lt;script&gt;" in section(text, "differing")
    assert not re.search(r"(?<!\\)<(script|img)", page.with_suffix(".md").read_text(encoding="utf-8"))


def test_policy_allows_the_page_s_own_style_and_scripts_and_pictures_inside_it(text: str) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert found is not None
    policy = dict(line.split(" ", 1) for line in html.unescape(found.group(1)).split("; "))
    styles, scripts = (re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("style", "script"))
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "script-src": " ".join(map(inline.digest, scripts)),
        "style-src": " ".join(map(inline.digest, styles)),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert scripts == [inline.source("theme.js"), inline.source("page.js")]
    assert not re.search(
        r"(src|srcset|style|onclick|onload)=\"", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    )


def test_json_holds_the_decisions_of_compare_with_both_numbers(runs: tuple[Path, Path], written: Path) -> None:
    document = json.loads(written.with_suffix(".json").read_text(encoding="utf-8"))
    series = as_rows(compare_two(*runs, workspace(runs[0].parent)).series)
    assert [{key: row[key] for key in series[0]} for row in document["series"]] == json.loads(json.dumps(series))
    gan = next(row for row in document["series"] if row["series"] == "gan/recall")
    assert (gan["a"]["value"], gan["b"]["value"], gan["a"]["n"]) == (0.8, 0.76, IMAGES)
    new = next(row for row in document["series"] if row["series"] == "new/recall")
    assert new["a"] is None and new["b"]["value"] == 0.8
    assert document["a"]["run_id"] == RUN_A and document["b"]["run_id"] == RUN_B
    images = {one["model"]: one for one in document["images"]}
    assert (images["gan"]["changed"], images["ldm"]["changed"]) == (IMAGES, 0)
    assert {"group": "Software", "name": "python", "a": "3.11.7", "b": "3.12.1", "models": ""} in document["differing"]


def test_markdown_holds_the_same_tables(written: Path) -> None:
    markdown = written.with_suffix(".md").read_text(encoding="utf-8")
    assert re.search(
        r"\| FD-Scenes \| REGRESSED \| 0\.60.* to .* \| 0\.1 \| 10.* \| 80 \| 10.* \| 80 \| worse beyond", markdown
    )
    assert "### old (only in A)" in markdown
    assert f"| gan | {IMAGES} | 0 | {IMAGES} | 0 | 0 | 0 |" in markdown
    assert "| packages.torch | 2.14.1 | 2.15.0 |" in markdown


@pytest.mark.parametrize(("a", "b"), [("run-1", "run-2"), ("run-2", "run-1"), ("run-1", "run-1")])
def test_records_of_older_schemas_have_a_page(a: str, b: str) -> None:
    text = page_of(told_of(GOLDEN / a, GOLDEN / b))
    assert section(text, "verdicts") and section(text, "differing")
