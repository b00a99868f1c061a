"""A thousand stored runs of full size: ``.venv/bin/python -m pytest benchmarks/perf/bench_store.py -s``.

Whole commands are timed, Python's start included. Nothing is asserted about seconds; the processor's time is printed
beside the goal, for on a machine that does other work at the same time the clock tells little.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RUNS = 1000
SQL = (
    "SELECT m.model, avg(m.value), count(*) FROM metrics m JOIN runs r USING (run_id) "
    "WHERE m.metric = 'fd_scenes' AND r.status = 'complete' GROUP BY ALL"
)
COMMANDS = {
    "runs": (["runs", "--json"], 1.0),
    "runs for people": (["runs"], 1.0),
    "query": (["query", SQL, "--json"], 2.0),
}
Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the committed run with other numbers: records and metrics, the parts that an index is made of."""
    source = next((CHECKOUT / "results" / "reference").glob("*/run.json")).parent
    record = json.loads((source / "run.json").read_text())
    rows = [json.loads(line) for line in (source / "metrics.jsonl").read_text().splitlines()]
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    for number in range(RUNS):
        name = f"2027{1 + number // 100:02d}{1 + number % 28:02d}-{number:06d}-0123abcd"
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(json.dumps(record | {"run_id": name}, indent=1))
        noise = rng.lognormal(0, 0.01, len(rows))
        lines = [
            json.dumps(_moved(row, name, factor), ensure_ascii=False) for row, factor in zip(rows, noise, strict=True)
        ]
        (folder / name / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def _moved(row: dict[str, Any], run_id: str, factor: float) -> dict[str, Any]:
    moved = {name: row[name] * factor for name in ("value", "se") if row[name] is not None}
    return row | moved | {"run_id": run_id, "ci": row["ci"] and [bound * factor for bound in row["ci"]]}


@pytest.mark.parametrize("index", ("without an index", "with an index"))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_thousand_runs(
    benchmark: Benchmark, runs: Path, name: str, index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, goal = COMMANDS[name]
    spent: list[float] = []

    def prepare() -> None:
        if index == "without an index":
            shutil.rmtree(runs / ".index", ignore_errors=True)

    def command() -> subprocess.CompletedProcess[bytes]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole = [sys.executable, str(CHECKOUT / "bench.py"), *arguments, "--out", str(runs)]
        answer = subprocess.run(whole, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return answer

    answer = benchmark.pedantic(command, setup=prepare, rounds=3, warmup_rounds=1)  # type: ignore[attr-defined]
    assert answer.stdout or answer.stderr
    benchmark.extra_info["processor seconds"] = min(spent)  # type: ignore[attr-defined]
    with capsys.disabled():
        print(f"\n{name}, {index}: {min(spent):.2f} s of the processor; the goal with an index is {goal:g} s")
