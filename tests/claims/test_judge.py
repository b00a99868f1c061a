"""The verdicts: on made-up numbers, one idea for each test, and the logic of "all" and "any"."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.claims.contrast import SESSION_NOISE
from trilemma.claims.judge import Comparison, JudgedClaim, Verdict, every, judge, some
from trilemma.claims.stated import load_claims
from trilemma.store.run import Run
from trilemma.workspace import find_workspace

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference" / "20261121-152619-f295c91a"
MORE: dict[str, Any] = {"who": "gan", "than": ["diffusion"]}
LESS = MORE | {"degree": "less"}
VERDICTS: tuple[Verdict, ...] = ("supported", "undecided", "not tested", "contradicted")


def recall(**values: float) -> dict[str, dict[str, tuple[float, float]]]:
    return {model: {"recall": (value, 0.01)} for model, value in values.items()}


def the(claim: JudgedClaim) -> Comparison:
    ((one,),) = [part.comparisons for part in claim.parts]
    return one


@pytest.mark.parametrize(
    ("gan", "part", "verdict"),
    [
        (0.9, MORE, "supported"),
        (0.7, MORE, "contradicted"),
        (0.7, LESS, "supported"),
        (0.9, LESS, "contradicted"),
        (0.81, MORE, "undecided"),
        (0.81, LESS, "undecided"),
    ],
)
def test_a_difference_decides_by_its_side(bench: Any, gan: float, part: dict[str, Any], verdict: Verdict) -> None:
    claim = bench.judged(recall(gan=gan, ldm=0.8), ["recall"], part)
    assert claim.verdict == verdict
    effect = the(claim).contrast.effect
    assert (effect.value, effect.se) == pytest.approx((gan - 0.8, math.sqrt(2) * 0.01))
    low, high = effect.interval()
    assert (low > 0 or high < 0) == (verdict != "undecided")


def test_the_better_side_is_that_of_the_metric(bench: Any) -> None:
    numbers = {"gan": {"residual": (10.0, 0.1)}, "ldm": {"residual": (12.0, 0.1)}}
    claim = bench.judged(numbers, ["residual"], MORE)
    assert claim.verdict == "supported" and not the(claim).more


def test_a_difference_that_does_not_matter_supports_nothing(bench: Any) -> None:
    numbers = {"gan": {"recall": (0.805, 1e-5)}, "ldm": {"recall": (0.8, 1e-5)}}
    claim = bench.judged(numbers, ["recall"], MORE)
    assert claim.verdict == "undecided" and the(claim).why == "the difference lies within the margin"


def test_distances_are_compared_as_ratios(bench: Any) -> None:
    numbers = {"gan": {"fd_scenes": (4.0, 0.4)}, "ldm": {"fd_scenes": (2.0, 0.2)}}
    contrast = the(bench.judged(numbers, ["fd_scenes"], MORE)).contrast
    assert contrast.log
    assert (contrast.effect.value, contrast.effect.se) == pytest.approx((math.log(2), math.sqrt(2) * 0.1))


def rates(gan: float, ldm: float, calls: int = 400) -> dict[str, Any]:
    return {
        model: {"images_per_second": {"value": rate, "se": rate / 100, "n": calls * 8, "params": {"batch_size": 8}}}
        for model, rate in (("gan", gan), ("ldm", ldm))
    }


def test_times_carry_the_noise_between_sessions_and_the_degrees_of_their_calls(bench: Any) -> None:
    many = the(bench.judged(rates(200, 100), ["images_per_second"], MORE)).contrast.effect
    assert many.se == pytest.approx(math.sqrt(2 * (0.01**2 + SESSION_NOISE**2)))
    few = the(bench.judged(rates(200, 100, calls=3), ["images_per_second"], MORE)).contrast.effect
    # Satterthwaite: of four equal parts of two sides, those of the calls are known with 2 degrees of freedom each.
    assert few.degrees_of_freedom == pytest.approx((2 * (1 + 4)) ** 2 / (2 * 1 / 2))
    assert few.interval()[1] - few.value > many.interval()[1] - many.value


@pytest.mark.parametrize(
    ("gan", "part", "verdict"),
    [
        (250, MORE, "supported"),
        (150, MORE, "contradicted"),
        (201, MORE, "undecided"),
        (40, LESS, "supported"),
        (70, LESS, "contradicted"),
    ],
)
def test_a_ratio_must_be_reached(bench: Any, gan: float, part: dict[str, Any], verdict: Verdict) -> None:
    assert bench.judged(rates(gan, 100), ["images_per_second"], part | {"ratio": 2.0}).verdict == verdict


def test_a_ratio_may_be_asked_of_what_is_else_compared_by_differences(bench: Any) -> None:
    claim = bench.judged(recall(gan=0.9, ldm=0.3), ["recall"], MORE | {"ratio": 2.0})
    assert claim.verdict == "supported"
    assert the(claim).contrast.effect.value == pytest.approx(math.log(3))


@pytest.mark.parametrize(("gan", "verdict"), [(1.0, "supported"), (8.0, "contradicted"), (9.0, "contradicted")])
def test_what_is_counted_is_not_left_to_chance(bench: Any, gan: float, verdict: Verdict) -> None:
    numbers = {"gan": {"evaluations_per_image": gan}, "ldm": {"evaluations_per_image": 8.0}}
    claim = bench.judged(numbers, ["evaluations_per_image"], MORE)
    assert claim.verdict == verdict
    assert the(claim).contrast.exact and the(claim).p is None


def test_pairs_find_what_independent_numbers_do_not(bench: Any) -> None:
    numbers = {"gan": {"recall": (0.85, 0.05)}, "ldm": {"recall": (0.8, 0.05)}}
    claims = bench.claims(["recall"], MORE)
    run = bench.run(numbers)
    (unpaired,) = judge(claims, run)
    (paired,) = judge(claims, bench.with_pairs(run, "recall"))
    assert (unpaired.verdict, the(unpaired).contrast.paired) == ("undecided", False)
    assert (paired.verdict, the(paired).contrast.paired) == ("supported", True)
    assert the(paired).contrast.effect.se == pytest.approx(0.1 * math.sqrt(2 / 400), rel=0.15)


def test_pairs_reach_the_mean_of_several(bench: Any) -> None:
    run = bench.with_pairs(bench.run(recall(gan=0.9, vqar=0.8, var=0.7)), "recall")
    (claim,) = judge(bench.claims(["recall"], {"who": "gan", "than": ["ar"], "compare": "mean"}), run)
    contrast = the(claim).contrast
    assert the(claim).others == ("vqar", "var") and contrast.paired
    assert contrast.effect.value == pytest.approx(0.15)
    assert contrast.effect.se == pytest.approx(0.1 * math.sqrt(1.5 / 400), rel=0.15)


def test_the_mean_of_rates_is_geometric(bench: Any) -> None:
    numbers = {"gan": 200.0, "vqar": 10.0, "var": 1000.0}
    told = {model: {"images_per_second": (rate, rate / 100)} for model, rate in numbers.items()}
    claim = bench.judged(told, ["images_per_second"], {"who": "gan", "than": ["ar"], "compare": "mean"})
    assert the(claim).contrast.other == pytest.approx(100)
    assert math.exp(the(claim).contrast.effect.value) == pytest.approx(2)


def test_holm_reaches_over_the_parts_of_all_claims(bench: Any) -> None:
    # One-sided p of 0.01: enough alone, not among four.
    z = 2.3263
    numbers = {"gan": {"recall": (0.8 + z * math.hypot(0.01, 0.01), 0.01)}, "ldm": {"recall": (0.8, 0.01)}}
    alone = bench.judged(numbers, ["recall"], MORE)
    assert alone.verdict == "supported" and the(alone).p == pytest.approx(0.01, rel=1e-3)
    among = bench.judged(numbers, ["recall"], *[MORE] * 4)
    assert among.verdict == "undecided"
    assert [one.p for part in among.parts for one in part.comparisons] == pytest.approx([0.04] * 4, rel=1e-3)


def test_no_comparison_is_called_wrongly_more_often_than_promised(bench: Any) -> None:
    """Six comparisons of models that are alike, in 400 runs: 5 % of them at most may call one."""
    rng, wrong = np.random.default_rng(0), 0
    claims = bench.claims(["recall", "modes"], {"who": "gan", "than": ["ar", "diffusion"]})
    models = ("gan", "vqar", "var", "ldm")
    run = bench.run({model: {} for model in models})
    for _ in range(400):
        run.rows = bench.rows(
            {
                model: {"recall": (0.5 + 0.1 * rng.normal(), 0.1), "modes": (300 + 20 * rng.normal(), 20.0)}
                for model in models
            }
        )
        (claim,) = judge(claims, run)
        wrong += any(one.verdict != "undecided" for part in claim.parts for one in part.comparisons)
    assert 4 <= wrong <= 29  # 20 are expected at most; 29 is two standard deviations above


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"value": None, "status": "failed", "reason": "it crashed"}, "gan: it crashed"),
        ({"se": None}, "gan: without a standard error nothing can be told"),
        ({"n": 399}, "gan and ldm were measured in unlike ways: images: 399 against 400"),
        ({"extractor": "features:a"}, "unlike ways: extractor: features:a against None"),
        ({"params": {"k": 3}}, "unlike ways: k: 3 against None"),
        ({"metric_version": 2}, "metric version: 2 against 1"),
    ],
)
def test_what_cannot_be_tested_says_why(bench: Any, changes: dict[str, Any], why: str) -> None:
    numbers = {"gan": {"recall": {"value": 0.9, "se": 0.01} | changes}, "ldm": {"recall": (0.8, 0.01)}}
    claim = bench.judged(numbers, ["recall"], MORE)
    assert (claim.verdict, the(claim).verdict, the(claim).p) == ("not tested", "not tested", None)
    assert why in the(claim).why


def test_a_missing_row_is_not_tested(bench: Any) -> None:
    claim = bench.judged({"gan": {}, "ldm": {"recall": (0.8, 0.01)}}, ["recall"], MORE)
    assert the(claim).why == "gan: the record holds no such measurement"


def test_a_distance_within_its_error_of_zero_has_no_ratio(bench: Any) -> None:
    numbers = {"gan": {"fd_scenes": (0.1, 0.2)}, "ldm": {"fd_scenes": (2.0, 0.2)}}
    claim = bench.judged(numbers, ["fd_scenes"], MORE)
    assert claim.verdict == "not tested" and "does not exceed its own standard error" in the(claim).why


def test_times_of_unlike_machines_are_not_compared(bench: Any) -> None:
    run = bench.run(rates(200, 100))
    run.record.keys["gan"]["hardware"]["fields"]["name"] = "another CPU"
    run.record.write(run.folder.record)
    (claim,) = judge(bench.claims(["images_per_second"], MORE), Run(run.folder.path))
    assert "hardware.name: another CPU against a CPU" in the(claim).why


def test_a_model_whose_scores_are_withheld_proves_nothing(bench: Any) -> None:
    withheld = {"value": None, "status": "withheld", "reason": "it copies"}
    numbers = {"gan": {"recall": (0.9, 0.01), "score_diversity": withheld}, "ldm": {"recall": (0.8, 0.01)}}
    claim = bench.judged(numbers, ["recall"], MORE)
    assert (claim.verdict, the(claim).why) == ("not tested", "gan: scores are withheld, it copies")


def test_a_damaged_file_is_a_reason(bench: Any) -> None:
    run = bench.with_pairs(bench.run(recall(gan=0.9, ldm=0.8)), "recall")
    run.folder.replicates("gan").write_bytes(b"no archive")
    (claim,) = judge(bench.claims(["recall"], MORE), run)
    assert claim.verdict == "not tested" and the(claim).why


def test_a_role_that_nobody_plays_is_named(bench: Any) -> None:
    claim = bench.judged(recall(gan=0.9, vqar=0.8), ["recall"], {"who": "gan", "than": ["ar", "diffusion"]})
    assert claim.verdict == "not tested"
    assert claim.parts[0].why == "no diffusion model took part" and claim.parts[0].comparisons == ()


def test_controls_and_variants_of_what_took_part_play_no_role(bench: Any) -> None:
    values = recall(**{"gan": 0.9, "gan@truncation=0.7": 0.1, "ldm": 0.8, "var": 0.2, "vqar@temperature=2": 0.7})
    claims = bench.claims(["recall"], {"who": "ar", "than": ["gan", "diffusion"]})
    (claim,) = judge(claims, bench.run(values, cards={"var": {"control": True}}))
    compared = [(one.model, one.others) for one in claim.parts[0].comparisons]
    assert compared == [("vqar@temperature=2", ("gan",)), ("vqar@temperature=2", ("ldm",))]


def test_a_family_may_be_known_from_the_loaded_model_alone(bench: Any) -> None:
    run = bench.run(recall(mine=0.9, ldm=0.8))
    run.record.models["mine"]["info"] = {"family": "gan"}
    run.record.write(run.folder.record)
    (claim,) = judge(bench.claims(["recall"], MORE), Run(run.folder.path))
    assert the(claim).model == "mine" and claim.verdict == "supported"


AR = {"who": "ar", "than": ["gan", "diffusion"]}
SOME = {"vqar": 0.9, "var": 0.7, "gan": 0.8, "ldm": 0.6}


@pytest.mark.parametrize(
    ("part", "verdict"),
    [
        (AR, "contradicted"),  # var is below gan
        (AR | {"which": "any"}, "supported"),  # vqar is above both
        (AR | {"compare": "any"}, "supported"),  # each is above ldm
        (AR | {"degree": "less"}, "contradicted"),
        (AR | {"degree": "less", "which": "any"}, "contradicted"),  # neither is below both
        (AR | {"degree": "less", "which": "any", "compare": "any"}, "supported"),  # var is below gan
    ],
)
def test_all_and_any(bench: Any, part: dict[str, Any], verdict: Verdict) -> None:
    assert bench.judged(recall(**SOME), ["recall"], part).verdict == verdict


def test_the_best_model_of_a_family_must_hold_in_all_metrics_of_a_word(bench: Any) -> None:
    numbers = {"vqar": (0.9, 0.1), "var": (0.1, 0.9), "gan": (0.5, 0.5), "ldm": (0.5, 0.5)}
    told = {name: {"recall": (a, 0.01), "coverage": (b, 0.01)} for name, (a, b) in numbers.items()}
    assert bench.judged(told, ["recall", "coverage"], AR | {"which": "any"}).verdict == "contradicted"
    assert bench.judged(told, ["recall"], AR | {"which": "any"}).verdict == "supported"


def test_all_parts_must_hold(bench: Any) -> None:
    numbers = recall(gan=0.9, ldm=0.8)
    assert bench.judged(numbers, ["recall"], MORE, LESS).verdict == "contradicted"
    assert bench.judged(numbers, ["recall"], MORE, MORE).verdict == "supported"


def test_some_and_every_are_de_morgan_s_of_each_other() -> None:
    opposite = {"supported": "contradicted", "contradicted": "supported"}
    for verdicts in itertools.product(VERDICTS, repeat=3):
        turned: Any = [opposite.get(verdict, verdict) for verdict in verdicts]
        found = some(turned)
        assert every(verdicts) == opposite.get(found, found)
    assert every(["supported", "undecided"]) == "undecided"
    assert every(["undecided", "not tested"]) == "not tested"
    assert every(["not tested", "contradicted"]) == "contradicted"


@pytest.mark.parametrize(("ldm", "verdict"), [(2.1e6, "supported"), (2.3e6, "not tested")])
def test_a_premise_comes_first(bench: Any, ldm: float, verdict: Verdict) -> None:
    numbers: Any = recall(gan=0.9, ldm=0.8)
    numbers["gan"]["parameters"], numbers["ldm"]["parameters"] = 2e6, ldm
    claim = bench.judged(numbers, ["recall"], MORE, premise={"metric": "parameters", "within": 0.1})
    assert claim.verdict == verdict
    if verdict == "not tested":
        assert claim.why == "parameters differ by more than 10%: gan 2,000,000, ldm 2,300,000" and claim.parts == ()


def test_a_premise_that_is_not_known_does_not_hold(bench: Any) -> None:
    claim = bench.judged(recall(gan=0.9, ldm=0.8), ["recall"], MORE, premise={"metric": "parameters", "within": 0.1})
    assert claim.why == "parameters are not known of gan, ldm"


def test_the_committed_claims_have_verdicts_on_the_reference_run() -> None:
    claims = load_claims(find_workspace(ROOT))
    assert claims is not None
    judged = judge(claims, Run(REFERENCE))
    assert [claim.claim.name for claim in judged] == [claim.name for claim in claims.claims]
    (untested,) = [claim for claim in judged if claim.verdict == "not tested"]
    assert untested.claim.name == "latent-space" and untested.why == untested.claim.not_tested
    compared = [one for claim in judged for part in claim.parts for one in part.comparisons]
    assert len(compared) == 30 and all(one.contrast is not None and one.p is not None for one in compared)
    # By hand from the record: residuals are paired, recall is not, for this record keeps no replicates of it.
    by_metric = {one.metric: one for one in compared if one.model == "gan"}
    assert by_metric["residual"].contrast.paired and not by_metric["recall"].contrast.paired  # type: ignore[union-attr]
    effect = by_metric["recall"].contrast.effect  # type: ignore[union-attr]
    rows = {model: Run(REFERENCE).row(model, "recall") for model in ("gan", "vqar", "var", "ldm")}
    others = [rows[model] for model in ("vqar", "var", "ldm")]
    assert effect.value == pytest.approx(rows["gan"].value - sum(row.value for row in others) / 3)  # type: ignore
    error = math.sqrt(rows["gan"].se ** 2 + sum(row.se**2 for row in others) / 9)  # type: ignore
    assert effect.se == pytest.approx(error)
