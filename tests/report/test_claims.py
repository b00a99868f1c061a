"""The section of claims: its sentences, that nothing in it is markup, and when there is none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.claims.contrast import Contrast
from trilemma.claims.judge import Comparison
from trilemma.errors import UserError
from trilemma.report import page
from trilemma.report.claim_sentences import sentence
from trilemma.report.claim_texts import SIGNS, claim_texts
from trilemma.report.markdown import markdown
from trilemma.report.record import load
from trilemma.report.sections import claims
from trilemma.statistics.estimate import Estimate

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference" / "20261121-152619-f295c91a"
EVIL = "</td><script>alert(1)</script> & |x|"


def compared(value: float, other: float, effect: float, se: float | None, **fields: Any) -> Comparison:
    known = {"metric": "recall", "model": "gan", "others": ("ldm",), "more": True, "verdict": "supported"}
    kind = {name: fields.pop(name, False) for name in ("log", "exact", "paired")}
    estimate = Estimate(value=effect, se=se, se_method="difference", n=10)
    return Comparison(**known | fields, contrast=Contrast(value=value, other=other, effect=estimate, **kind))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (compared(0.9, 0.8, 0.1, 0.01), "Recall of gan: 0.9, 0.100 higher than the 0.8 of ldm (0.080 to 0.120)."),
        (
            compared(0.79, 0.8, -0.01, 0.03, paired=True, verdict="undecided", why="the difference may be chance"),
            "Recall of gan: 0.79, 0.01 lower than the 0.8 of ldm (0.07 lower to 0.05 higher; paired); "
            "the difference may be chance.",
        ),
        (
            compared(940, 100, 2.2407, 0.028, log=True, metric="images_per_second", ratio=2.0),
            "Images per second of gan: 940 images/s, 9.4 times the 100 of ldm (8.9 to 9.9); "
            "at least 2 times is claimed.",
        ),
        (
            compared(20, 100, -1.6094, 0.02, log=True, metric="latency_batch1", more=False, ratio=4.0),
            "Latency at batch 1 of gan: 20 s, 0.200 times the 100 of ldm (0.192 to 0.208); "
            "at most 0.25 times is claimed.",
        ),
        (
            compared(0.9, 0.8, 0.1, 0.01, others=("vqar", "var", "ldm")),
            "Recall of gan: 0.9, 0.100 higher than the 0.8 of vqar, var and ldm on average (0.080 to 0.120).",
        ),
        (
            compared(6, 107, -2.8811, None, log=True, exact=True, metric="evaluations_per_image"),
            "Evaluations per image of gan: 6 evaluations, 0.05607 times the 107 of ldm (counted).",
        ),
        (
            Comparison(metric="recall", model="gan", others=("ldm",), more=True, why="gan: it crashed"),
            "Recall of gan against ldm: gan: it crashed.",
        ),
    ],
)
def test_a_comparison_is_a_sentence(one: Comparison, says: str) -> None:
    assert sentence(one) == says


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """The committed run in a workspace of its own, whose claims a test may change."""
    for name in ("benchmarks", "models"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "benchmarks" / "claims.toml", tmp_path / "benchmarks")
    (tmp_path / "models" / "gan").mkdir()
    shutil.copy(ROOT / "models" / "gan" / "card.toml", tmp_path / "models" / "gan")
    return Path(shutil.copytree(REFERENCE, tmp_path / "results" / "runs" / "r"))


def claims_of(reference: Path) -> Path:
    return reference.parents[2] / "benchmarks" / "claims.toml"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other sections' figures take seconds."""
    monkeypatch.setattr(page, "SECTIONS", (claims,))


def section(folder: Path) -> str:
    found = re.search(r'<section id="claims"[^>]*>.*?</section>', page.html(load(folder)), re.DOTALL)
    return found.group() if found else ""


