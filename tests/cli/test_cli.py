"""The command line from outside: what it prints where, exit codes, and what it does not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trilemma.cli import main
from trilemma.errors import UserError
from trilemma.store.digests import digests
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record

CHECKOUT = Path(__file__).resolve().parents[2]
VERBS = (
    "init", "list", "fetch", "prompts", "run", "sweep", "train", "prepare", "convert", "report", "runs", "show",
    "compare", "gate", "calibrate", "query", "export", "history", "score", "stats", "calibrate-metrics", "explain-diff",
)  # fmt: skip
WITHOUT_ROOT = ("init", "convert")
CARD = 'name = "{0}"\nfamily = "gan"\ntitle = "The model {0}"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with two models, the protocol of the checkout, and one run with numbers."""
    for name in ("gan", "var"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "card.toml").write_text(CARD.format(name))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "scenes.toml").write_text((CHECKOUT / "benchmarks" / "scenes.toml").read_text())
    make_run(tmp_path / "results" / "runs", "20260101-000000-aaaaaaaa", 2.5)
    make_run(tmp_path / "results" / "runs", "20260102-000000-bbbbbbbb", 3.0)
    return tmp_path


def make_run(runs: Path, run_id: str, value: float, **spec: Any) -> None:
    protocol = {"name": "scenes", "version": 1, "resolution": 32, "sets": [], "batch_size": 64}
    whole = {"protocol": protocol, "seed": 0, "samples": None, "models": [{"name": "gan", "revision": "x"}]} | spec
    record = Record(run_id=run_id, identity="i", created="2026-01-01T00:00:00", spec=whole, status="complete")
    record.models = {"gan": {"status": "done"}, "var": {"status": "failed"}}
    record.errors = {"var": {"type": "RuntimeError", "message": "it fell over", "traceback": ""}}
    common: dict[str, Any] = {"run_id": run_id, "set": "prompted"}
    rows = [
        MetricRow(**common, model="gan", metric="kid", value=value, se=0.3, n=64, direction="lower"),
        MetricRow(**common, model="var", metric="kid", status="failed", reason="it fell over"),
    ]
    write_metrics(runs / run_id / "metrics.jsonl", rows)
    record.files = digests(RunFolder(path=runs / run_id))
    record.write(runs / run_id / "run.json")


def outside(*arguments: str, folder: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "bench.py"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "200"},
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"Example: trilemma {verb}" in printed
    assert ("--root" in printed) == (verb not in WITHOUT_ROOT)


def test_show_marks_random_weights(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "results" / "runs" / "20260102-000000-bbbbbbbb" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"cards": {"gan": {"weights": "random"}}}))
    assert main(["show", "latest", "--all", "--root", str(root)]) == 0
    shown = capsys.readouterr().err
    assert "gan (random weights)" in shown and "var (random" not in shown


def test_list_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(root), "--json"]) == 0
    printed = capsys.readouterr()
    listed = json.loads(printed.out)
    assert [model["name"] for model in listed["models"]] == ["gan", "var"]
    assert listed["protocols"][0]["images"] == 3 * 2048
    assert {"fd_scenes", "score_quality"} <= {metric["name"] for metric in listed["metrics"]}
    assert printed.err == ""


def test_list_for_people_is_on_standard_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(root)]) == 0
    printed = capsys.readouterr()
    assert printed.out == "" and "The model gan" in printed.err and "fd_scenes" in printed.err


def test_list_loads_nothing_heavy(root: Path) -> None:
    code = "import sys; from trilemma.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "list", "--json", "--root", str(root)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "torchvision", "pandas", "pyarrow", "matplotlib", "scipy", "transformers", "diffusers", "timm"}
    assert not heavy & set(answer.stderr.split())


