"""From feature sets to rows: the numbers are those of the metrics, each with its floor, reason and identity."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.features.presets import PRESETS, MetricUse, Preset, preset
from trilemma.metrics.catalog import METRICS
from trilemma.metrics.frechet import frechet_distance, moments
from trilemma.metrics.inception_score import inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.prdc import prdc
from trilemma.metrics.statistics_file import FittedGaussian
from trilemma.scoring.copies import PIXELS
from trilemma.scoring.feature_set import FeatureSet
from trilemma.scoring.measures import MEASURES
from trilemma.scoring.numbers import score_features
from trilemma.scoring.row import Number, Row
from trilemma.statistics.estimate import Estimate

WIDTH = 6
EXTRACTOR = {"network": "none", "dtype": "float32"}


def features(count: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).normal(size=(count, WIDTH)) + shift).astype(np.float32)


def feature_set(count: int, seed: int, shift: float = 0.0, **others: Any) -> FeatureSet:
    logits = np.random.default_rng(seed + 1).normal(size=(count, 24)).astype(np.float32)
    arrays = {"features": features(count, seed, shift), "logits": logits}
    return FeatureSet(**{"digest": f"{seed}", "count": count, "arrays": arrays} | others)


def rows_of(name: str | Preset, real: FeatureSet, fake: FeatureSet, **options: Any) -> dict[str, Row]:
    chosen = preset(name) if isinstance(name, str) else name
    found = score_features(chosen, real, fake, extractor=EXTRACTOR, **options)
    return {row.metric: row for row in found}


def only(*uses: MetricUse) -> Preset:
    return replace(preset("scenes"), metrics=uses)


def statistics_of(real: FeatureSet, count: int | None) -> FeatureSet:
    own = moments(real.arrays["features"])
    gaussian = FittedGaussian(count=count, mean_D=own.mean_D, covariance_DD=own.covariance_DD)
    return FeatureSet(digest="statistics", count=count, gaussians={"features": gaussian})


@pytest.mark.parametrize("name", PRESETS)
def test_every_metric_of_every_preset_has_a_function_and_a_name_of_its_own(name: str) -> None:
    uses = preset(name).metrics
    assert {use.function for use in uses} <= set(MEASURES)
    assert len({use.name for use in uses}) == len(uses)


@pytest.mark.parametrize("one", [*PRESETS.values(), PIXELS], ids=lambda one: one.name)
def test_better_is_the_same_way_in_a_score_as_in_a_run(one: Preset) -> None:
    of_runs = {use.name: METRICS[use.name].direction for use in one.metrics if use.name in METRICS}
    assert of_runs == {use.name: MEASURES[use.function].direction for use in one.metrics if use.name in METRICS}


def test_the_numbers_are_those_of_the_metrics() -> None:
    real, fake = feature_set(500, 0), feature_set(400, 2, 0.3)
    rows = rows_of("fid", real, fake, floor=False)
    assert list(rows) == [use.name for use in preset("fid").metrics]
    x, y = fake.arrays["features"], real.arrays["features"]
    distance = frechet_distance(x, moments(y), reference_features=y)
    assert (rows["fid"].value, rows["fid"].se, rows["fid"].se_method) == (distance.value, distance.se, "influence_both")
    assert rows["fid"].ci == distance.interval()
    assert rows["kid"].value == kernel_distance(x, y, seed=0).value
    score = inception_score_of_logits(fake.arrays["logits"], splits=10, shuffle=True, seed=2020)
    assert rows["inception_score"].value == score.value
    assert {rows[name].direction for name in ("fid", "kid")} == {"lower"}
    assert {rows[name].direction for name in ("inception_score", "recall", "vendi")} == {"higher"}


def test_each_neighbourhood_metric_has_the_k_and_the_convention_of_its_preset() -> None:
    real, fake = feature_set(300, 0), feature_set(300, 2, 0.4)
    rows = rows_of("fid", real, fake, floor=False)
    x, y = fake.arrays["features"], real.arrays["features"]
    assert rows["precision"].value == prdc(x, y, k=3, strict=False).precision.value
    assert rows["coverage"].value == prdc(x, y, k=5, strict=True).coverage.value
    assert rows["precision"].identity["parameters"] == {"equal_sizes": True, "k": 3, "strict": False}


def test_as_many_real_images_are_a_fair_choice_though_a_folder_lies_in_the_order_of_its_classes() -> None:
    # The first half of the real images is one class, the second another; the generated ones have both.
    def both(count: int, seed: int) -> FeatureSet:
        return feature_set(
            count, seed, arrays={"features": np.concatenate([features(count // 2, seed + i, 30.0 * i) for i in (0, 1)])}
        )

    real, fake = both(400, 0), both(200, 2)
    rows = rows_of(only(*preset("scenes").metrics[4:8]), real, fake)
    assert rows["precision"].value is not None and rows["precision"].value > 0.8
    assert rows["precision"].n_reference == 200


def test_the_floor_is_what_real_images_get() -> None:
    real, fake = feature_set(1000, 0), feature_set(400, 2, 5.0)
    rows = rows_of("scenes", real, fake, seed=3)
    order = np.random.default_rng(3).permutation(1000)
    first, rest = (real.arrays["features"][np.sort(part)] for part in (order[:400], order[400:]))
    floor = rows["fd_scenes"].floor
    assert floor.value == frechet_distance(first, moments(rest), reference_features=rest).value
    assert (floor.n, floor.n_reference) == (400, 600)
    assert (
        rows["fd_scenes"].value is not None and floor.value is not None and rows["fd_scenes"].value > 50 * floor.value
    )
    assert rows["precision"].floor.n_reference == 400
    assert rows["vendi"].floor.n == 400 and rows["vendi"].floor.n_reference is None


def test_without_twice_as_many_real_images_there_is_no_floor_but_for_metrics_without_a_reference() -> None:
    rows = rows_of("scenes", feature_set(399, 0), feature_set(200, 2))
    assert rows["fd_scenes"].floor.value is None
    assert rows["fd_scenes"].floor.reason == "needs 400 real images; there are 399"
    assert rows["vendi"].floor.value is not None


def test_statistics_serve_distances_of_gaussians_alone() -> None:
    real, fake = feature_set(500, 0), feature_set(400, 2, 0.3)
    rows = rows_of("scenes", statistics_of(real, 500), fake)
    assert rows["fd_scenes"].value == pytest.approx(rows_of("scenes", real, fake)["fd_scenes"].value, rel=1e-9)
    assert (rows["fd_scenes"].n_reference, rows["fd_scenes"].se_method) == (500, "influence")
    assert rows["kid"].value is None and "only statistics" in (rows["kid"].reason or "")
    assert rows["coverage"].status == "skipped"
    assert rows["vendi"].value is not None
    assert "only statistics" in (rows["fd_scenes"].floor.reason or "")


def test_statistics_that_do_not_tell_their_count() -> None:
    real, fake = feature_set(500, 0), feature_set(400, 2, 0.3)
    row = rows_of("scenes", statistics_of(real, None), fake)["fd_scenes"]
    assert row.value is not None and row.n_reference is None
    assert row.identity["n_reference"] is None


def test_beside_images_statistics_are_for_gaussians_and_images_for_neighbours() -> None:
    real, fake = feature_set(500, 0), feature_set(400, 2, 0.3)
    elsewhere = statistics_of(feature_set(500, 9, 8.0), 50_000)
    rows = rows_of("scenes", replace(real, gaussians=elsewhere.gaussians), fake, floor=False)
    alone = rows_of("scenes", real, fake, floor=False)
    assert rows["fd_scenes"].n_reference == 50_000
    assert rows["fd_scenes"].value != alone["fd_scenes"].value
    assert rows["coverage"].value == alone["coverage"].value


def test_too_few_images_are_a_row_with_the_number_needed() -> None:
    rows = rows_of("scenes", feature_set(100, 0), feature_set(30, 2))
    assert rows["fd_scenes"].value is not None
    kid = rows["kid"]
    assert (kid.value, kid.se, kid.ci, kid.status) == (None, None, None, "skipped")
    assert kid.reason == "needs at least 64 samples; there are 30"


def test_what_one_metric_refuses_leaves_the_others_standing() -> None:
    rows = rows_of("scenes", feature_set(100, 0), feature_set(200, 2))
    assert rows["precision"].value is None and "equal size" in (rows["precision"].reason or "")
    assert rows["fd_scenes"].value is not None


def test_prompts_with_several_images_are_clusters_and_have_a_diversity_of_their_own() -> None:
    groups = np.repeat([f"prompt {i}" for i in range(100)], 4)
    fake = feature_set(400, 2, groups=groups, prompts="p")
    rows = rows_of("scenes", feature_set(500, 0), fake, floor=False)
    within = rows["vendi_within_prompts"]
    assert within.value is not None and 1 < within.value < 4
    assert within.identity["prompts"] == "p" and rows["vendi"].identity["prompts"] is None
    assert rows["fd_scenes"].se_method == "influence_both_clustered"
    assert "vendi_within_prompts" not in rows_of("scenes", feature_set(500, 0), feature_set(400, 2), floor=False)


def test_the_clip_score_needs_prompts_and_says_how_to_give_them() -> None:
    real, fake = feature_set(50, 0), feature_set(50, 2)
    row = rows_of("clip-score", real, fake)["clip_score"]
    assert row.value is None and "--prompts FILE" in (row.reason or "")
    row = rows_of("clip-score", real, replace(fake, texts=fake.arrays["features"]))["clip_score"]
    assert row.value == pytest.approx(100)


def test_adms_inception_score_is_of_runs_of_its_length() -> None:
    use = preset("fid-adm").metrics[2]
    short = replace(use, parameters=(("images_per_split", 100), ("shuffle", False)))
    fake = feature_set(400, 2)
    row = rows_of(only(short), feature_set(20, 0), fake)["inception_score"]
    assert row.value == inception_score_of_logits(fake.arrays["logits"], splits=4, shuffle=False).value
    assert row.identity["parameters"]["splits"] == 4
    assert rows_of(only(use), feature_set(20, 0), fake)["inception_score"].identity["parameters"]["splits"] == 1


def test_the_identity_holds_all_that_a_number_depends_on_and_is_plain() -> None:
    real, fake = feature_set(300, 0), feature_set(100, 2)
    identity = rows_of("scenes", real, fake, resize=64, seed=7)["inception_score"].identity
    assert list(identity) == [
        "function", "parameters", "output", "version", "extractor", "resize", "n", "n_reference", "real", "fake",
        "prompts", "seed",
    ]  # fmt: skip
    assert identity["parameters"] == {"sizes": [8, 8, 8], "splits": 1}
    assert (identity["resize"], identity["seed"], identity["real"], identity["fake"]) == (64, 7, "0", "2")
    assert json.loads(json.dumps(identity)) == identity


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_number(value: float) -> None:
    number = Number(estimate=Estimate(value=value, se=1.0, se_method="mean", n=10)).finite()
    assert number.estimate.value is None and number.estimate.status == "nan"
    assert str(value) in (number.estimate.reason or "")


def test_an_error_that_is_not_finite_is_unknown() -> None:
    number = Number(estimate=Estimate(value=2.0, se=float("nan"), se_method="mean", n=10)).finite()
    assert (number.estimate.value, number.estimate.se, number.estimate.interval()) == (2.0, None, None)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_that_are_all_alike_give_finite_numbers_or_reasons(value: float) -> None:
    alike = np.full((200, WIDTH), value, np.float32)
    logits = np.zeros((200, 24), np.float32)
    fake = feature_set(200, 2, arrays={"features": alike, "logits": logits})
    for real in (feature_set(400, 0), replace(fake, digest="real")):
        rows = rows_of("scenes", real, fake)
        assert rows["fd_scenes"].value is not None
        assert all((row.value is None) == bool(row.status != "ok") for row in rows.values())
        json.dumps([asdict(row) for row in rows.values()], allow_nan=False)
