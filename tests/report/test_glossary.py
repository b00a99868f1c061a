"""The glossary of a page: each metric's name leads to its entry, each entry back to its numbers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.metrics.catalog import METRICS
from trilemma.metrics.glossary import glossary
from trilemma.report import page
from trilemma.report.glossary import explained
from trilemma.report.markdown import markdown
from trilemma.report.record import load
from trilemma.report.sections import claims, measurements, scores
from trilemma.report.sections import glossary as section

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference" / "20261121-152619-f295c91a"
SCORES = ["score_quality", "score_diversity", "score_speed", "score_speed_batch1"]
TERM = r'<a class="term" href="#metric-(\w+)"(?: id="number-(\w+)")?>([^<]+)</a>'


@pytest.fixture
def html(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Renders the sections that name metrics; the others' figures take seconds."""
    monkeypatch.setattr(page, "SECTIONS", (scores, claims, measurements, section))
    return lambda folder: page.html(load(folder))


def rewritten(folder: Path, old: str, new: str) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text().replace(old, new))
    return folder


def entries(text: str) -> list[str]:
    return re.findall(r'<article class="entry" id="metric-(\w+)" tabindex="-1">', text)


def test_it_holds_the_metrics_of_the_run_and_no_others(run_folder: Path, html: Callable[[Path], str]) -> None:
    run = load(run_folder)
    named = {row.metric for row in run.rows}
    found = entries(html(run_folder))
    assert sorted(found) == sorted(named)
    assert set(found) < set(METRICS)
    assert explained(run) == [name for name in METRICS if name in named]


def test_it_says_what_the_data_says(run_folder: Path, html: Callable[[Path], str]) -> None:
    text = html(run_folder)
    entry = text[text.index('id="metric-kid"') :]
    shown = re.sub(r"<[^>]+>", "", entry[: entry.index("</article>")])
    for sentence in (METRICS["kid"].description, *vars(glossary()["kid"]).values()):
        assert sentence.replace("&", "&amp;").replace("'", "&#39;") in shown
    assert "Lower is better." in shown


def test_code_in_a_sentence_is_set_as_code(run_folder: Path, html: Callable[[Path], str]) -> None:
    text = html(run_folder)
    assert "`" not in text[text.index('<section id="glossary"') :].split("</section>")[0]
    assert "the control <code>reduced</code>" in text


def test_names_in_tables_lead_to_entries_and_entries_back(run_folder: Path, html: Callable[[Path], str]) -> None:
    text = html(run_folder)
    links = re.findall(TERM, text)
    assert {metric for metric, _, _ in links} == set(entries(text))
    homes = [home for _, home, _ in links if home]
    assert sorted(homes) == sorted(set(homes)) == sorted(entries(text))
    assert re.findall(r'<a href="#number-(\w+)"', text) == entries(text)
    assert ("score_speed_batch1", "score_speed_batch1", "Speed at batch 1") in links
    assert ("kid", "kid", "Kernel distance") in links


def test_a_metric_that_was_measured_twice_has_one_home(
    make_run: Callable[..., Path], html: Callable[[Path], str]
) -> None:
    folder = make_run()
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    again = [row | {"set": "within_prompt"} for row in rows if row["metric"] == "kid"]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *again]))
    kid = [home for metric, home, _ in re.findall(TERM, html(folder)) if metric == "kid"]
    assert sorted(kid) == ["", "kid"]


def test_a_newer_record_s_metric_keeps_its_name_without_a_link(
    make_run: Callable[..., Path], html: Callable[[Path], str]
) -> None:
    text = html(rewritten(make_run(), '"kid"', '"brand_new"'))
    assert "brand_new" in text
    assert "metric-brand_new" not in text
    assert "kid" not in entries(text)


def test_a_run_without_numbers_explains_its_scores(make_run: Callable[..., Path], html: Callable[[Path], str]) -> None:
    folder = make_run()
    (folder / "metrics.jsonl").unlink()
    text = html(folder)
    assert entries(text) == SCORES
    assert [home for _, home, _ in re.findall(TERM, text)] == SCORES


def test_a_run_that_only_counts_explains_what_it_counts(
    make_run: Callable[..., Path], html: Callable[[Path], str]
) -> None:
    folder = make_run()
    counted = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0]) | {"metric": "parameters", "value": 9}
    (folder / "metrics.jsonl").write_text(json.dumps(counted) + "\n")
    assert entries(html(folder)) == ["parameters"]


def test_the_words_of_claims_lead_to_entries(html: Callable[[Path], str]) -> None:
    text = html(REFERENCE)
    words = text[text.index("What the words are measured by") :]
    dl = words[: words.index("</dl>")]
    found = [(metric, title) for metric, _, title in re.findall(TERM, dl)]
    assert ("images_per_second", "Images per second") in found
    assert ("latency_batch1", "Latency at batch 1") in found
    assert "</a> and <a" in dl


def test_a_word_of_a_claim_that_the_run_did_not_measure_is_no_link(tmp_path: Path, html: Callable[[Path], str]) -> None:
    for name in ("run.json", "metrics.jsonl"):
        shutil.copy(REFERENCE / name, tmp_path)
    rows = [line for line in (tmp_path / "metrics.jsonl").read_text().splitlines() if '"recall"' not in line]
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    text = html(tmp_path)
    assert "recall" not in entries(text)
    assert "#metric-recall" not in text


def test_markdown_points_to_it(run_folder: Path) -> None:
    assert "[glossary](report.html#glossary)" in markdown(load(run_folder))
