"""Whole runs over a data set that is not Scenes: with its images, with a file in their place, and with neither."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from trilemma.data import home
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.protocols import find_protocol
from trilemma.registry import select
from trilemma.report import write_report
from trilemma.report.comparable import band_lines
from trilemma.report.document import document
from trilemma.report.markdown import markdown
from trilemma.report.record import load
from trilemma.runner import prepare as preparing
from trilemma.runner.display import Display
from trilemma.runner.job import Instrumentation
from trilemma.runner.prepare import prepare
from trilemma.runner.run import Request, run_benchmark
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run
from trilemma.store.sheets import find_sheets
from trilemma.workspace import find_workspace

PROTOCOL = """
name = "digits"
version = 1
title = "Digits"
data = "mnist"
resolution = 32
batch_size = 16
models = ["classy"]
metrics = ["fd_dinov2", "kid", "precision", "recall", "density", "coverage", "coverage_unconditional",
    "precision_within_prompts", "coverage_within_prompts", "prompt_accuracy", "clip_score", "copy_rate"]
[[sets]]
name = "prompted"
prompts = "classes"
images = 100
[[sets]]
name = "unconditional"
prompts = "none"
images = 60
[[sets]]
name = "within_prompt"
prompts = "repeated"
images = 48
images_per_prompt = 12
[extractors]
features = "fd-dinov2"
reader = "a-reader"
clip = "clip-score"
optional = ["clip"]
[reference]
images = 200
split = "test"
heldout_images = 200
heldout_split = "validation"
floor_images = 300
floor_split = "validation"
training_images = 1500
training_split = "fit"
features = "reference/digits.npz"
source = "https://example.org/digits"
[speed]
batch_sizes = [1, 4]
min_seconds = 0.001
min_calls = 2
budget_seconds = 5.0
[comparable]
numbers = "nothing published"
bands.prompt_accuracy = { low = 0.5, high = 1.0 }
bands.kid = { low = 1e6, high = 1e7 }
bands.fd_dinov2 = { low = 1e6, high = 1e7 }
"""
OWN_WORKSPACE = find_workspace(Path(__file__).resolve().parents[2])
FAKES = Instrumentation(load="fake_data:load", identity="fake_data:identity", controls="fake_controls:load")
NO_CLIP = replace(FAKES, load="fake_data:load_without_clip", identity="fake_data:identity_without_clip")
OF_IMAGES = ("kid", "precision", "recall", "density", "coverage", "coverage_unconditional", "coverage_within_prompts")


def write_digits(folder: Path) -> None:
    """Pictures of class c have grey levels about 20 c + 10, and two greys of chance in each quarter."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for stem, count in (("train", 1800), ("t10k", 200)):
        labels = rng.permutation(np.arange(count, dtype=np.uint8) % 10)
        coarse = rng.normal(size=(count, 7, 7)) * 6 + 20 * labels[:, None, None] + 10
        images = coarse.repeat(4, 1).repeat(4, 2).clip(0, 255).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{stem}-{kind}-ubyte").write_bytes(header + array.tobytes())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the protocol and a model, and beside it the data set."""
    place = tmp_path_factory.mktemp("digits")
    (place / "benchmarks").mkdir()
    (place / "benchmarks" / "digits.toml").write_text(PROTOCOL)
    (place / "models" / "classy").mkdir(parents=True)
    (place / "models" / "classy" / "card.toml").write_text('name = "classy"\nfactory = "classy:load"\ndata = "mnist"\n')
    write_digits(place / "data" / "mnist")
    return place


