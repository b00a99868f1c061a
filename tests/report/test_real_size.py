"""Published quality beside measured speed: what stands beside what, what does not, and that every place says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from trilemma.published import load_published, published_home
from trilemma.report import real_size as section
from trilemma.report import write_report
from trilemma.report.real_size import RealSize, real_size
from trilemma.report.real_size_figure import real_size_figure
from trilemma.report.record import load

GUIDED = {"guidance_scale": 1.5, "num_inference_steps": 250}
CARDS: dict[str, dict[str, Any]] = {
    "var-d16": {"published_as": "VAR-d16", "knobs": {"guidance_scale": 2.5}},
    "var-d30": {"published_as": "VAR-d30", "knobs": {"guidance_scale": 2.5}},
    "taming-imagenet": {"published_as": "VQGAN", "knobs": {"top_k": 600}},
    "ldm-4": {"published_as": "LDM-4-G", "knobs": GUIDED},
    "dit-xl-2": {"published_as": "DiT-XL/2", "knobs": GUIDED},
    "sd-1-5": {
        "published_as": "SD 1.5",
        "knobs": {"num_inference_steps": 50, "guidance_scale": 7.5},
        "resolution": 512,
    },
    "biggan-deep-256": {"knobs": {"truncation": 1.0}},
}
RATES = {
    "var-d16": 60.0, "var-d16@bf16": 210.0, "var-d16@bf16+compile": 290.0, "var-d30": 11.0, "var-d30@bf16": 42.0,
    "taming-imagenet": 7.0, "ldm-4": 1.1, "ldm-4@num_inference_steps=50": 5.2, "dit-xl-2": 1.3, "dit-xl-2@bf16": 6.1,
    "sd-1-5": 2.5, "biggan-deep-256": 900.0, "biggan-deep-256@bf16": 1900.0, "gan": 30000.0,
}  # fmt: skip


def card(entry: str) -> dict[str, Any]:
    network, _, settings = entry.partition("@")
    base = {"name": entry, "title": network, "resolution": 256, "weights": "random"} | CARDS.get(
        network, {"weights": None}
    )
    steps = re.search(r"num_inference_steps=(\d+)", settings)
    return base | ({"knobs": base["knobs"] | {"num_inference_steps": int(steps[1])}} if steps else {})


def rows(entry: str, rate: float | None) -> Iterator[dict[str, Any]]:
    base = {"run_id": "r", "model": entry, "direction": "higher", "n": 600, "replicates": 3, "status": "ok"}
    lack = {"status": "failed", "reason": "no batch fits into memory"}
    measured = {"value": rate, "se": (rate or 0) / 50, "params": {"batch_size": 64, "processes": 3}}
    yield base | {"metric": "images_per_second", "unit": "images/s"} | (measured if rate else lack)
    yield base | {"metric": "latency_batch1", "unit": "s", "value": 2 / (rate or 4), "se": 0.001, "direction": "lower"}


def write_speed_run(folder: Path, rates: dict[str, float | None]) -> Path:
    """Writes what a run of the verb "speed" leaves, as far as this section reads it."""
    folder.mkdir(parents=True)
    record = {
        "schema": "trilemma.run/2", "run_id": "20270101-000000-abc", "identity": "a" * 64, "status": "complete",
        "created": "2027-01-01T00:00:00Z", "ended": "2027-01-01T00:30:00Z",
        "spec": {"protocol": {"name": "speed", "version": 1, "title": "Speed", "resolution": 32, "sets": []}},
        "cards": {entry: card(entry) for entry in rates},
        "models": {entry: {"status": "done", "info": {"knobs": card(entry).get("knobs", {})}} for entry in rates},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    lines = [json.dumps(row) for entry, rate in rates.items() for row in rows(entry, rate)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_speed_run(tmp_path_factory.mktemp("real") / "run", dict(RATES))
    write_report(path)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> RealSize:
    there = real_size(load(folder))
    assert there is not None
    return there


def matched(found: RealSize) -> dict[tuple[str, str], tuple[float | None, float | None, float | None]]:
    """(entry, source) → FID, recall, images per second."""
    return {
        (match.model, match.row.source): (match.row.metrics.fid, match.row.metrics.recall, match.rate)
        for group in found.groups
        for match in group.matches
    }


def test_every_row_of_a_network_at_its_settings_stands_beside_it(found: RealSize) -> None:
    there = matched(found)
    assert there["var-d16", "var-tab1"] == (3.30, 0.51, 60.0)
    assert there["var-d16", "var-readme"] == (3.55, None, 60.0)
    assert there["var-d16@bf16+compile", "var-tab1"] == (3.30, 0.51, 290.0)
    assert there["taming-imagenet", "var-and-arpg"] == (15.78, None, 7.0)
    assert there["ldm-4", "var-and-arpg"][0] == 3.60 and there["dit-xl-2", "var-and-arpg"][:2] == (2.27, 0.57)
    assert there["sd-1-5", "dmd2-coco"][0] == 8.59  # the row of 50 steps, not that of 200
    assert "gan" not in {model for model, _ in there}


def test_what_was_made_otherwise_does_not(found: RealSize) -> None:
    matches = [match for group in found.groups for match in group.matches]
    assert not any(match.row.sampler.rejection or match.row.variant for match in matches)
    assert {match.row.sampler.guidance_kind for match in matches} == {None, "classifier-free"}
    assert "ldm-4@num_inference_steps=50" not in {match.model for match in matches}


def test_without_guidance_the_rows_without_it_count(tmp_path: Path) -> None:
    path = write_speed_run(tmp_path / "run", {"var-d16": 60.0})
    record = json.loads((path / "run.json").read_text())
    record["models"]["var-d16"]["info"]["knobs"] = {"guidance_scale": 1.0}
    (path / "run.json").write_text(json.dumps(record))
    there = real_size(load(path))
    assert there is not None
    fids = {match.row.metrics.fid for group in there.groups for match in group.matches}
    assert {4.64, 12.11} <= fids  # and those of which no source says how they were guided


def test_what_is_missing_is_told(found: RealSize, tmp_path: Path) -> None:
    missing = dict(found.missing)
    assert len(missing) == len(found.missing) == 2  # once for a network, however many of its settings were timed
    assert missing["biggan-deep-256"].startswith("no published number is known")
    assert "of LDM-4-G, 1 row is published, none at the steps" in missing["ldm-4@num_inference_steps=50"]
    assert "var-d16" not in missing
    there = real_size(load(write_speed_run(tmp_path / "run", {"var-d16": None, "var-d20": 3.0})))
    assert there is not None
    assert ("var-d16", "images per second failed: no batch fits into memory") in there.missing
    assert not any(group.is_drawn for group in there.groups)


def test_the_benchmarks_are_kept_apart(found: RealSize) -> None:
    groups = {group.name: group for group in found.groups}
    assert groups.keys() == {"imagenet-256", "coco-zero-shot"}
    assert {match.model for match in groups["coco-zero-shot"].matches} == {"sd-1-5"}
    assert groups["imagenet-256"].is_drawn and not groups["coco-zero-shot"].is_drawn
    assert any("does not state samples" in note for note in groups["imagenet-256"].notes)
    assert any(
        note.startswith("var-tab1: Visual Auto") and "in a copy" in note for note in groups["imagenet-256"].notes
    )


def test_a_run_without_published_networks_has_no_such_section(run_folder: Path) -> None:
    assert real_size(load(run_folder)) is None
    write_report(run_folder)
    for name in ("report.html", "report.md"):
        assert "At real size" not in (run_folder / name).read_text(encoding="utf-8")


def test_every_caption_says_what_is_published_and_what_is_measured(folder: Path) -> None:
    page, text = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    part = page[page.index('id="real-size"') : page.index('id="coverage"')]
    assert [section.STATEMENT in text for text in re.findall(r"<figcaption>(.*?)</figcaption>", part)] == [True]
    captions = [unescape(text) for text in re.findall(r"<caption><span>(.*?)</span></caption>", part)]
    assert captions == [section.CAPTION] * 2 and f"<strong>{section.STATEMENT}</strong>" in part
    assert section.STATEMENT in text and "figures/real-size-imagenet-256.svg" in text
    assert (folder / "figures" / "real-size-imagenet-256.png").is_file()
    assert "var-d16@bf16+compile" in part and "biggan-deep-256" in part and "not published" in part


def test_points_lie_where_the_numbers_are(found: RealSize) -> None:
    group = next(group for group in found.groups if group.name == "imagenet-256")
    quality, diversity = real_size_figure(group).axes
    points = [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in quality.get_lines() if line.get_gid()
    ]
    assert sorted(points) == sorted((match.rate, match.row.metrics.fid) for match in group.matches)
    recalls = {float(line.get_ydata()[0]) for line in diversity.get_lines() if line.get_gid()}
    assert recalls == {0.51, 0.59, 0.57}
    assert quality.get_ylim()[0] > quality.get_ylim()[1]  # up is better
    names = [text.get_text() for text in quality.texts]
    assert sorted(names) == ["dit-xl-2", "ldm-4", "taming-imagenet", "var-d16", "var-d30"]


def test_a_setting_has_one_marker_in_both_panels_and_the_legend(found: RealSize) -> None:
    group = next(group for group in found.groups if group.name == "imagenet-256")
    # Of the first model no source gives recall: the second panel begins with another setting.
    chosen = [m for m in group.matches if m.model in ("taming-imagenet", "dit-xl-2@bf16", "var-d16@bf16+compile")]
    figure = real_size_figure(
        replace(group, matches=tuple(sorted(chosen, key=lambda match: match.model != "taming-imagenet")))
    )
    drawn = [
        {float(line.get_xdata()[0]): line.get_marker() for line in axes.get_lines() if line.get_gid()}
        for axes in figure.axes
    ]
    assert drawn[1].items() <= drawn[0].items() and len(set(drawn[0].values())) == 3
    legend = {text.get_text(): line.get_marker() for text, line in _entries(figure)}
    assert (legend["bf16"], legend["bf16+compile"]) == (drawn[0][6.1], drawn[0][290.0])


def _entries(figure: Any) -> list[tuple[Any, Any]]:
    (legend,) = figure.legends
    return list(zip(legend.get_texts(), legend.legend_handles, strict=True))


def test_without_any_recall_the_panel_says_so(found: RealSize) -> None:
    group = next(group for group in found.groups if group.name == "imagenet-256")
    without = replace(group, matches=tuple(match for match in group.matches if match.row.metrics.recall is None))
    assert [text.get_text() for text in real_size_figure(without).axes[1].texts] == ["no source gives it"]


def test_names_that_cards_give_stand_in_the_published_tables() -> None:
    known = {row.model for table in load_published(published_home()) for row in table.rows}
    assert {named["published_as"] for named in CARDS.values() if "published_as" in named} <= known


def test_a_name_that_two_data_sets_share_is_told_apart(tmp_path: Path) -> None:
    """VQGAN is published for ImageNet, FFHQ and CelebA-HQ."""
    path = write_speed_run(tmp_path / "run", {"taming-imagenet": 7.0})
    record = json.loads((path / "run.json").read_text())

    def tables(data: str, capabilities: list[str]) -> set[str]:
        record["cards"]["taming-imagenet"]["data"] = data
        record["models"]["taming-imagenet"]["info"]["capabilities"] = capabilities
        (path / "run.json").write_text(json.dumps(record))
        there = real_size(load(path))
        return set() if there is None else {group.name for group in there.groups}

    assert tables("scenes", []) == tables("imagenet", []) == {"imagenet-256"}
    assert tables("ffhq", ["unconditional"]) == {"ffhq-256"}
    assert tables("celeba-hq", ["unconditional"]) == {"celeba-hq-256"}
