"""Every number that a model's images give over any data set but Scenes: what the protocol lists, and the distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from trilemma.errors import UserError
from trilemma.features import named
from trilemma.metrics.agreement import clip_score, prompt_accuracy
from trilemma.metrics.frechet import frechet_distance
from trilemma.metrics.inception_score import inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.prdc import prdc_sweep
from trilemma.metrics.scores import Score, coverage_score
from trilemma.runner.anchors import NotAtHand
from trilemma.runner.data_anchors import DataAnchors, neighbors
from trilemma.runner.evaluate import Evaluation, Measured, SetData, against_reference, copies, within
from trilemma.statistics.estimate import Estimate, missing

MANIFOLD = ("precision", "recall", "density", "coverage")
UNCONDITIONAL, WITHIN = "coverage_unconditional", "coverage_within_prompts"
Numbers = dict[str, Measured]


@dataclass(kw_only=True)
class _Found:
    """What is attempted is what the protocol lists; the distance always is."""

    wanted: frozenset[str]
    evaluation: Evaluation = field(default_factory=Evaluation)

    def attempt(self, names: tuple[str, ...], compute: Callable[[], Numbers]) -> None:
        wanted = tuple(name for name in names if name in self.wanted)
        if wanted:
            self.evaluation.attempt(wanted, partial(_chosen, compute, wanted))


def evaluate_data(sets: Mapping[str, SetData], anchors: DataAnchors) -> Evaluation:
    """Returns the numbers that the protocol lists, and the Fréchet distance, which the quality score is made of."""
    protocol = anchors.protocol
    found = _Found(wanted=frozenset({*protocol.metrics, named.distance_name(protocol)}))
    if protocol.main_set.name in sets:
        _of_main(found, sets[protocol.main_set.name], anchors)
    if "unconditional" in sets:
        found.attempt((UNCONDITIONAL,), lambda: {UNCONDITIONAL: _coverage(sets["unconditional"], anchors)})
    if "within_prompt" in sets:
        found.attempt(("precision_within_prompts", WITHIN), lambda: within(sets["within_prompt"], anchors))
    return found.evaluation


def diversity(found: Evaluation, sets: Mapping[str, SetData], anchors: DataAnchors) -> Score:
    """Returns the diversity score: coverage without prompts and within them, each over that of real images.

    Where the protocol measures neither, it is made of the coverage by the set that stands for the model.
    """
    estimates = {name: one.estimate for name, one in found.numbers.items()}
    parts: list[tuple[Estimate, Estimate]] = []
    if UNCONDITIONAL in estimates:
        parts.append((estimates[UNCONDITIONAL], anchors.coverage(estimates[UNCONDITIONAL].n)))
    if WITHIN in estimates:
        keys = frozenset(sets["within_prompt"].column("key"))
        parts.append((estimates[WITHIN], anchors.coverage_within(keys)))
    if not parts and "coverage" in estimates:
        parts.append((estimates["coverage"], anchors.coverage(estimates["coverage"].n)))
    if not parts:
        return Score(value=None, unclipped=missing("the protocol measures no coverage", n=0))
    return coverage_score(parts)


def _of_main(found: _Found, data: SetData, anchors: DataAnchors) -> None:
    protocol, distance = anchors.protocol, named.distance_name(anchors.protocol)
    ways: dict[tuple[str, ...], Callable[[], Numbers]] = {
        (distance,): lambda: {distance: _frechet(data, anchors)},
        ("kid",): lambda: {"kid": _kernel(data, anchors)},
        ("inception_score",): lambda: {"inception_score": _score_of_classes(data, anchors)},
        ("clip_score",): lambda: {"clip_score": _clip(data, anchors)},
        ("prompt_accuracy",): lambda: {"prompt_accuracy": _accuracy(data, anchors)},
        ("copy_rate",): lambda: copies(found.evaluation, data, anchors),
    }
    # One sweep over neighbours serves all that take as many real images as generated ones, or all of them.
    for equal in (True, False):
        alike = tuple(name for name in MANIFOLD if neighbors(protocol, name)["equal_sizes"] == equal)
        ways[alike] = partial(_manifold, alike, data, anchors)
    for names, compute in ways.items():
        found.attempt(names, partial(_placed, compute, protocol.main_set.name))


def _placed(compute: Callable[[], Numbers], main: str) -> Numbers:
    return {name: replace(one, set=main) for name, one in compute().items()}


def _frechet(data: SetData, anchors: DataAnchors) -> Measured:
    distance = frechet_distance(data.arrays["features"], anchors.moments)
    return replace(against_reference(distance, anchors), role="features")


def _kernel(data: SetData, anchors: DataAnchors) -> Measured:
    real_MD, how = anchors.arrays("reference")["features"], named.parameters(anchors.protocol, "kid")
    distance = kernel_distance(data.arrays["features"], real_MD, **how)
    return Measured(estimate=distance, n_reference=len(real_MD), params={"reference": _digest(anchors)})


def _score_of_classes(data: SetData, anchors: DataAnchors) -> Measured:
    """ADM cuts runs of so many images, in the order of the plan, in which classes come in turn."""
    how, logits_NC = dict(named.parameters(anchors.protocol, "inception_score")), data.arrays["logits"]
    length = how.pop("images_per_split", None)
    if length is not None:
        how["splits"] = max(1, round(len(logits_NC) / length))
    params = {"splits": how.get("splits", 1), "classes": int(logits_NC.shape[1])}
    return Measured(estimate=inception_score_of_logits(logits_NC, **how), params=params)


def _manifold(names: tuple[str, ...], data: SetData, anchors: DataAnchors) -> Numbers:
    real_MD, ways = anchors.arrays("reference")["features"], {name: neighbors(anchors.protocol, name) for name in names}
    ks = tuple(sorted({how["k"] for how in ways.values()}))
    equal = all(how["equal_sizes"] for how in ways.values())
    swept = prdc_sweep(data.arrays["features"], real_MD, ks=ks, equal_sizes=equal)
    used = len(data) if equal else len(real_MD)
    return {
        name: Measured(
            estimate=getattr(swept[how["k"], how["strict"]], name),
            n_reference=used,
            params={"k": how["k"], "strict": how["strict"], "reference": _digest(anchors)},
        )
        for name, how in ways.items()
    }


def _coverage(data: SetData, anchors: DataAnchors) -> Measured:
    return _manifold(("coverage",), data, anchors)["coverage"]


def _clip(data: SetData, anchors: DataAnchors) -> Measured:
    _require("clip", anchors)
    return Measured(estimate=clip_score(data.column("clip_score")))


def _accuracy(data: SetData, anchors: DataAnchors) -> Measured:
    _require("reader", anchors)
    target_N, read_N = (data.column(name) for name in ("target_label", "read_label"))
    if (target_N < 0).any():
        raise UserError("no class is asked for: the prompts are no names of classes")
    return Measured(estimate=prompt_accuracy(np.stack([read_N], axis=1), np.stack([target_N], axis=1)))


def _require(role: str, anchors: DataAnchors) -> None:
    if role not in anchors.identity:
        assert anchors.protocol.extractors is not None
        name = anchors.protocol.extractors.roles()[role]
        raise NotAtHand(f'the weights of "{name}" are not at hand')


def _digest(anchors: DataAnchors) -> str:
    return anchors.digests["reference"][:16]


def _chosen(compute: Callable[[], Numbers], names: tuple[str, ...]) -> Numbers:
    found = compute()
    return {name: found[name] for name in names}