@pytest.fixture
def at_hand(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(home.VARIABLE, str(place / "data"))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither data nor weights are anywhere."""
    for name in (home.VARIABLE, "TRILEMMA_WEIGHTS", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "TRILEMMA_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))


def protocol_of(place: Path, **changes: Any) -> Protocol:
    return replace(find_protocol("digits", find_workspace(place)), **changes)


def carry_out(place: Path, folder: Path, protocol: Protocol, fakes: Instrumentation = FAKES, **others: Any) -> Run:
    request = Request(
        protocol=protocol,
        cards=tuple(select(["classy"], find_workspace(place))),
        runs=folder / "runs",
        cache=folder / "cache",
        device="cpu",
        instruments=fakes,
        **others,
    )
    return run_benchmark(request, Display(Console(stderr=True), quiet=True))


def rows_of(run: Run) -> dict[str, MetricRow]:
    return {row.metric: row for row in run.rows}


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run whose real images are all there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(home.VARIABLE, str(place / "data"))
        yield carry_out(place, tmp_path_factory.mktemp("whole"), protocol_of(place))


def test_every_metric_of_the_protocol_is_measured(whole: Run) -> None:
    assert whole.record.status == "complete", whole.record.errors
    rows = rows_of(whole)
    assert {name for name, row in rows.items() if row.value is None} == {"flops_per_image"}
    assert rows["fd_dinov2"].n == 100 and rows["fd_dinov2"].n_reference == 200
    assert rows["fd_dinov2"].extractor == "features:" + "d" * 16
    assert rows["prompt_accuracy"].extractor == "reader:" + "e" * 16
    assert (rows["prompt_accuracy"].value or 0) > 0.9
    assert rows["precision"].params == {"k": 5, "strict": True, "reference": rows["kid"].params["reference"]}
    sets = {name: row.set for name, row in rows.items() if row.set}
    assert sets["coverage_unconditional"] == "unconditional" and sets["coverage_within_prompts"] == "within_prompt"
    assert {sets[name] for name in ("fd_dinov2", "kid", "precision", "clip_score", "copy_rate")} == {"prompted"}


def test_the_scores_are_anchored_by_real_images(whole: Run) -> None:
    rows = rows_of(whole)
    quality, diversity = rows["score_quality"], rows["score_diversity"]
    assert 0 <= (quality.value or -1) <= 10 and quality.se is not None and quality.ci is not None
    assert 0 < quality.params["real"] < quality.params["reduced"]
    parts = [rows[name].value or 0 for name in ("coverage_unconditional", "coverage_within_prompts")]
    assert diversity.se is not None and diversity.params["unclipped"] >= 5 * sum(parts)
    assert whole.record.reference["reader_accuracy"]["class"] > 0.9
    assert set(whole.record.reference["digests"]) == {
        "reference", "heldout", "floor", "training", "reduced", "within", "within_real",
    }  # fmt: skip


def test_the_sample_rows_say_what_was_asked_for_and_read(whole: Run) -> None:
    samples = whole.samples("classy")
    prompted = samples[samples["set"] == "prompted"]
    assert prompted["target_label"].tolist() == list(range(10)) * 10
    assert prompted["prompt"].tolist()[:3] == ["zero", "one", "two"]
    assert (prompted["read_label"] == prompted["target_label"]).mean() == rows_of(whole)["prompt_accuracy"].value
    assert set(samples.loc[samples["set"] == "unconditional", "target_label"]) == {-1}
    within = samples[samples["set"] == "within_prompt"]
    assert within["target_label"].tolist() == [label for label in range(4) for _ in range(12)]
    assert samples["key"].is_unique and samples["seed"].is_unique


def without_code(page: str) -> str:
    return re.sub(r"(?s)<(script|style).*?</\1>", "", page)


def said_of_scenes(run: Run) -> list[str]:
    """Returns what the report says that is true of Scenes alone."""
    texts = [without_code(write_report(run.folder.path).read_text()), markdown(load(run.folder.path))]
    texts.append(json.dumps(document(load(run.folder.path)), ensure_ascii=False))
    words = r".{0,30}(?:[Ss]cenes|of 512|shape, colour|free factors?).{0,30}"
    return [found for text in texts for found in re.findall(words, text)]


def test_the_page_says_nothing_of_another_data_set(whole: Run) -> None:
    assert said_of_scenes(whole) == []
    texts = [without_code(write_report(whole.folder.path).read_text()), markdown(load(whole.folder.path))]
    assert all("not comparable with nothing published: the reference is not" in text for text in texts)
    assert all("Accepted bands" in text and "FD-DINOv2" in text for text in texts)


def verdicts(run: Run) -> dict[str, str]:
    return {line.metric: line.verdict for line in band_lines(load(run.folder.path))}


def test_images_in_the_place_of_the_published_file_are_not_judged_by_its_bands(whole: Run) -> None:
    unjudged = "not judged: the reference is not the published file"
    assert verdicts(whole) == {"Prompt accuracy": "inside", "Kernel distance": unjudged, "FD-DINOv2": unjudged}


def test_a_second_run_reads_the_cache(whole: Run, place: Path, nowhere: None) -> None:
    """The data are gone, and every measurement of them is there."""
    folder = whole.folder.path.parent.parent
    again = carry_out(place, folder, protocol_of(place), samples=80)
    assert again.record.partial and again.record.reference == whole.record.reference
    assert rows_of(again)["score_quality"].value is not None


@pytest.fixture(scope="module")
def features(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``prepare`` writes."""
    folder = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        import fake_data

        patch.setenv(home.VARIABLE, str(place / "data"))
        patch.setattr(preparing, "identity", fake_data.identity)
        patch.setattr(preparing, "_instruments", lambda protocol, device: fake_data.Fake())
        told: list[tuple[str, int, int]] = []
        written = prepare(
            protocol_of(place), folder / "digits.npz", device="cpu", cache=folder / "cache",
            progress=lambda *progress: told.append(progress),
        )  # fmt: skip
    images = {"reference": 200, "floor": 300, "reduced": 100, "within": 48, "within_real": 48}
    assert written["images"] == images and written["reader_accuracy"]["class"] > 0.9
    assert ("reference", 200, 200) in told and "within" not in {name for name, _, _ in told}
    with np.load(folder / "digits.npz") as stored:
        assert stored["within.rows"].max() < 300 and "within.features" not in stored.files
    return folder / "digits.npz"


@pytest.fixture
def with_file(place: Path, features: Path, tmp_path: Path) -> Callable[..., Protocol]:
    """The protocol with a file beside it, in a folder of its own."""

    def made(file: Path = features, **reference: Any) -> Protocol:
        (tmp_path / "reference").mkdir(exist_ok=True)
        (tmp_path / "reference" / "digits.npz").write_bytes(file.read_bytes())
        protocol = protocol_of(place, home=tmp_path)
        assert protocol.reference is not None
        return replace(protocol, reference=replace(protocol.reference, **reference))

    return made


def test_a_file_stands_for_the_images(
    whole: Run, place: Path, with_file: Callable[..., Protocol], tmp_path: Path, nowhere: None
) -> None:
    run = carry_out(place, tmp_path, with_file())
    rows, before = rows_of(run), rows_of(whole)
    for name in ("fd_dinov2", *OF_IMAGES, "score_quality", "score_diversity"):
        assert rows[name].value == pytest.approx(before[name].value, rel=0.01, abs=0.021), name  # two images of 100
    assert rows["copy_rate"].status == "skipped" and "not at hand" in (rows["copy_rate"].reason or "")
    assert run.record.reference["reader_accuracy"] == whole.record.reference["reader_accuracy"]
    assert len(set(run.record.reference["digests"].values())) == 1
    assert verdicts(run) == verdicts(whole)  # features that this suite has written are not the published file either


def test_a_file_comes_before_the_images_and_the_copy_test_takes_these(
    whole: Run, place: Path, with_file: Callable[..., Protocol], tmp_path: Path, at_hand: None
) -> None:
    run = carry_out(place, tmp_path, with_file(), NO_CLIP)
    rows = rows_of(run)
    assert rows["copy_rate"].value == rows_of(whole)["copy_rate"].value
    digests = run.record.reference["digests"]
    assert digests["reference"] != digests["training"] and digests["reference"] == digests["floor"]
    reason = 'the weights of "clip-score" are not at hand'
    assert (rows["clip_score"].value, rows["clip_score"].status, rows["clip_score"].reason) == (None, "skipped", reason)


def statistics_file(features: Path, path: Path) -> Path:
    with np.load(features) as stored:
        reference = stored["reference.features"].astype(np.float64)
    np.savez(path, mu=reference.mean(0), sigma=np.cov(reference, rowvar=False))
    return path


def test_statistics_alone_are_enough_for_the_distance(
    whole: Run, place: Path, features: Path, with_file: Callable[..., Protocol], tmp_path: Path, nowhere: None
) -> None:
    protocol = with_file(statistics_file(features, tmp_path / "published.npz"))
    run = carry_out(place, tmp_path, protocol)
    rows = rows_of(run)
    assert verdicts(run) == {"Prompt accuracy": "inside", "Kernel distance": "not measured", "FD-DINOv2": "outside"}
    assert "Comparable with nothing published" in markdown(load(run.folder.path))
    assert rows["fd_dinov2"].value == pytest.approx(rows_of(whole)["fd_dinov2"].value, rel=1e-3)
    assert rows["fd_dinov2"].n_reference is None
    for name in (*OF_IMAGES, "score_quality", "score_diversity"):
        assert (rows[name].value, rows[name].status) == (None, "skipped"), name
        assert "only statistics of real images are at hand" in (rows[name].reason or ""), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "fashion-mnist"}, "of another data: 'mnist', not 'fashion-mnist'"),
        ({"resolution": 64}, "of another resolution: 32, not 64"),
    ],
)
def test_a_file_of_something_else_is_refused(
    place: Path, with_file: Callable[..., Protocol], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        carry_out(place, tmp_path, replace(with_file(), **changes))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ({"split": "validation"}, "reference"),
        ({"images": 100}, "reference"),
        ({"floor_split": "test", "floor_images": 200}, "floor"),
        ({"heldout_split": "fit"}, "heldout"),
    ],
)
def test_a_file_of_other_images_is_refused(
    place: Path, with_file: Callable[..., Protocol], tmp_path: Path, reference: dict[str, Any], name: str
) -> None:
    with pytest.raises(UserError, match=f'of other images of the set "{name}".*trilemma prepare digits'):
        carry_out(place, tmp_path, with_file(**reference))
    assert not (tmp_path / "runs").exists()


