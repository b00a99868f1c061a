"""The gate as its users meet it: a baseline on disk, the command, exit codes, and inputs that are damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from trilemma.cli import main
from trilemma.errors import UserError
from trilemma.report.junit import junit
from trilemma.statistics.decision import Decision
from trilemma.store import baselines
from trilemma.store.baselines import Proposal, accept, baseline_names, find_baseline
from trilemma.store.run import Run
from trilemma.tracking.calibration import (
    CalibratedProtocol,
    Calibration,
    HardwareClass,
    calibration_path,
    write_calibration,
)
from trilemma.tracking.gate import Outcome
from trilemma.tracking.judged import Judged

CARD = 'name = "gan"\nfamily = "gan"\ntitle = "A GAN"\n'
PROTOCOL = """
name = "scenes"
version = 1
title = "A protocol that only its gate is read of"
resolution = 32
metrics = []
[[sets]]
name = "prompted"
prompts = "none"
images = 400
[gate]
metrics = ["fd_scenes", "recall", "latency_batch1", "parameters"]
"""
OTHER = "20260201-000000-bbbbbbbb"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models" / "gan").mkdir(parents=True)
    (tmp_path / "models" / "gan" / "card.toml").write_text(CARD)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "scenes.toml").write_text(PROTOCOL)
    return tmp_path


@pytest.fixture
def pinned(root: Path, maker: Any) -> Path:
    """A baseline "main" of five sessions."""
    proposal = Proposal(name="main", runs=maker.sessions(5), reason="the first", tool={})
    return accept(proposal, root / "results" / "baselines").path


def gate(root: Path, *arguments: str) -> int:
    return main(["gate", *arguments, "--baseline", "main", "--root", str(root)])


def test_a_rerun_passes_and_a_loss_fails(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    same = [run.record.run_id for run in maker.sessions(3, first=2, version="2")]
    assert gate(root, *same) == 0
    assert "3 SAME" in capsys.readouterr().err
    worse = [run.record.run_id for run in maker.sessions(3, first=3, version="3", distance=11.0)]
    assert gate(root, *worse) == 1
    printed = capsys.readouterr().err
    assert "failed: 1 of 4 gated series" in printed and printed.index("REGRESSED") < printed.index("SAME")


def test_one_session_cannot_judge_a_time(root: Path, pinned: Path, maker: Any) -> None:
    maker.run(run_id=OTHER, version="2")
    assert gate(root, OTHER) == 0
    assert gate(root, OTHER, "--strict") == 3


def test_nothing_decided_is_never_green(root: Path, pinned: Path, maker: Any) -> None:
    maker.run(run_id=OTHER, seed=1, hardware={"device": "cuda"})
    maker.edit(Run(maker.runs / OTHER), "parameters", metric="parameters", unit="other")
    assert gate(root, OTHER) == 3


def test_json_markdown_and_junit_say_the_same(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    maker.run(run_id=OTHER, version="2", recall=0.7, knobs={"truncation": 0.5})
    markdown, junit = root / "out" / "summary.md", root / "out" / "junit.xml"
    assert gate(root, OTHER, "--json", "--markdown", str(markdown), "--junit", str(junit)) == 1
    told = json.loads(capsys.readouterr().out)
    recall = next(one for one in told["series"] if one["series"] == "gan/recall")
    assert (told["exit_code"], recall["verdict"], recall["reason"]) == (1, "REGRESSED", "bound_above_zero_and_margin")
    assert recall["worse"] == pytest.approx(0.1) and recall["lower"] > recall["margin"] / 2
    assert any("truncation" in fact for fact in told["facts"]["gan"])
    text = markdown.read_text()
    assert "failed: 1 of 4 gated series" in text and "gan/recall" in text and "truncation" in text
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    failed = [case for case in suite if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == ["recall"]


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("run.json", 2, "damaged"),
        ("metrics.jsonl", 1, "sha256 differs"),
        ("samples/gan.parquet", 1, "sha256 differs"),
        ("replicates/gan.npz", 1, "sha256 differs"),
    ],
)
def test_a_truncated_record_never_passes(
    root: Path, pinned: Path, maker: Any, capsys: Capture, file: str, code: int, said: str
) -> None:
    path = maker.run(run_id=OTHER).folder.path / file
    path.write_bytes(path.read_bytes()[:-20])
    assert gate(root, OTHER, "--json") == code
    printed = capsys.readouterr()
    assert said in printed.err + printed.out and (code == 2 or json.loads(printed.out)["verdicts"] == {"INVALID": 4})


def test_a_record_cut_at_any_byte_never_passes(root: Path, pinned: Path, maker: Any) -> None:
    from trilemma.tracking.gate import gate as judged
    from trilemma.workspace import find_workspace

    workspace, baseline = find_workspace(root), find_baseline("main", pinned.parent)
    run = maker.run(run_id=OTHER)
    whole = judged([run], baseline, workspace)
    assert whole.exit_code(strict=False) == 0
    for path, step in ((run.folder.record, 1), (run.folder.metrics, 7)):
        content = path.read_bytes()
        # The last byte is the end of the line: without it nothing is missing from run.json.
        ends = [*range(0, len(content) - 2, step), len(content) - 2]
        for end in ends:
            path.write_bytes(content[:end])
            try:
                code = judged([Run(run.folder.path)], baseline, workspace).exit_code(strict=False)
            except UserError:
                code = 2
            assert code in (1, 2), f"{path.name} cut at byte {end}"
        path.write_bytes(content)
    assert judged([Run(run.folder.path)], baseline, workspace).exit_code(strict=False) == 0


@pytest.mark.parametrize("status", ["started", "cancelled"])
def test_an_unfinished_run_is_invalid(root: Path, pinned: Path, maker: Any, status: str, capsys: Capture) -> None:
    maker.run(run_id=OTHER, status=status)
    assert gate(root, OTHER) == 1
    assert "4 INVALID" in capsys.readouterr().err


def test_a_failed_model_is_missing(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    run = maker.run(run_id=OTHER, status="failed")
    for row in list(run.rows):
        run = maker.edit(run, row.metric, value=None, se=None, status="failed", reason="it fell over")
    assert gate(root, OTHER) == 1
    printed = capsys.readouterr().err
    assert "MISSING" in printed and "it fell over" in printed


def test_a_baseline_that_was_edited_is_refused(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    maker.run(run_id=OTHER)
    path = next(pinned.glob("runs/*/metrics.jsonl"))
    path.write_text(path.read_text().replace("10.0", "10.9"))
    assert gate(root, OTHER) == 2
    assert "not what was accepted" in capsys.readouterr().err


def test_a_baseline_stands_without_the_runs_it_came_from(root: Path, pinned: Path, maker: Any) -> None:
    shutil.rmtree(maker.runs)
    maker.run(run_id=OTHER, version="2")
    assert gate(root, OTHER) == 0
    assert not list(pinned.rglob("features")) and not list(pinned.rglob("logs"))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("latest", ["--reason", "x"], "pinned"),
        ("main", ["--reason", " "], "needs a reason"),
        ("../main", ["--reason", "x"], "cannot be a name"),
        ("main", ["--reason", "x", "--models", "gna"], 'Did you mean "gan"'),
        ("main", [OTHER, "--reason", "x"], "named twice"),
    ],
)
def test_what_is_no_baseline_is_refused(
    root: Path, maker: Any, capsys: Capture, name: str, arguments: list[str], said: str
) -> None:
    maker.run(run_id=OTHER)
    assert main(["baseline", "accept", name, OTHER, *arguments, "--root", str(root)]) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert baseline_names(root / "results" / "baselines") == []


def test_runs_that_do_not_belong_together_are_refused(root: Path, maker: Any, capsys: Capture) -> None:
    maker.run(run_id=OTHER), maker.run(seed=4), maker.run(run_id="20260301-000000-cccccccc", status="failed")
    both = ["baseline", "accept", "main", OTHER, "--reason", "x", "--root", str(root)]
    assert main([*both[:4], "20260101-000000-aaaaaaaa", *both[4:]]) == 2
    assert "seed differs" in capsys.readouterr().err
    assert main([*both[:3], "20260301-000000-cccccccc", *both[4:]]) == 2
    assert "this run is failed, not complete" in capsys.readouterr().err


def test_a_baseline_is_replaced_only_on_demand_and_remembers(
    root: Path, pinned: Path, maker: Any, capsys: Capture
) -> None:
    maker.run(run_id=OTHER, distance=12.0)
    again = ["baseline", "accept", "main", OTHER, "--reason", "a better decoder", "--root", str(root)]
    assert main(again) == 2
    assert "--replace" in capsys.readouterr().err
    assert main([*again, "--replace"]) == 0
    found = find_baseline("main", pinned.parent)
    assert found.manifest.runs == (OTHER,) and [one.reason for one in found.manifest.history] == ["the first"]
    assert [path.name for path in pinned.parent.iterdir()] == ["main"]
    assert main(["baseline", "list", "--root", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["reason"] == "a better decoder"
    assert main(["baseline", "show", "main", "--root", str(root)]) == 0
    assert "the first" in capsys.readouterr().err


def test_unknown_baselines_and_runs_are_named(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    maker.run(run_id=OTHER)
    assert main(["gate", OTHER, "--baseline", "mian", "--root", str(root)]) == 2
    assert 'Did you mean "main"' in capsys.readouterr().err
    assert gate(root, "nosuch") == 2
    assert gate(root, OTHER, "--checkout", ".") == 2
    assert "is for --confirm" in capsys.readouterr().err


def test_runs_that_are_no_sessions_of_one_candidate_are_refused(
    root: Path, pinned: Path, maker: Any, capsys: Capture
) -> None:
    maker.run(run_id=OTHER, version="2")
    maker.run(run_id="20260202-000000-cccccccc", version="3")
    maker.run(run_id="20260203-000000-dddddddd", version="2", seed=4)
    assert gate(root, OTHER, OTHER) == 2
    assert "named twice" in capsys.readouterr().err
    assert gate(root, OTHER, "20260202-000000-cccccccc") == 2
    assert 'are of one version; "gan"' in capsys.readouterr().err
    assert gate(root, OTHER, "20260203-000000-dddddddd") == 2
    assert "seed differs" in capsys.readouterr().err
    assert gate(root, "20260101-000000-aaaaaaaa") == 2
    assert "is of the baseline" in capsys.readouterr().err


def test_other_samples_are_never_green(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    """Its counters agree, and that is not what was asked for."""
    maker.run(run_id=OTHER, seed=1)
    assert gate(root, OTHER) == 3
    assert "could not decide (seed: 0 against 1)" in capsys.readouterr().err


def test_a_protocol_that_gates_what_there_is_not_is_refused(
    root: Path, pinned: Path, maker: Any, capsys: Capture
) -> None:
    maker.run(run_id=OTHER)
    (root / "benchmarks" / "scenes.toml").write_text(PROTOCOL.replace('"recall"', '"recal"'))
    assert gate(root, OTHER) == 2
    assert 'Did you mean "recall"' in capsys.readouterr().err


def test_a_calibration_of_another_version_of_the_protocol_is_none(root: Path, maker: Any) -> None:
    from trilemma.tracking.gate import rules_for
    from trilemma.workspace import find_workspace

    run, workspace = maker.run(), find_workspace(root)
    digest = run.record.keys["gan"]["hardware"]["digest"]
    for version in (1, 2):
        found = Calibration(
            schema="trilemma.calibration/1", created="", tool={}, execution={}, sessions=5, load_of_others=0.0,
            protocol=CalibratedProtocol(name="scenes", version=version),
            hardware=HardwareClass(digest=digest, fields={}), series=(),
        )  # fmt: skip
        write_calibration(calibration_path(workspace.results, "scenes", digest), found)
        assert (rules_for(run, workspace).calibration is not None) == (version == 1)


def test_a_damaged_run_is_no_baseline(root: Path, maker: Any, capsys: Capture) -> None:
    run = maker.run(run_id=OTHER)
    run.folder.metrics.write_text(run.folder.metrics.read_text().replace("10.0", "10.9"))
    assert main(["baseline", "accept", "main", OTHER, "--reason", "x", "--root", str(root)]) == 2
    assert "sha256 differs" in capsys.readouterr().err


def test_versions_of_a_model_are_not_mixed_in_a_baseline(root: Path, maker: Any, capsys: Capture) -> None:
    both = [maker.run(run_id=OTHER), maker.run(version="2")]
    with pytest.raises(UserError, match="another revision"):
        accept(Proposal(name="main", runs=both, reason="x", tool={}), root / "results" / "baselines")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": []}, "holds nothing"),
        ({"models": []}, "holds nothing"),
        ({"files": {}}, "is missing"),
    ],
)
def test_a_manifest_that_vouches_for_nothing_is_refused(
    root: Path, pinned: Path, maker: Any, capsys: Capture, change: dict[str, Any], said: str
) -> None:
    maker.run(run_id=OTHER)
    path = pinned / "baseline.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert gate(root, OTHER) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_was_added_to_a_baseline_is_noticed(root: Path, pinned: Path, maker: Any, capsys: Capture) -> None:
    maker.run(run_id=OTHER)
    run = next((pinned / "runs").iterdir())
    (run / "influence").mkdir()
    shutil.copy(run / "replicates" / "gan.npz", run / "influence" / "gan.npz")
    assert gate(root, OTHER) == 2
    assert "added to the baseline" in capsys.readouterr().err


def test_a_baseline_survives_a_replacement_that_fails(
    root: Path, pinned: Path, maker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = baselines.os.replace

    def fails(source: Any, target: Any) -> None:
        if Path(source).name == "new":
            raise KeyboardInterrupt
        rename(source, target)

    proposal = Proposal(name="main", runs=[maker.run(run_id=OTHER)], reason="y", tool={}, replace=True)
    monkeypatch.setattr(baselines.os, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        accept(proposal, pinned.parent)
    assert find_baseline("main", pinned.parent).manifest.reason == "the first"
    find_baseline("main", pinned.parent).verify()


def test_a_folder_of_that_name_is_not_replaced_unasked(root: Path, maker: Any) -> None:
    path = root / "results" / "baselines" / "main"
    path.mkdir(parents=True)
    (path / "notes").write_text("keep")
    with pytest.raises(UserError, match="already"):
        accept(Proposal(name="main", runs=[maker.run()], reason="x", tool={}), path.parent)
    assert (path / "notes").read_text() == "keep"


def test_a_reason_is_text_wherever_it_is_printed(root: Path, maker: Any, capsys: Capture) -> None:
    maker.run(run_id=OTHER)
    reason = "see [/red] | <b>"
    assert main(["baseline", "accept", "main", OTHER, "--reason", reason, "--root", str(root)]) == 0
    assert main(["baseline", "list", "--root", str(root)]) == 0
    assert reason in capsys.readouterr().err


def test_comparing_a_run_that_was_edited_is_loud(root: Path, maker: Any, capsys: Capture) -> None:
    first, second = maker.run(), maker.run(run_id=OTHER)
    assert main(["compare", str(first.folder.path), OTHER, "--root", str(root)]) == 0
    path = second.folder.metrics
    path.write_text(path.read_text().replace("10.0", "10.9"))
    assert main(["compare", str(first.folder.path), OTHER, "--root", str(root)]) == 2
    assert "sha256 differs" in capsys.readouterr().err


def test_a_baselines_copy_can_be_compared(root: Path, pinned: Path, maker: Any) -> None:
    maker.run(run_id=OTHER)
    assert main(["compare", str(next(pinned.glob("runs/*"))), OTHER, "--root", str(root)]) == 0


@pytest.mark.parametrize(
    "arguments", [("a", "b", "--device", "cpu"), ("a", "b", "--allow-busy"), ("--interleave", ".", "--out", "x")]
)
def test_an_option_that_says_nothing_is_refused(root: Path, arguments: tuple[str, ...], capsys: Capture) -> None:
    assert main(["compare", *arguments, "--root", str(root)]) == 2
    assert arguments[2] in capsys.readouterr().err


def test_junit_holds_any_reason() -> None:
    hostile = "".join(map(chr, (0, 9, 0x1B, 0xD800, 0xFFFE, 0xFFFF, 0x1F600))) + ' <a href="&">'
    one = Judged(
        model="gan", metric="kid", gated=True, decision=Decision(verdict="INVALID", reason="x"), message=hostile
    )
    text = junit(Outcome(baseline="main", candidate="b", series=(one,), facts={}), strict=False)
    failure = ElementTree.fromstring(text.encode()).find(".//failure")
    assert failure is not None and failure.get("message") == 'INVALID: \t\U0001f600 <a href="&">'
