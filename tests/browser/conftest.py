"""Pages in headless Chromium, with everything that they ask for or complain of; without a browser these tests skip."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from chromium import NAMES, executable, launch

from trilemma.report import write_report

# A model's name is a file's name too, so it holds no slash and has an end.
HOSTILE = "<script>alert(1) javascript:alert(2) \u202eשלום \U0001f98a <img src=x onerror=alert(3)> $x$"
LONG = f"{HOSTILE}</script>" + "x" * 10_000


@dataclass
class Opened:
    """A page with what it asked for, said and did since it was opened."""

    page: Any
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


def synthetic_runs() -> ModuleType:
    """Returns the module that writes synthetic runs for the report's other tests."""
    path = Path(__file__).parents[1] / "report" / "conftest.py"
    spec = importlib.util.spec_from_file_location("synthetic_runs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium; skips, with the reason, where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason='playwright is missing: pip install "trilemma[browser]"'
    )
    path = executable()
    if path is None:
        pytest.skip(f"no browser on the PATH: none of {', '.join(NAMES)}")
    with sync_api.sync_playwright() as playwright:
        running = launch(playwright, path)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file in a fresh context, whose options are given by name, and waits until its charts are drawn."""
    contexts = []

    def opener(path: Path, *, before: str = "", **options: Any) -> Opened:
        contexts.append(browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | options))
        opened = Opened(contexts[-1].new_page())
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("console", lambda message: opened.messages.append(f"{message.type}: {message.text}"))
        opened.page.on("pageerror", lambda error: opened.messages.append(f"error: {error}"))
        opened.page.on("dialog", lambda dialog: (opened.dialogs.append(dialog.message), dialog.dismiss()))
        if before:
            opened.page.add_init_script(before)
        opened.page.goto(path.as_uri())
        if options.get("java_script_enabled", True) and not before:
            opened.page.wait_for_function(
                "[...document.querySelectorAll('.chart')].every((c) => c.querySelector('svg'))"
            )
        return opened

    yield opener
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the synthetic run: a failed model, a withheld control, null metrics, images for some."""
    return write_report(synthetic_runs().write_run(tmp_path_factory.mktemp("browser") / "run"))


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with a model, a title, a prompt and a reason that mean harm and have no end."""
    folder = synthetic_runs().write_run(tmp_path_factory.mktemp("hostile") / "run")
    for name in ("run.json", "metrics.jsonl"):
        text = (folder / name).read_text().replace('"vqar"', json.dumps(HOSTILE))
        (folder / name).write_text(
            text.replace('"GAN"', json.dumps(LONG)).replace("tensor <a> is lost", json.dumps(LONG)[1:-1])
        )
    sidecar = folder / "images" / "gan" / "prompted.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"prompts": [LONG] * 8}))
    return write_report(folder)