def test_a_file_of_other_numbers_of_images_per_prompt_is_refused(
    place: Path, with_file: Callable[..., Protocol], tmp_path: Path
) -> None:
    protocol = with_file()
    sets = tuple(replace(one, images=2 * one.images) if one.prompts == "repeated" else one for one in protocol.sets)
    with pytest.raises(UserError, match='of other images of the set "within"'):
        carry_out(place, tmp_path, replace(protocol, sets=sets))


def test_a_file_of_other_networks_or_other_bytes_is_refused(
    place: Path, with_file: Callable[..., Protocol], tmp_path: Path
) -> None:
    others = replace(FAKES, identity="fake_instruments:identity")
    with pytest.raises(UserError, match=r"of another features: .*trilemma prepare digits"):
        carry_out(place, tmp_path, with_file(), others)
    with pytest.raises(UserError, match="this is not the file that the protocol names"):
        carry_out(place, tmp_path, with_file(sha256="0" * 64))
    (tmp_path / "bad.npz").write_bytes(b"PK no archive")
    with pytest.raises(UserError, match="reference file cannot be read"):
        carry_out(place, tmp_path, with_file(tmp_path / "bad.npz"))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match="neither reference features nor statistics"):
        carry_out(place, tmp_path, with_file(tmp_path / "other.npz"))


