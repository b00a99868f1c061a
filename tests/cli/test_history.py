"""The verb ``history`` over stored runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trilemma.cli import main
from trilemma.store.baselines import Proposal, accept
from trilemma.store.digests import digests
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.run import Run

CHECKOUT = Path(__file__).resolve().parents[2]
CARD = 'name = "gan"\nfamily = "gan"\ntitle = "The GAN"\n'


def hardware(digest: str, cpu: str) -> dict[str, Any]:
    fields = {"device": "cpu", "name": cpu, "count": 2, "memory_gib": 8, "torch": "2.14"}
    return {"hardware": {"version": 1, "digest": digest, "fields": fields}}


def make_run(runs: Path, day: int, value: float | None, *, cpu: str = "a CPU", **spec: Any) -> str:
    run_id = f"202601{day:02d}-000000-aaaaaaaa"
    protocol = {"name": "scenes", "version": 1, "resolution": 32, "sets": [], "batch_size": 64}
    whole = {"protocol": protocol, "seed": 0, "samples": None, "models": []} | spec
    record = Record(
        run_id=run_id, identity="i", created=f"2026-01-{day:02d}T00:00:00+00:00", spec=whole, status="complete",
        models={"gan": {"status": "done"}}, keys={"gan": hardware(cpu, cpu)}, host={"cpu": cpu, "cores": 2},
    )  # fmt: skip
    if value is None:
        record.status, record.errors = (
            "failed",
            {"gan": {"type": "RuntimeError", "message": "[it] fell", "traceback": ""}},
        )
    outcome: dict[str, Any] = {"status": "failed", "reason": "[it] fell over"}
    if value is not None:
        outcome = {"value": value, "se": 0.1, "ci": (value - 0.2, value + 0.2)}
    row = MetricRow(run_id=run_id, model="gan", metric="kid", set="prompted", direction="lower", **outcome)
    write_metrics(runs / run_id / "metrics.jsonl", [row])
    record.files = digests(RunFolder(path=runs / run_id))
    record.write(runs / run_id / "run.json")
    return run_id


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty nights: a step after twelve, a failure, another machine, and at last another size."""
    (tmp_path / "models" / "gan").mkdir(parents=True)
    (tmp_path / "models" / "gan" / "card.toml").write_text(CARD)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "scenes.toml").write_text((CHECKOUT / "benchmarks" / "scenes.toml").read_text())
    runs = tmp_path / "results" / "runs"
    for day in range(1, 18):
        make_run(runs, day, 5.0 + 0.001 * (day % 3) + (day > 12))
    make_run(runs, 18, None)
    make_run(runs, 19, 6.0, cpu="another CPU")
    make_run(runs, 20, 6.5, cpu="another CPU", samples=64)
    return tmp_path


def document(root: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["history", "gan/kid", "--root", str(root), "--json", *options]) == 0
    (series,) = json.loads(capsys.readouterr().out)
    return dict(series)


