"""Why two numbers differ: the fields, and what each of them does alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.features import presets
from trilemma.features.inception import TFInception
from trilemma.features.presets import MetricUse, Preset, preset
from trilemma.features.weights import VARIABLE, WeightsFile
from trilemma.scoring.explain import Document, document, explain
from trilemma.scoring.explain_moves import Move, Moves, Recomputing, Sources
from trilemma.scoring.explain_record import SCHEMA
from trilemma.scoring.explain_record import as_document as explanation_document
from trilemma.scoring.explain_steps import Given, setting, steps
from trilemma.scoring.record import ScoreRecord, as_document, read_record
from trilemma.scoring.resolve import Resolver
from trilemma.scoring.row import Row
from trilemma.scoring.score import Options, score
from trilemma.scoring.side import Side
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record

REAL, FAKE = "real.npy", "fake.npy"
Score = Callable[..., ScoreRecord]


def use(name: str, **parameters: Any) -> MetricUse:
    """A metric of the preset of Scenes, with other parameters."""
    known = next(one for one in preset("scenes").metrics if one.name == name)
    return replace(known, parameters=tuple(sorted((dict(known.parameters) | parameters).items())))


def of_scenes(*uses: MetricUse) -> Preset:
    return replace(preset("scenes"), metrics=uses)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with arrays of Scenes; the generated ones are too red."""
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / REAL, scenes.images("reference", range(90)))
    np.save(tmp_path / "other.npy", scenes.images("floor", range(90)))
    red = scenes.images("heldout", range(80)).astype(int) + (3, 0, 0)
    np.save(tmp_path / FAKE, red.clip(0, 255).astype(np.uint8))
    return tmp_path


@pytest.fixture
def scored(here: Path) -> Score:
    """Writes a score and reads it back."""

    def write(
        name: str, chosen: Preset, *, real: str = REAL, fake: str = FAKE, n: int = 60, m: int = 80, **options: Any
    ) -> ScoreRecord:
        resolver = Resolver(seed=options.get("seed", 0))
        sides = resolver.side(f"./{real}", m), resolver.side(f"./{fake}", n)
        found = score(*sides, [chosen], Options(device="cpu", **options))
        (here / name).write_text(json.dumps(as_document(found)))
        return read_record(here / name)

    return write


def moves_of(a: ScoreRecord, b: ScoreRecord, cache: Path, **sources: Any) -> Moves:
    given = Sources(**{"real": [f"./{REAL}"], "fake": [f"./{FAKE}"]} | sources)
    recomputing = Recomputing(options=Options(device="cpu"), cache=cache, progress=lambda *_: None)
    return recomputing.moves(a.rows[0], given.behind(a), b.rows[0], given.behind(b))


def by_field(moves: Moves) -> dict[str, Move]:
    return {one.field: one for one in moves.steps}


def test_the_same_score_twice_differs_in_nothing(scored: Score, here: Path) -> None:
    scored("a.json", of_scenes(use("fd_scenes"), use("precision")))
    one, other = (document(str(here / "a.json"), here) for _ in range(2))
    found = explain(one, other)
    assert [each.metric for each in found] == ["fd_scenes", "precision"]
    assert all(each.differing == () and each.first is None and each.difference == 0 for each in found)
    assert all(each.comparable for each in found)


def test_other_images_are_a_difference_that_may_be_compared(scored: Score, here: Path) -> None:
    scored("a.json", of_scenes(use("fd_scenes")))
    scored("b.json", of_scenes(use("fd_scenes")), fake="other.npy")
    (one,) = explain(document("a.json", here), document("b.json", here))
    assert [each.field for each in one.differing] == ["fake"] and one.comparable
    assert one.first is not None and one.first.field == "fake"
    assert one.difference == pytest.approx(one.b.value - one.a.value)  # type: ignore[operator]