def test_without_images_and_without_a_file_nothing_starts(place: Path, tmp_path: Path, nowhere: None) -> None:
    with pytest.raises(UserError) as raised:
        carry_out(place, tmp_path, protocol_of(place))
    told = str(raised.value)
    assert told.startswith('digits: reference: the images of "mnist", split "test", are not at hand')
    assert "reference/digits.npz" in told and "https://example.org/digits" in told and "\n" not in told
    assert not (tmp_path / "runs").exists()


def test_a_split_that_is_too_small_is_told_before_anything_starts(place: Path, tmp_path: Path, at_hand: None) -> None:
    protocol = protocol_of(place)
    assert protocol.reference is not None
    few = replace(protocol, reference=replace(protocol.reference, floor_images=301))
    with pytest.raises(UserError, match='"validation" of "mnist" has 300 images; 301 are needed'):
        carry_out(place, tmp_path, few)


def test_without_training_images_only_the_copy_rate_is_lost(place: Path, tmp_path: Path, at_hand: None) -> None:
    protocol = protocol_of(place)
    assert protocol.reference is not None
    fewer = replace(protocol.reference, training_images=1501)
    rows = rows_of(carry_out(place, tmp_path, replace(protocol, reference=fewer, speed=None), samples=60))
    assert rows["copy_rate"].status == "skipped" and "1,501 are needed" in (rows["copy_rate"].reason or "")
    assert rows["coverage"].value is not None and "score_speed" not in rows


