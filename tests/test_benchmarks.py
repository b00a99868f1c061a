"""The benchmarks of the suite's own hot paths run, cover what they should, and can be saved and compared."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PERF = ROOT / "benchmarks" / "perf"
METRICS = ROOT / "src" / "trilemma" / "metrics"
# Files of metrics/ that hold no metric, or only what those do that compute: arithmetic on numbers, tables, parts.
WITHOUT_ONE = {
    "__init__",
    "arrays",
    "catalog",
    "lower_bounds",
    "margins",
    "plugin",
    "scores",
    "shortlist",
    "statistics_file",
    "glossary",
}
SLOW = (
    "test_overhead[v",
    "test_overhead[ldm]",
    "spatial_frechet",
    "test_whole_report",
    "inception_score",
    "test_speed[fid",
    "test_memory[fid",
)
OWN = (
    "bench_each_metric",
    "bench_features",
    "bench_overhead",
    "bench_own_interpreter",
    "bench_record",
    "bench_report",
    "bench_stats",
)


def run_pytest(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def collected() -> list[str]:
    found = run_pytest("benchmarks/perf", "--collect-only")
    assert found.returncode == 0, found.stdout + found.stderr
    return [line for line in found.stdout.splitlines() if "::" in line]


def test_every_file_is_found_from_the_root(collected: list[str]) -> None:
    assert {line.split("::")[0] for line in collected} == {
        f"benchmarks/perf/{path.name}" for path in PERF.glob("b*.py")
    }


def test_small_ones_run(collected: list[str]) -> None:
    chosen = [line for line in collected if Path(line).name.startswith(OWN) and not any(word in line for word in SLOW)]
    assert {Path(line.split("::")[0]).stem for line in chosen} == set(OWN)
    found = run_pytest(*chosen, "--small", "--benchmark-disable")
    assert found.returncode == 0, found.stdout[-5000:] + found.stderr[-2000:]
    assert " failed" not in found.stdout and " passed" in found.stdout


def test_every_metric_has_one(collected: list[str]) -> None:
    computing = {path.stem for path in METRICS.glob("*.py")} - WITHOUT_ONE
    assert {line.split("[")[1].rstrip("]") for line in collected if "::test_metric[" in line} == computing


def test_results_are_saved_and_compared(tmp_path: Path) -> None:
    name = f"{PERF / 'bench_record.py'}::test_run_json"
    options = ["--small", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), "--benchmark-max-time=0.01"]
    first = run_pytest(name, *options, "--benchmark-autosave", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    (saved,) = tmp_path.glob(".benchmarks/*/0001_*.json")
    (one,) = json.loads(saved.read_text())["benchmarks"]
    assert one["group"] == "writing the record" and one["name"] == "test_run_json"
    second = run_pytest(name, *options, "--benchmark-compare", "--benchmark-only", cwd=tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "(0001_" in second.stdout and "(NOW)" in second.stdout


def test_what_they_save_is_not_committed() -> None:
    assert ".benchmarks/" in (ROOT / ".gitignore").read_text().splitlines()


def test_none_asserts_a_time() -> None:
    guilty = [
        f"{path.name}:{node.lineno}"
        for path in PERF.glob("bench_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert) and any(word in ast.dump(node.test) for word in ("'stats'", "seconds", "ratio"))
    ]
    assert guilty == []
