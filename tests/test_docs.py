"""What the documents and the workflows say can be done: every command in them is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trilemma.cli import main

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GUIDES = (
    "ci.md", "regression-tracking.md", "gpu.md", "models.md", "reading-the-report.md", "your-protocol.md",
    "your-model.md", "your-data-set.md", "your-metric.md",
)  # fmt: skip
TEMPLATE = ROOT / "src" / "trilemma" / "templates" / "README.md.template"
PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in GUIDES), TEMPLATE]
PROGRAM = re.compile(r"^(?:\.venv/bin/)?(?:trilemma|python bench\.py) ")
PINNED = re.compile(r"(?:actions/[\w-]+@v\d+|\./\.github/workflows/[\w-]+\.yml)")


def workflow(path: Path) -> dict[str, Any]:
    """YAML 1.1 takes the key "on" for the truth value."""
    found = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in found.items()}


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = workflow(path)["jobs"].values()
    return [step for job in jobs for step in job.get("steps", [])]


def scripts(path: Path) -> list[str]:
    if path.suffix == ".yml":
        return [step["run"] for step in steps(path) if "run" in step]
    return re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)


def substituted(line: str) -> str:
    """Stands in for the shell: what is optional is there, and a variable or a command gives a number."""
    line = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", line)
    line = re.sub(r"\$\([^)]*\)", "1", line)
    return re.sub(r"\$\w+", "1", line)


def commands(path: Path) -> Iterator[str]:
    for script in scripts(path):
        for line in script.replace("\\\n", " ").splitlines():
            nested = re.findall(r"\$\((trilemma [^)|]*)", line)
            yield from (part for part in [line.strip(), *nested] if PROGRAM.match(part))


def is_taken(line: str) -> bool:
    """Whether verb and options exist: a line is parsed before its --help is heard, and nothing of it is done."""
    return main([*shlex.split(PROGRAM.sub("", substituted(line)), comments=True), "--help"]) == 0


ALL = [(path, line) for path in [*PAGES, *WORKFLOWS] for line in commands(path)]


@pytest.mark.parametrize(("path", "line"), ALL, ids=[f"{path.name}: {line[:60]}" for path, line in ALL])
def test_every_command_is_one(path: Path, line: str) -> None:
    assert is_taken(line)


@pytest.mark.parametrize(
    "line", ["gaet x", "gate latest --baseline main --strickt", "baseline acept main x", "run --sample 3"]
)
def test_a_command_that_is_none_would_be_found(line: str) -> None:
    assert not is_taken(f"trilemma {line}")


def test_commands_are_found_in_every_document() -> None:
    assert {path.name for path, _ in ALL} >= {*(page.name for page in PAGES), "gate.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_uses_pinned_actions_and_reads_only(path: Path) -> None:
    found = workflow(path)
    jobs = found["jobs"].values()
    used = [step["uses"] for step in steps(path) if "uses" in step] + [job["uses"] for job in jobs if "uses" in job]
    assert used and [name for name in used if not PINNED.fullmatch(name)] == []
    assert found["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_of_a_caller_is_pasted_into_a_script(path: Path) -> None:
    assert [script for script in scripts(path) if "${{" in script] == []


def test_our_own_ci_gates_what_there_is() -> None:
    (call,) = [job for job in workflow(ROOT / ".github" / "workflows" / "ci.yml")["jobs"].values() if "uses" in job]
    inputs = workflow(ROOT / call["uses"])["on"]["workflow_call"]["inputs"]
    assert call["with"].keys() <= inputs.keys()
    assert {name for name, one in inputs.items() if one.get("required")} <= call["with"].keys()
    assert (ROOT / "benchmarks" / f"{call['with']['protocol']}.toml").is_file()
    assert (ROOT / "results" / "baselines" / call["with"]["baseline"] / "baseline.json").is_file()


def test_the_guide_names_every_input_of_the_workflow() -> None:
    inputs = workflow(ROOT / ".github" / "workflows" / "gate.yml")["on"]["workflow_call"]["inputs"]
    guide = (ROOT / "docs" / "ci.md").read_text()
    assert [name for name in inputs if f"`{name}`" not in guide] == []


def test_the_walkthrough_s_numbers_are_those_of_a_record_that_it_names() -> None:
    walkthrough = ROOT / "docs" / "reading-the-report.md"
    text = walkthrough.read_text()
    named = re.findall(r"\]\((\.\./results/reference/\S+/report\.md|what-metrics-see/README\.md)\)", text)
    records = "".join((walkthrough.parent / path).read_text() for path in named)
    shown = re.findall(r"[\d.,]*\d ± [\d.]*\d", text)
    assert len(named) == 2 and len(shown) > 30
    assert [number for number in shown if not re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d.])", records)] == []