def test_all_fields_that_differ_are_listed_and_the_first_forbids_comparison(scored: Score, here: Path) -> None:
    scored("a.json", of_scenes(use("precision", k=5)))
    scored("b.json", of_scenes(use("precision", k=3, strict=False)), real="other.npy", n=50, dtype="float64")
    (one,) = explain(document("a.json", here), document("b.json", here))
    fields = [each.field for each in one.differing]
    assert fields == ["parameters.k", "parameters.strict", "extractor.dtype", "n", "n_reference", "real", "fake"]
    assert not one.comparable and one.first is not None and (one.first.a, one.first.b) == (5, 3)


def test_one_metric_alone_and_a_metric_that_is_not_there(scored: Score, here: Path) -> None:
    scored("a.json", of_scenes(use("precision"), use("recall")))
    both = document("a.json", here), document("a.json", here)
    assert [one.metric for one in explain(*both, "recall")] == ["recall"]
    with pytest.raises(UserError, match='no "fid" in common. a.json has precision, recall'):
        explain(*both, "fid")


def row(owner: str, **identity: Any) -> Row:
    return Row(
        preset=owner, metric="fid", direction="lower", value=1.0, se=None, se_method="none", ci=None, n=20,
        n_reference=20, identity=identity,
    )  # fmt: skip


def scores(*rows: Row) -> Document:
    from trilemma.scoring.explain import Numbered

    numbers = tuple(
        Numbered(owner=one.preset, metric=one.metric, value=1, se=None, identity=one.identity) for one in rows
    )
    return Document(name="x", numbers=numbers)


def test_a_metric_of_two_presets_is_a_pair_unless_the_preset_has_its_own_partner() -> None:
    fid, clean = row("fid", resize=1), row("fid-clean", resize=2)
    (pair,) = explain(scores(fid), scores(clean))
    assert (pair.a.owner, pair.b.owner) == ("fid", "fid-clean") and pair.differing[0].field == "resize"
    owners = [(one.a.owner, one.b.owner) for one in explain(scores(fid, clean), scores(clean, fid))]
    assert owners == [("fid", "fid"), ("fid-clean", "fid-clean")]
    assert [one.b.owner for one in explain(scores(clean), scores(fid, clean))] == ["fid-clean"]


def finished(runs: Path, name: str, seed: int) -> None:
    protocol = {"name": "scenes", "version": 1, "resolution": 32, "sets": [], "batch_size": 64}
    spec = {"protocol": protocol, "seed": seed, "samples": None}
    record = Record(run_id=name, identity="i", created="2026-01-01T00:00:00", spec=spec, status="complete")
    record.models = {"gan": {}, "var": {}}
    record.write(runs / name / "run.json")
    rows = [
        MetricRow(run_id=name, model=model, metric="kid", value=float(seed), n=9, params={"reference": "r"})
        for model in ("gan", "var")
    ]
    write_metrics(runs / name / "metrics.jsonl", rows)


