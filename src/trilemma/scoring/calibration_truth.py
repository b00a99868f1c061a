"""How metrics rank the models of a finished run of Scenes, against the truth that is known of them.

The readers of Scenes tell what an image shows, so that a model's accuracy and spread need no distance between sets of
features. A distance that is any good puts models in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS, Metric
from trilemma.scoring.calibration_verdict import kendall_tau
from trilemma.store.run import Run

TRUTHS = ("prompt_accuracy", "residual", "within_prompt_spread", "mode_tv")
"""What the readers say: two of quality, two of diversity."""
MINIMUM_MODELS = 3


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One metric against one truth over the models of a run.

    Attributes:
        tau: Kendall's tau-b of the two rankings, both from good to bad: 1 is the same order; None where a ranking has
            ties throughout.
        models: those that have both numbers, from best to worst in truth.
    """

    metric: str
    truth: str
    tau: float | None
    models: tuple[str, ...]


def agreements(run: Run) -> list[Agreement]:
    """Returns how each metric's ranking of a run's models agrees with each truth.

    Raises:
        UserError: the run has fewer than three models with a truth.
    """
    found = list(_agreements(run))
    if not found:
        raise UserError(
            f"a ranking needs at least {MINIMUM_MODELS} models of Scenes; this run has fewer.",
            where=str(run.folder.path),
            hint="Give another run: --run RUN.",
        )
    return found


def _agreements(run: Run) -> Iterator[Agreement]:
    for metric in (known for known in METRICS.values() if _is_judged(known)):
        for truth in TRUTHS:
            own, true = _goodness(run, metric), _goodness(run, METRICS[truth])
            models = sorted(own.keys() & true.keys(), key=lambda model: -true[model])
            if len(models) >= MINIMUM_MODELS:
                tau = kendall_tau([(true[model], own[model]) for model in models])
                yield Agreement(metric=metric.name, truth=truth, tau=tau, models=tuple(models))


def _is_judged(metric: Metric) -> bool:
    """Whether a metric reads features, and not the factors that truth is made of."""
    return metric.axis in ("quality", "diversity") and metric.extractor in ("features", "clip", "inception")


def _goodness(run: Run, metric: Metric) -> dict[str, float]:
    """Returns each model's value of a metric, turned so that more is better."""
    sign = -1.0 if metric.direction == "lower" else 1.0
    return {row.model: sign * row.value for row in run.rows if row.metric == metric.name and row.value is not None}
