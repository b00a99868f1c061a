"""The matrix of metrics and distortions: with an extractor that is simple enough to know what it must see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.features.presets import PRESETS, Preset, preset
from trilemma.metrics.frechet import frechet_distance, moments
from trilemma.report.calibration import agreement_rows, explanations, gaps, heat_map, markdown, matrix, surprises
from trilemma.report.drawing import png
from trilemma.scoring import calibration_expected
from trilemma.scoring.calibration import Calibration, Cell, calibrate
from trilemma.scoring.calibration_expected import COPY_RATE, EXPECTED, expectation, kind_of
from trilemma.scoring.calibration_instrument import Bench
from trilemma.scoring.calibration_material import material
from trilemma.scoring.calibration_record import SCHEMA, as_document
from trilemma.scoring.calibration_truth import Agreement, agreements
from trilemma.scoring.calibration_verdict import Reading
from trilemma.scoring.distortions import DISTORTIONS, Images, Material, named_distortions
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.run import Run

SAMPLES = 160
NAMES = ("fd_scenes", "precision", "coverage")


class Eye:
    """Sees colour and contrast: means and deviations of the channels, and how neighbouring pixels differ."""

    identity = {"network": "eye"}
    device = torch.device("cpu")

    def batch(self, images: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        pixels = np.stack(images).astype(np.float32)
        edges = np.abs(np.diff(pixels, axis=2)).mean(axis=(1, 2))
        parts = (pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2)), edges)
        return {"features": np.concatenate(parts, axis=1)}


def eye_preset(*names: str) -> Preset:
    known = preset("scenes")
    return replace(known, metrics=tuple(use for use in known.metrics if use.name in names))


def bench(cache: Path, chosen: Preset | None = None, **others: Any) -> Bench:
    return Bench(preset=chosen or eye_preset(*NAMES), extractor=Eye(), cache=cache, **others)


def features_of(images: Images) -> NDArray[np.float32]:
    return Eye().batch(list(images.images()))["features"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    wanted = named_distortions("grain,colour-shift,duplicates,memorised,fewer-samples")
    return calibrate(material("scenes", SAMPLES), wanted, 3, bench(tmp_path_factory.mktemp("cache")))


def test_every_metric_meets_every_distortion(found: Calibration) -> None:
    assert found.metrics == [*NAMES, COPY_RATE]
    assert found.distortions == ["grain", "colour-shift", "duplicates", "memorised", "fewer-samples"]
    assert len(found.cells) == 4 * 5
    assert all(len(cell.levels) == len(cell.strengths) == 3 for cell in found.cells)


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("distortion", ["grain", "colour-shift"])
def test_damage_that_the_eye_sees_is_seen(metric: str, distortion: str, found: Calibration) -> None:
    cell = found.cell(distortion, metric)
    assert cell.verdict == "saw" and not cell.unexpected
    assert cell.tau == pytest.approx(1) or metric != "fd_scenes"


def test_the_copy_test_and_no_other_sees_copies_of_the_reference(found: Calibration) -> None:
    assert found.cell("memorised", COPY_RATE).verdict == "saw"
    assert found.cell("memorised", "fd_scenes").verdict in ("wrong way", "blind")
    rates = [level.value for level in found.cell("memorised", COPY_RATE).levels]
    assert rates[-1] == pytest.approx(0.8, abs=0.03)


def test_the_errors_of_repeated_images_count_images_and_not_their_copies(found: Calibration) -> None:
    images = material("scenes", SAMPLES)
    repeated = DISTORTIONS["duplicates"].apply(images, 16, 0)
    expected = frechet_distance(features_of(repeated), moments(features_of(images.reference)), repeated.rows)
    strongest = found.cell("duplicates", "fd_scenes").levels[-1]
    assert (strongest.value, strongest.se) == (pytest.approx(expected.value), pytest.approx(expected.se))


def test_fewer_images_are_no_damage_and_have_no_severity(found: Calibration) -> None:
    cells = [found.cell("fewer-samples", metric) for metric in found.metrics]
    assert {cell.verdict for cell in cells} <= {"steady", "drifts"} and all(cell.tau is None for cell in cells)


def test_an_error_holds_the_reference_fixed(found: Calibration) -> None:
    """As between two models that share it: with the reference's own sampling it would be about half as large again."""
    images = material("scenes", SAMPLES)
    expected = frechet_distance(features_of(images.clean), moments(features_of(images.reference)))
    clean = found.cell("grain", "fd_scenes").clean
    assert (clean.value, clean.se) == (pytest.approx(expected.value), pytest.approx(expected.se))