def test_weights_that_are_not_at_hand_are_told_before_anything_starts(
    place: Path, tmp_path: Path, nowhere: None
) -> None:
    protocol = protocol_of(place)
    assert protocol.extractors is not None
    bare = replace(protocol, extractors=replace(protocol.extractors, reader=None), metrics=("fd_dinov2", "clip_score"))
    with pytest.raises(UserError, match=r'the weights "dinov2_vitl14_pretrain.pth" are missing. Looked for'):
        carry_out(place, tmp_path, bare, Instrumentation())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("modes",), '"modes" cannot be measured over "mnist": it needs the known truth of Scenes'),
        (("fd",), '"fd" is not the distance of fd-dinov2: it is "fd_dinov2"'),
        (("fid",), '"fid" is not the distance of fd-dinov2'),
        (("is_inception",), "is of Scenes"),
        (("inception_score",), 'fd-dinov2 tells no classes: there is no "inception_score"'),
    ],
)
def test_a_metric_that_does_not_apply_is_refused(
    place: Path, tmp_path: Path, metrics: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        carry_out(place, tmp_path, protocol_of(place, metrics=metrics))


def test_what_cannot_be_prepared(place: Path, tmp_path: Path) -> None:
    def told(*_: Any) -> None:
        raise AssertionError("nothing is measured")

    def refused(protocol: Protocol, path: Path | None) -> None:
        prepare(protocol, path, device="cpu", cache=tmp_path, progress=told)

    protocol = protocol_of(place)
    assert protocol.reference is not None
    with pytest.raises(UserError, match=r"written to a file in .npz"):
        refused(protocol, tmp_path / "a.npy")
    with pytest.raises(UserError, match="names no file of features. Give one: --out"):
        refused(replace(protocol, reference=replace(protocol.reference, features=None, source=None)), None)
    with pytest.raises(UserError, match="compares with no real images"):
        refused(replace(protocol, reference=None, extractors=None, metrics=()), None)
    scenes = find_protocol("scenes", OWN_WORKSPACE)
    with pytest.raises(UserError, match="over Scenes, which are drawn"):
        refused(scenes, tmp_path / "a.npz")


def test_images_of_another_size_are_measured_at_the_protocols(place: Path, tmp_path: Path, at_hand: None) -> None:
    large = tmp_path / "models" / "large" / "card.toml"
    large.parent.mkdir(parents=True)
    large.write_text('name = "large"\nfactory = "classy:load"\nresolution = 64\n')
    cards = tuple(select([str(large)], find_workspace(place)))
    bare = protocol_of(place, outputs="resized", speed=None, metrics=("fd_dinov2", "prompt_accuracy"))
    request = Request(
        protocol=bare, cards=cards, runs=tmp_path / "runs", cache=tmp_path / "cache", device="cpu", samples=40,
        instruments=FAKES,
    )  # fmt: skip
    run = run_benchmark(request, Display(Console(stderr=True), quiet=True))
    assert run.record.status == "complete", run.record.errors
    assert set(run.samples("large")["width"]) == {64}
    sheets = find_sheets(run.folder.sheets("large"))
    assert sheets is not None and sheets.images("prompted", [0, 39]).shape == (2, 64, 64, 3)
    assert (rows_of(run)["prompt_accuracy"].value or 0) > 0.9
    strict = run_benchmark(
        replace(request, protocol=replace(bare, outputs=None)), Display(Console(stderr=True), quiet=True)
    )
    assert "(16, 3, 32, 32)" in strict.record.errors["large"]["message"]


@pytest.fixture(scope="module")
def controls(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run of the controls alone: over this data set they show its own pictures."""
    folder, protocol = tmp_path_factory.mktemp("controls"), protocol_of(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(home.VARIABLE, str(place / "data"))
        cards = select(["real", "reduced", "noisy", "mode-drop", "memorizer"], OWN_WORKSPACE, protocol)
        request = Request(
            protocol=protocol, cards=tuple(cards), runs=folder / "runs", cache=folder / "cache", device="cpu",
            instruments=FAKES,
        )  # fmt: skip
        yield run_benchmark(request, Display(Console(stderr=True), quiet=True))


def test_the_controls_are_put_in_order(controls: Run) -> None:
    assert controls.record.status == "complete", controls.record.errors

    def value(model: str, metric: str) -> float:
        row = controls.row(model, metric)
        assert row is not None and row.value is not None, (model, row)
        return row.value

    for damaged in ("reduced", "noisy", "mode-drop"):
        assert value(damaged, "fd_dinov2") > 1.2 * value("real", "fd_dinov2"), damaged
    assert value("real", "score_quality") > 8 and value("reduced", "score_quality") < 2
    assert value("real", "score_diversity") > 9
    assert value("mode-drop", "coverage_unconditional") < 0.6 * value("real", "coverage_unconditional")
    assert value("real", "prompt_accuracy") == value("memorizer", "prompt_accuracy") > 0.9
    assert value("memorizer", "copy_rate") > 0.9 and value("real", "copy_rate") < 0.1


def test_a_copier_has_no_scores_over_any_data(controls: Run) -> None:
    for metric in ("score_quality", "score_diversity", "score_speed"):
        row = controls.row("memorizer", metric)
        assert row is not None and (row.value, row.status) == (None, "withheld")


def test_the_page_of_controls_says_nothing_of_another_data_set(controls: Run) -> None:
    assert said_of_scenes(controls) == []
    shown = without_code(write_report(controls.folder.path).read_text())
    assert "the darker half of its pictures" in shown and "every free factor" not in shown
