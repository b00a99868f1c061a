"""Two models on the same samples, metric by metric: no false alarms, and differences that unpaired errors hide."""

from collections.abc import Callable

import numpy as np
import pytest

from trilemma.metrics.frechet import frechet_distance, moments
from trilemma.metrics.inception_score import inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.modes import count_modes, mode_tv
from trilemma.metrics.prdc import NAMES, coverage_within, prdc, precision_within
from trilemma.metrics.scores import diversity_score, quality_score
from trilemma.metrics.spread import factor_spread, within_prompt_spread
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.paired import paired

D, N, PROMPTS = 6, 384, 16
REAL = np.random.default_rng(99).normal(size=(2000, D))
NAMES_N = np.repeat(np.arange(PROMPTS), N // PROMPTS)


def spread(x: np.ndarray) -> Estimate:
    values = 1 / (1 + np.exp(-1.7 * x))
    factors = {
        str(column): factor_spread(values[:, column], NAMES_N, circular=circular)
        for column, circular in ((0, False), (1, True))
    }
    return within_prompt_spread(factors)


def tv(x: np.ndarray) -> Estimate:
    modes = (x[:, :5] > 0) @ 2 ** np.arange(5)
    return mode_tv(count_modes(modes, np.abs(x).max(axis=1) > 3.5, n_modes=32))


def quality(x: np.ndarray) -> Estimate:
    anchor = Estimate(value=20.0, se=0.1, se_method="influence", n=N)
    floor = Estimate(value=0.1, se=0.001, se_method="mean", n=N)
    return quality_score(frechet_distance(x, moments(REAL)), anchor, floor).unclipped


METRICS: dict[str, Callable[[np.ndarray], Estimate]] = {
    "kid": lambda x: kernel_distance(x, REAL),
    "inception_score": lambda x: inception_score_of_logits(3 * x),
    "coverage_within": lambda x: coverage_within(x, NAMES_N, REAL[:N], NAMES_N, k=3),
    "precision_within": lambda x: precision_within(x, NAMES_N, REAL[:N], NAMES_N, k=3),
    "spread": spread,
    "mode_tv": tv,
    "score_quality": quality,
    "score_diversity": lambda x: diversity_score(tv(x), spread(x)).unclipped,
}


def measured(x: np.ndarray) -> dict[str, Estimate]:
    neighbors = prdc(x, REAL)
    return {name: compute(x) for name, compute in METRICS.items()} | {name: getattr(neighbors, name) for name in NAMES}


Pairs = dict[str, list[tuple[Estimate, float]]]
"""By metric: paired differences, and beside each the unpaired error."""


def differences(scale: float, repeats: int, seed: int) -> Pairs:
    """Returns those between features and the same, scaled, with a tenth of their variance drawn anew."""
    rng = np.random.default_rng(seed)
    found: Pairs = {}
    for _ in range(repeats):
        noise, fresh = rng.normal(size=(2, N, D))
        before, after = measured(noise), measured(scale * (np.sqrt(0.9) * noise + np.sqrt(0.1) * fresh))
        for name, a in before.items():
            b = after[name]
            assert a.se is not None and b.se is not None
            found.setdefault(name, []).append((paired(a, b), float(np.hypot(a.se, b.se))))
    return found


REPEATS = 100
SLACK = 3 * np.sqrt(0.93 * 0.07 / REPEATS)
# A jackknife of 20 groups counts higher orders more than once, and these metrics have much of them.
ON_THE_SAFE_SIDE = {"recall": 2.3, "coverage": 2.3, "mode_tv": 1.6, "score_diversity": 1.6}


@pytest.fixture(scope="module")
def alike() -> Pairs:
    return differences(1.0, REPEATS, 0)


@pytest.fixture(scope="module")
def unlike() -> Pairs:
    return differences(1.2, REPEATS, 0)


def covered(pairs: list[tuple[Estimate, float]], truth: float) -> float:
    intervals = np.array([one.interval() for one, _ in pairs])
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())


@pytest.mark.parametrize("name", [*METRICS, *NAMES])
def test_like_models_raise_no_alarm_and_the_error_is_the_spread(alike: Pairs, name: str) -> None:
    values = np.array([one.value for one, _ in alike[name]])
    stated, unpaired = np.sqrt(np.mean([(one.se**2, error**2) for one, error in alike[name]], axis=0))
    assert 0.85 < stated / values.std(ddof=1) < ON_THE_SAFE_SIDE.get(name, 1.25)
    assert covered(alike[name], 0.0) >= 0.93 - SLACK
    assert stated < 0.95 * unpaired


@pytest.mark.parametrize("name", [*METRICS, *NAMES])
def test_the_interval_of_a_planted_difference_holds_it(unlike: Pairs, name: str) -> None:
    values = [one.value for one, _ in unlike[name]]
    assert covered(unlike[name], float(np.mean(values))) >= 0.93 - SLACK


@pytest.mark.parametrize("name", ["kid", "coverage_within", "spread"])
def test_pairs_find_a_difference_that_unpaired_errors_hide(unlike: Pairs, name: str) -> None:
    found = np.mean([not low <= 0 <= high for low, high in (one.interval() for one, _ in unlike[name])])
    unpaired = np.mean([abs(one.value) > 1.96 * error for one, error in unlike[name]])
    assert found > unpaired + 0.1