def test_bench_works_from_a_checkout() -> None:
    answer = outside("list", "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["root"] == str(CHECKOUT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--models", "gna"), 'error: there is no model "gna". Did you mean "gan"?'),
        (("run", "scens"), 'error: there is no protocol "scens". Did you mean "scenes"?'),
        (("run", "--models", "gan", "--device", "gpu"), "error: --device: there is no device"),
        (("run", "--models", "gan", "--samples", "0"), "error: --samples: must be at least 1"),
        (("run", "--models", "gan,gan"), "error: two models are called"),
        (("train", "scenes-readr"), 'error: "scenes-readr" has no training recipe. Did you mean "scenes-reader"?'),
        (("show", "20270101"), 'error: there is no run "20270101"'),
        (("report", "nothing"), 'error: there is no run "nothing"'),
        (("report", "latest", "nothing"), 'error: there is no run "nothing"'),
        (("report", "20260101", "20260102", "latest"), "error: RUN: takes one run, or two to compare; these are 3."),
        (("compare", "latest", "nothing"), 'error: there is no run "nothing"'),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_2(
    root: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((root / "results" / "runs").iterdir())
    assert main([*arguments, "--root", str(root)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(message) and printed.err.count("\n") == 1
    assert sorted((root / "results" / "runs").iterdir()) == before


def test_a_misspelt_key_on_a_card_is_one_line_and_exit_code_2(root: Path) -> None:
    card = root / "models" / "gan" / "card.toml"
    card.write_text(card.read_text().replace("title", "titel"))
    answer = outside("run", "--models", "gan", "--root", str(root))
    assert answer.returncode == 2
    assert answer.stderr == f'error: {card}: unknown key "titel". Did you mean "title"? Known: ' + (
        "compile, control, data, description, factory, family, knobs, licence, measured, name, network, "
        "options, parameters, parts, precision, published_as, python, pythonpath, resolution, sweep, "
        "timeout_seconds, title, training, weights.\n"
    )


def test_a_mistake_in_the_claims_is_told_before_anything_is_measured(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = root / "benchmarks" / "claims.toml"
    claims.write_text(
        (CHECKOUT / "benchmarks" / "claims.toml").read_text().replace("[[claims.parts]]", "[[claims.prats]]")
    )
    runs = sorted((root / "results" / "runs").iterdir())
    assert main(["run", "--root", str(root)]) == 2
    assert capsys.readouterr().err.startswith(f'error: {claims}: claims[0]: unknown key "prats". Did you mean "parts"?')
    assert sorted((root / "results" / "runs").iterdir()) == runs


@pytest.mark.parametrize("arguments", [("lsit",), ("list", "--jsno"), ("run", "--samples", "many"), ("show",)])
def test_a_misspelt_command_line_is_exit_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(arguments)) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_show(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "latest", "--root", str(root), "--all"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "" and "3.0 ± 0.3" in printed.err and "it fell over" in printed.err
    assert main(["show", "20260101", "--root", str(root), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["value"] for row in shown["metrics"]] == [2.5, None]
    assert shown["errors"]["var"]["message"] == "it fell over"


def test_show_of_a_damaged_run_is_loud(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "results" / "runs" / "20260102-000000-bbbbbbbb" / "metrics.jsonl").write_text("{")
    assert main(["show", "latest", "--root", str(root)]) == 2
    assert "metrics.jsonl:1: this line of the record is damaged" in capsys.readouterr().err


def test_compare(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "20260101", "latest", "--root", str(root), "--json"]) == 0
    gan, var = json.loads(capsys.readouterr().out)
    assert (gan["difference"], gan["pairing"], gan["verdict"]) == (0.5, "unpaired", "INCONCLUSIVE")
    assert gan["se"] == pytest.approx(0.3 * 2**0.5)
    assert var["verdict"] == "MISSING" and "it fell over" in var["message"]


def test_report_of_two_runs_is_their_comparison(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = root / "results" / "runs"
    page = runs / "20260102-000000-bbbbbbbb" / "compare-20260101-000000-aaaaaaaa.html"
    folder = str(runs / "20260101-000000-aaaaaaaa")
    assert main(["report", folder, "latest", "--root", str(root), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"report": str(page)} and str(page) in printed.err
    assert "INCONCLUSIVE" in page.read_text() and page.with_suffix(".md").is_file()
    assert {row["verdict"] for row in json.loads(page.with_suffix(".json").read_text())["series"]} == {
        "INCONCLUSIVE",
        "MISSING",
    }


def test_report_of_one_run_stays_what_it_was(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "20260101", "--root", str(root)]) == 0
    folder = root / "results" / "runs" / "20260101-000000-aaaaaaaa"
    assert str(folder / "report.html") in capsys.readouterr().err
    assert not list(folder.glob("compare-*"))


def test_comparing_what_cannot_be_compared_is_exit_code_3(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(root / "results" / "runs", "20260103-000000-cccccccc", 3.0, seed=9)
    assert main(["compare", "20260101", "latest", "--root", str(root)]) == 3
    printed = capsys.readouterr()
    assert "INCOMPARABLE" in printed.err and "seed" in printed.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Cancelled. The same command again goes on from here."),
        (UserError("wrong.", where="there"), 2, "error: there: wrong."),
    ],
)
def test_how_a_run_can_end(
    root: Path,
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("trilemma.runner.run.run_benchmark", fail)
    assert main(["run", "--models", "gan", "--root", str(root)]) == code
    assert message in capsys.readouterr().err


def test_our_own_bugs_keep_their_traceback(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr("trilemma.runner.run.run_benchmark", fail)
    with pytest.raises(AssertionError, match="ours"):
        main(["run", "--models", "gan", "--root", str(root)])


def test_the_csv_has_values_errors_and_gaps(root: Path, tmp_path: Path) -> None:
    from trilemma.cli.table import write_csv
    from trilemma.store.run import Run

    write_csv(Run(root / "results" / "runs" / "20260101-000000-aaaaaaaa"), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "model,kid,kid_se\ngan,2.5,0.3\nvar,,\n"


def test_times_are_written_in_the_unit_that_reads_best() -> None:
    from trilemma.cli.table import seconds

    assert seconds(0.0012, 0.0001) == "1.20 ± 0.10 ms"
    assert seconds(2.0) == "2 s"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    from trilemma import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