def test_runs_and_single_models_of_them(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        finished(tmp_path, name, seed)
    found = explain(document("one", tmp_path), document("two", tmp_path))
    assert [(one.a.owner, one.b.owner) for one in found] == [("gan", "gan"), ("var", "var")]
    assert [each.field for each in found[0].differing] == ["seed"] and found[0].difference == 1
    (across,) = explain(document("one:gan", tmp_path), document("one:var", tmp_path))
    assert (across.a.owner, across.b.owner, across.differing) == ("gan", "var", ())
    with pytest.raises(UserError, match='this run has no model "gna"'):
        document("one:gna", tmp_path)
    with pytest.raises(UserError, match="there is no run"):
        document("three", tmp_path)


def test_each_field_moves_the_value_as_if_it_alone_had_been_changed(scored: Score, here: Path) -> None:
    a = scored("a.json", of_scenes(use("precision", k=5)))
    b = scored("b.json", of_scenes(use("precision", k=3, strict=False)), n=50, m=70)
    found = moves_of(a, b, here / "cache")
    assert found.reproduced and found.a == pytest.approx(a.rows[0].value) and found.b == pytest.approx(b.rows[0].value)
    steps_found = by_field(found)
    assert list(steps_found) == ["parameters.k", "parameters.strict", "n_reference", "n"]
    alone = scored("c.json", of_scenes(use("precision", k=3)))
    assert steps_found["parameters.k"].value == pytest.approx(alone.rows[0].value)
    fewer = scored("d.json", of_scenes(use("precision", k=5)), n=50)
    assert steps_found["n"].value == pytest.approx(fewer.rows[0].value)
    assert all(one.move == pytest.approx(one.value - found.a) for one in found.steps)  # type: ignore[operator]


def test_another_reference_is_told_from_more_of_the_same(scored: Score, here: Path) -> None:
    a = scored("a.json", of_scenes(use("fd_scenes")))
    b = scored("b.json", of_scenes(use("fd_scenes")), real="other.npy")
    found = by_field(moves_of(a, b, here / "cache", real=["./other.npy", f"./{REAL}"]))
    assert list(found) == ["real"] and found["real"].move == pytest.approx(b.rows[0].value - a.rows[0].value)  # type: ignore[operator]


def test_a_move_that_cannot_be_had_says_why(scored: Score, here: Path) -> None:
    chosen = of_scenes(use("kid"), use("fd_scenes"))
    a, b = scored("a.json", chosen, n=70), scored("b.json", chosen, n=30)
    found = moves_of(a, b, here / "cache")
    (step,) = found.steps
    assert (step.field, step.value, step.move) == ("n", None, None)
    assert step.reason == "needs at least 64 samples; there are 30"


def test_a_value_that_does_not_come_out_again_is_no_reproduction(scored: Score, here: Path) -> None:
    scored("a.json", of_scenes(use("fd_scenes")))
    told = json.loads((here / "a.json").read_text())
    told["numbers"][0]["value"] *= 1.1
    (here / "b.json").write_text(json.dumps(told))
    a, b = read_record(here / "a.json"), read_record(here / "b.json")
    assert moves_of(a, a, here / "cache").reproduced
    assert not moves_of(a, b, here / "cache").reproduced


def test_images_of_another_content_are_refused_whatever_their_name(scored: Score, here: Path) -> None:
    a = scored("a.json", of_scenes(use("fd_scenes")))
    with pytest.raises(UserError, match=r'--real: "./real.npy", [0-9a-f]{12} by content, is not among .*other.npy'):
        moves_of(a, a, here / "cache", real=["./other.npy"])
    np.save(here / "few.npy", scenes.images("reference", range(20)))
    with pytest.raises(UserError, match="is not among what was given: ./few.npy"):
        moves_of(a, a, here / "cache", real=["./few.npy"])
    with pytest.raises(UserError, match="--fake: .* is not among what was given: nothing"):
        moves_of(a, a, here / "cache", fake=[])
    with pytest.raises(UserError, match="no such file"):
        moves_of(a, a, here / "cache", real=["./nowhere.npy"])


def test_resized_images_are_found_by_their_content(scored: Score, here: Path) -> None:
    np.save(here / "large.npy", scenes.images("reference", range(80), 40))
    a = scored("a.json", of_scenes(use("fd_scenes")), real="large.npy", resize=32)
    b = scored("b.json", of_scenes(use("fd_scenes")))
    found = moves_of(a, b, here / "cache", real=["./large.npy", f"./{REAL}"])
    assert found.reproduced
    resize, real = found.steps
    assert (resize.field, resize.value) == ("resize", None) and "differ in size" in str(resize.reason)
    assert (real.field, real.move) == ("real", pytest.approx(found.b - found.a))  # type: ignore[operator]


@pytest.fixture
def random_inception(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets of Inception with random weights, whose content nobody has published."""
    draw = torch.Generator().manual_seed(0)
    tensors = TFInception().state_dict()
    for name, tensor in tensors.items():
        if tensor.dim() > 1:  # activations neither vanish nor explode
            tensors[name] = torch.randn(tensor.shape, generator=draw) * (2 / tensor[0].numel()) ** 0.5
    torch.save(tensors, here / "random.pth")
    monkeypatch.setenv(VARIABLE, str(here))
    files = (WeightsFile(name="random.pth"),)
    changed = {
        name: replace(one, recipe=replace(one.recipe, files=files))
        for name, one in presets.PRESETS.items()
        if one.recipe.network == "tf-inception"
    }
    monkeypatch.setattr(presets, "PRESETS", dict(presets.PRESETS) | changed)


@pytest.mark.usefixtures("random_inception")
def test_the_kernel_of_the_resize_moves_a_number_of_inception(scored: Score, here: Path) -> None:
    fid, clean = (replace(preset(name), metrics=(use("vendi"),)) for name in ("fid", "fid-clean"))
    a, b = scored("a.json", fid, n=20, m=20), scored("b.json", clean, n=20, m=20)
    (one,) = explain(document("a.json", here), document("b.json", here))
    assert one.first is not None and one.first.field == "extractor.resize.kernel"
    found = moves_of(a, b, here / "cache")
    assert found.reproduced and list(by_field(found)) == ["extractor.resize"]
    assert found.steps[0].value == pytest.approx(found.b) and found.steps[0].move != 0


def given(source: str = "x", count: int = 20) -> Given:
    return Given(digest=source, count=count, source=source, side=Side(name=source, kind="images"))


def identity_of(name: str, **resize: Any) -> dict[str, Any]:
    recipe = preset(name).recipe
    told = recipe.identity({file.name: "0" * 64 for file in recipe.files})
    told["resize"] = told["resize"] and told["resize"] | resize
    return {
        "function": "frechet_distance", "parameters": {}, "output": "features", "version": 1,
        "extractor": json.loads(json.dumps(told)), "resize": None, "seed": 0,
    }  # fmt: skip


def test_rounding_is_a_field_of_its_own_and_kernels_are_not_mixed() -> None:
    clean = setting(row("fid-clean", **identity_of("fid-clean")), given(), given())
    rounded = setting(row("fid-clean", **identity_of("fid-clean", quantized=True)), given(), given())
    assert [name for name, _ in steps(clean, rounded)] == ["extractor.resize.quantized"]
    tensorflow = setting(row("fid", **identity_of("fid")), given(), given())
    ((name, changed),) = steps(tensorflow, rounded)
    assert name == "extractor.resize" and changed.recipe.resize == rounded.recipe.resize


def test_another_network_brings_its_preprocessing_along() -> None:
    inception = setting(row("fid", **identity_of("fid")), given(), given())
    dino = setting(row("fd-dinov2", **identity_of("fd-dinov2")), given(), given())
    ((name, changed),) = steps(inception, dino)
    assert name == "extractor.network" and changed.recipe == dino.recipe and changed.preset == "fd-dinov2"


def test_a_way_of_resizing_that_nobody_has_is_refused_and_not_computed_as_another() -> None:
    with pytest.raises(UserError, match="this version cannot resize as that number was"):
        setting(row("fid", **identity_of("fid", kernel="bicubic")), given(), given())
    with pytest.raises(UserError, match="cannot resize"):
        setting(row("fid-clean", **identity_of("fid-clean", fit="centre-square")), given(), given())


def test_a_damaged_identity_and_an_unknown_preset_are_users_errors() -> None:
    with pytest.raises(UserError, match="the identity of fid is damaged"):
        setting(row("fid", extractor={}), given(), given())
    with pytest.raises(UserError, match="no preset"):
        setting(row("fidd"), given(), given())


def test_the_document_of_an_explanation(scored: Score, here: Path) -> None:
    a = scored("a.json", of_scenes(use("precision", k=5)))
    b = scored("b.json", of_scenes(use("precision", k=3)))
    documents = document("a.json", here), document("b.json", here)
    found = explain(*documents)
    told = json.loads(json.dumps(explanation_document(*documents, found, {0: moves_of(a, b, here / "cache")})))
    assert told["schema"] == SCHEMA and (told["a"], told["b"]) == ("a.json", "b.json")
    (one,) = told["explanations"]
    assert one["first_field"] == "parameters.k" and one["differing"] == [{"field": "parameters.k", "a": 5, "b": 3}]
    assert one["moves"]["steps"][0]["field"] == "parameters.k" and not one["comparable"]
    assert explanation_document(*documents, found, {})["explanations"][0]["moves"] is None