def test_page_and_markdown_tell_every_claim_and_both_tables(reference: Path) -> None:
    shown, texts = section(reference), claim_texts(load(reference))
    told = markdown(load(reference))
    assert texts is not None and len(texts.claims) == 6 and texts.tests == 30
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))
    for claim in texts.claims:
        assert claim.sentence in plain and claim.source in plain
        assert f"**{claim.sentence}**" in told
        for one in (one for part in claim.parts for one in part.evidence):
            assert one.text in plain and f"{SIGNS[one.verdict]} {one.text}" in told
    assert "for these checkpoints at this scale" in plain
    assert "| SDXL, asserted | 8.5 | 9 | 6 |" in told and "| ldm, measured | 9.04 ± 0.14 | 6.88 ± 0.08 |" in told
    assert re.search(r"SDXL 8\.5 9 6 asserted: A lecture", plain)
    assert re.search(r"ldm 9\.04 ± 0\.14 6\.88 ± 0\.08 5\.80 ± 0\.03 measured in this run", plain)


def test_a_verdict_is_a_word_beside_its_sign(reference: Path) -> None:
    shown = section(reference)
    words = re.findall(
        r'<span class="verdict [\w-]+"><span class="sign" aria-hidden="true">(.)</span>&nbsp;([\w ]+)<', shown
    )
    assert len(words) == 6 + 10 and all(SIGNS[word] == sign for sign, word in words)  # type: ignore[index]
    named = re.findall(r'<span class="sign [\w-]+" role="img" aria-label="([\w ]+)">(.)</span>', shown)
    assert len(named) == 30 and all(SIGNS[word] == sign for word, sign in named)  # type: ignore[index]


def test_nothing_that_a_file_says_is_markup(reference: Path) -> None:
    path = claims_of(reference)
    text = path.read_text()
    replaced = ("GANs are fast and sharp,", 'says = "fast"', "A lecture that compares", "we know of no measurement")
    for old in replaced:
        assert old in text
        text = text.replace(old, f'says = "{EVIL}"' if old.startswith("says") else EVIL)
    path.write_text(text)
    rows = (reference / "metrics.jsonl").read_text().splitlines()
    crashed = {"value": None, "se": None, "ci": None, "status": "failed", "reason": EVIL}
    parsed = [json.loads(line) for line in rows]
    changed = [row | crashed if (row["model"], row["metric"]) == ("gan", "residual") else row for row in parsed]
    (reference / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    shown = section(reference)
    assert "<script" not in shown and shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 9
    told = markdown(load(reference))
    assert "<script" not in re.sub(r"\\<", "", told) and r"\|x\|" in told


def test_a_mistake_in_the_claims_is_an_error_that_names_the_file(reference: Path) -> None:
    path = claims_of(reference)
    path.write_text(path.read_text().replace('"residual"', '"residul"'))
    with pytest.raises(UserError, match='claims.toml: words.sharpness: metrics: .* Did you mean "residual"'):
        page.html(load(reference))


def test_a_workspace_without_claims_has_no_section(reference: Path) -> None:
    claims_of(reference).rename(reference.parents[2] / "benchmarks" / "other.toml")
    assert section(reference) == ""
    assert "What people say" not in markdown(load(reference))


def test_a_run_of_other_families_has_no_section(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    facts = json.loads((folder / "run.json").read_text())
    for card in facts["cards"].values():
        card["family"] = "mine"
    (folder / "run.json").write_text(json.dumps(facts))
    assert section(folder) == ""


def test_a_model_that_was_not_timed_leaves_its_speed_untested(run_folder: Path) -> None:
    texts = claim_texts(load(run_folder))
    assert texts is not None
    # The synthetic run's card calls the family of ldm "ldm": no diffusion model takes part.
    corner = next(claim for claim in texts.claims if claim.sentence.startswith("Diffusion"))
    assert corner.verdict == "not tested"
    assert {part.why for part in corner.parts} == {"no diffusion model took part"}
    parallel = next(claim for claim in texts.claims if claim.sentence.startswith("Parallel"))
    assert any("vqar: the record holds no such measurement" in one.text for one in parallel.parts[0].evidence)
    sdxl = next(row for row in texts.asserted if row.name == "SDXL")
    assert (sdxl.measured, sdxl.absent) == ((), "no diffusion model took part")