def test_the_same_again_gives_the_same_document_but_for_the_time(found: Calibration, tmp_path: Path) -> None:
    wanted = named_distortions("grain,colour-shift,duplicates,memorised,fewer-samples")
    again = calibrate(material("scenes", SAMPLES), wanted, 3, bench(tmp_path))
    first, second = (json.dumps(as_document(one) | {"created": ""}, allow_nan=False) for one in (found, again))
    assert first == second and json.loads(first)["schema"] == SCHEMA


def test_what_cannot_be_done_is_not_measured_and_says_why(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (150, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    found = calibrate(
        material(str(tmp_path / "images.npy"), 50), named_distortions("mode-drop"), 2, bench(tmp_path / "cache")
    )
    cell = found.cell("mode-drop", "fd_scenes")
    assert (cell.verdict, cell.unexpected) == ("not measured", False)
    assert [one.value for one in cell.levels] == [None, None]
    assert any("modes are known of Scenes" in line for line in gaps(found))
    copy = found.cell("mode-drop", COPY_RATE)
    assert copy.clean.reason is not None and "100 held-out images" in copy.clean.reason


def test_a_failure_that_nobody_documented_is_unexpected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_expected, "EXPECTED", ())
    found = calibrate(material("scenes", SAMPLES), named_distortions("memorised"), 2, bench(tmp_path))
    failed = {cell.metric for cell in found.unexpected}
    assert COPY_RATE not in failed and "fd_scenes" in failed
    assert any(line.startswith("fd_scenes (memorised): ") for line in surprises(found))


def test_metrics_that_need_prompts_take_no_part(tmp_path: Path) -> None:
    clip = preset("clip-score").metrics
    mixed = replace(eye_preset("fd_scenes"), metrics=(*eye_preset("fd_scenes").metrics, *clip))
    assert calibrate(material("scenes", 40), (), 1, bench(tmp_path, mixed)).cells == ()
    with pytest.raises(UserError, match='no metric of the preset "clip-score"'):
        bench(tmp_path, preset("clip-score"))


def test_images_that_were_measured_before_as_they_are_are_not_measured_again(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    watched = bench(tmp_path, progress=lambda title, done, total: told.append((title, done, total)))
    wanted = named_distortions("blur,duplicates,memorised,fewer-samples,mode-drop")
    calibrate(material("scenes", 40), wanted, 1, watched)
    measured = {title: total for title, _, total in told}
    assert measured == {"real images": 80, "blur 0.0625": 40, "mode-drop 0.8": 40}
    assert all(done <= total for _, done, total in told)


def test_documented_failures_name_metrics_and_distortions_that_exist() -> None:
    kinds = {kind_of(use) for one in PRESETS.values() for use in one.metrics} | {COPY_RATE}
    networks = {one.recipe.network for one in PRESETS.values()} | {None}
    for entry in EXPECTED:
        assert set(entry.kinds) <= kinds and set(entry.distortions) <= DISTORTIONS.keys()
        assert entry.network in networks and entry.reason and not entry.reason.endswith(".")
        assert not {"saw", "steady", "not measured"} & set(entry.verdicts)


def test_no_documented_failure_is_hidden_by_another() -> None:
    reached = {
        id(expectation(kind, name, network))
        for kind in {kind for entry in EXPECTED for kind in entry.kinds}
        for name in DISTORTIONS
        for network in ("factor-net", "tf-inception")
    }
    assert all(id(entry) in reached for entry in EXPECTED)


def test_a_weakness_of_one_network_excuses_no_other() -> None:
    assert expectation("frechet_distance", "grain", "factor-net") is not None
    assert expectation("frechet_distance", "grain", "tf-inception") is None


def cell(metric: str, verdict: Any, *, reason: str | None = None, unexpected: bool = False) -> Cell:
    level = (
        Reading(value=None, se=None, reason="too | few") if verdict == "not measured" else Reading(value=2.0, se=0.1)
    )
    expected = expectation("frechet_distance", "memorised", "factor-net") if reason else None
    return Cell(
        distortion="memorised", metric=metric, direction="lower", strengths=(0.8,), clean=Reading(value=1.0, se=0.1),
        levels=(level,), verdict=verdict, tau=None, expected=expected, unexpected=unexpected,
    )  # fmt: skip


@pytest.fixture
def small() -> Calibration:
    identity = {"preset": "scenes", "samples": 2048, "source": "a|b", "levels": 1, "seed": 0}
    cells = (
        cell("a", "saw"),
        cell("b", "wrong way", reason="documented"),
        cell("c", "blind", unexpected=True),
        cell("d", "not measured"),
    )
    return Calibration(cells=cells, identity=identity)


def test_the_matrix_marks_documented_failures(small: Calibration) -> None:
    assert matrix(small) == [["Memorised copies", "saw", "wrong way*", "blind", "not measured"]]
    assert surprises(small) == ["c (memorised): blind."]
    assert len(explanations(small)) == 1 and explanations(small)[0].startswith("b (memorised): ")
    assert gaps(small) == ["d (memorised): too | few."]


def test_markdown_has_the_matrix_the_reasons_and_the_values(small: Calibration) -> None:
    agreed = [Agreement(metric="kid", truth="residual", tau=0.5, models=("x", "y", "z"))]
    text = markdown(small, agreed)
    assert "| Memorised copies | saw | wrong way\\* | blind | not measured |" in text
    assert "a\\|b" in text and "calibration.png" in text and "- c (memorised): blind." in text
    assert "| a | 1.00 ± 0.10 | 2.00 ± 0.10 |" in text
    assert "| kid | +0.50 (3 models) |" in text
    assert "Agreement" not in markdown(small)


def test_the_figure_shows_each_verdict_in_its_colour(small: Calibration) -> None:
    figure = heat_map(small)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["saw", "wrong way*", "blind", "not measured"]
    figure.canvas.draw()
    colours = axes.collections[0].get_facecolors()
    assert len({tuple(colour) for colour in colours.tolist()}) == 4
    assert png(figure).startswith(b"\x89PNG")


def finished_run(folder: Path, values: dict[str, dict[str, float]]) -> Run:
    record = Record(run_id="r", identity="i", created="2026-01-01T00:00:00", spec={}, status="complete")
    record.models = {model: {"status": "done"} for model in values}
    record.write(folder / "run.json")
    rows = [
        MetricRow(run_id="r", model=model, metric=metric, value=value)
        for model, numbers in values.items()
        for metric, value in numbers.items()
    ]
    write_metrics(folder / "metrics.jsonl", rows)
    return Run(folder)


def test_rankings_of_a_run_are_compared_both_from_good_to_bad(tmp_path: Path) -> None:
    run = finished_run(
        tmp_path,
        {
            "good": {"fd_scenes": 1.0, "precision": 0.2, "prompt_accuracy": 0.9},
            "fair": {"fd_scenes": 2.0, "precision": 0.3, "prompt_accuracy": 0.5},
            "bad": {"fd_scenes": 3.0, "precision": 0.4, "prompt_accuracy": 0.1},
            "mute": {"fd_scenes": 9.0},
        },
    )
    found = {(one.metric, one.truth): one for one in agreements(run)}
    assert found["fd_scenes", "prompt_accuracy"].tau == pytest.approx(1)
    assert found["precision", "prompt_accuracy"].tau == pytest.approx(-1)
    assert found["fd_scenes", "prompt_accuracy"].models == ("good", "fair", "bad")
    assert ("prompt_accuracy", "prompt_accuracy") not in found
    assert agreement_rows(list(found.values())) == [
        ["fd_scenes", "+1.00 (3 models)"],
        ["precision", "-1.00 (3 models)"],
    ]


def test_two_models_have_no_ranking(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {name: {"kid": 1.0, "residual": 2.0} for name in ("a", "b")})
    with pytest.raises(UserError, match="at least 3 models"):
        agreements(run)


def test_the_spare_scenes_suffice_for_the_strongest_mode_drop() -> None:
    images: Material = material("scenes", 64)
    assert len(DISTORTIONS["mode-drop"].apply(images, DISTORTIONS["mode-drop"].strongest, 0)) == 64