def test_json_holds_points_lines_gaps_and_steps(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = document(root, capsys=capsys)
    assert (series["series"], series["direction"]) == ("gan/kid", "lower")
    points = series["points"]
    assert [point["line"] for point in points] == [0] * 17 + [None, 0, 1]
    assert points[0]["value"] == 5.001 and points[0]["ci"] == pytest.approx([4.801, 5.201])
    assert points[0]["created"] == "2026-01-01T00:00:00Z"
    assert (points[17]["status"], points[17]["value"]) == ("failed", None)
    assert points[18]["changes"] == ["machine a CPU → another CPU"]
    assert points[19]["changes"] == ["images per set all → 64"]
    assert [step["run_id"][:8] for step in series["steps"]] == ["20260113"]
    assert "advisory" in series["note"]


def test_the_table_is_for_people(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(root / "results" / "runs" / "20260103-000000-aaaaaaaa")
    accept(Proposal(name="main", runs=[run], reason="first", tool={}), root / "results" / "baselines")
    assert main(["history", "gan/kid", "--root", str(root)]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    rows = {line.split()[0]: line for line in printed.err.splitlines() if line.strip().startswith("2026")}
    assert len(rows) == 20
    assert "5.00 ± 0.10" in rows["20260103-000000-aaaaaaaa"] and "baseline main" in rows["20260103-000000-aaaaaaaa"]
    assert "●" in rows["20260101-000000-aaaaaaaa"]
    assert "step +20.0 % (advisory)" in rows["20260113-000000-aaaaaaaa"]
    failed = rows["20260118-000000-aaaaaaaa"]
    assert "failed: [it] fell over" in failed and " – " in failed and "●" not in failed
    assert "Steps are advisory" in printed.err


def test_a_limit_is_of_the_newest(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(document(root, "--limit", "3", capsys=capsys)["points"]) == 3
    assert main(["history", "gan/kid", "--root", str(root), "--limit", "3"]) == 0
    printed = capsys.readouterr().err
    assert "The 17 runs before these: --limit 20." in printed and "20260117" not in printed


def test_a_run_that_has_no_numbers_is_a_gap(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = root / "results" / "runs"
    for day, status in ((21, "cancelled"), (22, "started")):
        run_id = make_run(runs, day, None)
        (runs / run_id / "metrics.jsonl").unlink()
        record = Run(runs / run_id).record
        record.status = status  # type: ignore[assignment]
        record.write(runs / run_id / "run.json")
    points = document(root, capsys=capsys)["points"]
    assert [(point["status"], point["line"]) for point in points[-2:]] == [("cancelled", None), ("unfinished", None)]


def test_files_that_it_does_not_need_are_not_opened(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = root / "results" / "runs" / "20260101-000000-aaaaaaaa" / "samples" / "gan.parquet"
    samples.parent.mkdir()
    samples.write_bytes(b"rubbish")
    assert len(document(root, capsys=capsys)["points"]) == 20


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_is_written(root: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"figure.{kind}"
    assert main(["history", "gan/kid", "--root", str(root), "--out-file", str(path)]) == 0
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert str(path) in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gna/kid",), 'gna/kid: no run has a model "gna". Did you mean "gan"?'),
        (("gan/kidd",), 'gan/kidd: there is no metric "kidd". Did you mean "kid"?'),
        (("kid",), '"kid" names no series.'),
        (("gan/recall",), "gan/recall: no run has measured this."),
        (("gan/kid", "--out-file", "x.gif"), "x.gif: a figure is PNG or SVG."),
        (("gan/kid", "--out", "nowhere"), "there are no runs in"),
    ],
)
def test_a_users_error_is_one_line(
    root: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", *arguments, "--root", str(root)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and message in printed.err and len(printed.err.splitlines()) == 1


def test_a_damaged_record_is_named_and_a_gap(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = root / "results" / "runs" / "20260105-000000-aaaaaaaa" / "metrics.jsonl"
    damaged.write_text(damaged.read_text()[:-20])
    assert main(["history", "gan/kid", "--root", str(root), "--json"]) == 1
    printed = capsys.readouterr()
    points = json.loads(printed.out)[0]["points"]
    assert [point["status"] for point in points[:6]] == ["ok"] * 4 + ["damaged", "ok"] and points[4]["value"] is None
    assert "left out" in printed.err and "20260105" in printed.err


def test_a_table_loads_nothing_to_draw_with(root: Path) -> None:
    code = "import sys; from trilemma.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "history", "gan/kid", "--json", "--root", str(root)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"})
    heavy = {"torch", "pandas", "seaborn", "matplotlib", "transformers"}
    assert not heavy & set(answer.stderr.split())
    figure = [*command, "--out-file", str(root / "figure.svg")]
    drawn = subprocess.run(figure, capture_output=True, text=True, check=True).stderr.split()
    assert "matplotlib" in drawn and not {"torch", "pandas", "seaborn"} & set(drawn)
