"""Filmstrips on the page: the way of each family, what it costs, and what is said where something is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.report import write_report
from trilemma.report.record import load
from trilemma.report.sections import filmstrips
from trilemma.report.sections.filmstrips import Film
from trilemma.store.strips import PICTURE, Strip, Strips, write_strips

EVIL = '<script>alert(1)</script> & "a red star"'


def strip(**changes: Any) -> Strip:
    told: dict[str, Any] = {
        "kind": "sampling", "key": "k", "prompt": EVIL, "seed": 1, "frames": (1, 2, 3), "length": 3, "evaluations": 6,
        "wall_ms": 12.5,
    }  # fmt: skip
    return Strip(**told | changes)


def put(folder: Path, model: str, *strips: Strip, problems: tuple[str, ...] = ()) -> None:
    frames = [np.full((len(one.frames), 32, 32, 3), 99, np.uint8) for one in strips]
    write_strips(folder / "images" / model / "strips", Strips(frame=32, strips=strips, problems=problems), frames)


@pytest.fixture
def folder(make_run: Callable[..., Path]) -> Path:
    """A run whose models say of which family they are."""
    path = make_run()
    record = json.loads((path / "run.json").read_text())
    for model, family in {"gan": "gan", "ldm": "diffusers", "var": "brand-new"}.items():
        record["models"][model]["info"] = {"family": family}
    (path / "run.json").write_text(json.dumps(record))
    return path


def films(folder: Path) -> dict[tuple[str, str], Film]:
    content = filmstrips.content(load(folder))
    assert content is not None
    return {(film.model, film.strip.kind): film for _, of_prompt in content["prompts"] for film in of_prompt}


def test_a_run_without_strips_has_no_such_section(run_folder: Path) -> None:
    assert filmstrips.content(load(run_folder)) is None


def test_each_strip_says_its_way_its_evaluations_and_its_time(folder: Path) -> None:
    put(folder, "gan", strip(frames=(1,), length=1, evaluations=1))
    put(folder, "var", strip())
    shown = films(folder)
    gan = shown["gan", "sampling"]
    assert gan.facts == ("one pass, from noise to the picture", "1 network evaluation", "12.34 ms at batch 1")
    assert gan.under == ("1",)
    assert shown["var", "sampling"].facts[:2] == ("its intermediate images", "6 network evaluations")
    assert shown["var", "sampling"].under == ("2", "4", "6")


def test_without_a_timing_the_traced_call_is_told_for_what_it_is(folder: Path) -> None:
    put(folder, "gan", strip(frames=(1,), length=1, evaluations=1))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [row for row in rows if row["metric"] != "latency_batch1"]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    assert films(folder)["gan", "sampling"].facts[-1] == "12.5 ms, one traced call, tracing included"


def test_the_noising_stands_beside_and_says_what_is_noised(folder: Path) -> None:
    noising = strip(kind="noising", frames=(1, 2, 4), length=4, evaluations=None, wall_ms=None, space="latents")
    put(folder, "ldm", strip(evaluations=7), noising)
    shown = films(folder)
    assert shown["ldm", "noising"].under == ("the picture", "1 of 3", "3 of 3")
    assert "latents of the autoencoder" in shown["ldm", "noising"].facts[0]
    assert shown["ldm", "noising"].facts[1] == "3 of 4 frames are shown"
    assert shown["ldm", "sampling"].under == ("1 of 3", "2 of 3", "3 of 3")  # 7 evaluations are not three times as many


def test_what_failed_is_told_and_texts_are_escaped(folder: Path) -> None:
    put(folder, "gan", strip(), problems=("RuntimeError: no <luck>",))
    put(folder, "var", strip())
    (folder / "images" / "var" / "strips" / PICTURE).unlink()
    text = write_report(folder).read_text(encoding="utf-8")
    section = text[text.index('<section id="filmstrips"') : text.index('<section id="samples"')]
    assert "gan: RuntimeError: no &lt;luck&gt;" in section
    assert "var: " in section and "this part of the record is missing" in section
    assert "<script" not in section and "&lt;script&gt;alert(1)&lt;/script&gt;" in section
    assert section.count('role="img"') == 3
