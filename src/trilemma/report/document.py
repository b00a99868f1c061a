"""``report.json``: what the page says, for programs.

The document is one JSON object whose keys stand in this order; none is ever missing, and nothing in it is NaN. A number
that could not be had is null, with a status and a reason beside it. Its ``schema`` is :data:`SCHEMA`: the number after
the slash rises when a key is removed or changes its meaning, not when one is added.

=============  ====================================================================================================
``schema``     :data:`SCHEMA`
``run``        id, identity, status, partial, attempts, created, ended, parent (the run that it confirms), seed, device
``title``      of the protocol
``statement``  what ran, in sentences
``warnings``   title and text of each stamp over the page
``headline``   who is best at what, in one sentence; "" where that cannot be said
``models``     in the order of the page: name, title, family, control, whether its weights were drawn, its error or null
``scores``     one object per model and axis: score from 0 to 10, se, ci (95 %, not clipped), status, reason
``verdicts``   one object per contestant: the sentence, and the axes that it gives up
``metrics``    every row of ``metrics.jsonl`` with all its fields: value, se, ci, n, status, reason, and so on
``claims``     what people say, with verdicts and evidence; null where the workspace states nothing about this run
``timings``    one object per timed window: calls of each kind, median and middle half (milliseconds per image), reasons
``scaling``    how cost grows: ``batch``, ``images``, ``resolution``, a list of each, empty where it was not measured
``coverage``   what became of the plan: per model the state and the counts, as a whole and by set
``gaps``       (model, metric, set, status, reason) of every number that some model lacks
``failures``   (model, what, error); ``omissions``: (model, what, reason) of timings that were left out
``environment``  tool, command, host, software, instruments, reference, digests of every model's series
``frontier``   of a finished sweep what ``frontier.json`` holds, else null
=============  ====================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from trilemma.report import gives_up, prose, tables, timed_calls
from trilemma.report.claim_texts import claim_texts
from trilemma.report.coverage import coverage
from trilemma.report.scaling_batch import batch_costs
from trilemma.report.scaling_images import image_costs
from trilemma.report.scaling_resolution import resolution_costs

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from trilemma.report.record import Run

SCHEMA = "trilemma.report/1"


def document(run: Run) -> dict[str, Any]:
    """Returns the report of a run, of plain values alone, as the module's text describes it."""
    scores = tables.scores(run)
    windows = timed_calls.windows(run, timed_calls.calls(run))
    scaling = {
        "batch": batch_costs(windows),
        "images": image_costs(run),
        "resolution": [cost for costs in resolution_costs(run).values() for cost in costs],
    }
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "run": _run(run),
        "title": prose.protocol_title(run),
        "statement": prose.statement(run),
        "warnings": prose.stamps(run),
        "headline": gives_up.headline(run, scores),
        "models": [_model(run, model) for model in run.models],
        "scores": list(_scores(run, scores)),
        "verdicts": [_verdict(verdict) for verdict in gives_up.verdicts(run, scores)] if _judged(run) else [],
        "metrics": run.rows,
        "claims": claim_texts(run),
        "timings": windows,
        "scaling": scaling,
        "coverage": coverage(run),
        "gaps": list(_gaps(run)),
        "failures": [_entry(*entry, "error") for entry in tables.failures(run)],
        "omissions": [_entry(*entry, "reason") for entry in tables.omissions(run)],
        "environment": _environment(run),
        "frontier": run.frontier,
    }
    document: dict[str, Any] = plain(found)
    return document


def plain(value: Any) -> Any:
    """Returns a value as JSON knows it: records as objects, sequences as lists, and null for what is no number."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _run(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "id": record.run_id,
        "identity": record.identity,
        "status": record.status,
        "partial": record.partial,
        "attempts": record.attempts,
        "created": record.created,
        "ended": record.ended,
        "parent": record.parent_run_id,
        "seed": record.spec.get("seed"),
        "device": record.spec.get("device"),
    }


def _model(run: Run, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "title": run.title(model),
        "family": run.info(model).get("family") or run.card(model).get("family"),
        "control": run.is_control(model),
        "random_weights": run.is_random(model),
        "error": run.error(model),
    }


def _judged(run: Run) -> bool:
    """Whether the page judges single models: of a sweep it judges frontiers."""
    return tables.is_scored(run) and not run.is_sweep


def _scores(run: Run, scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in scores.to_dict("records") if tables.is_scored(run) else []:
        yield {name: row[name] for name in ("model", "axis", "score", "se")} | {
            "ci": _interval(row),
            "status": row["status"],
            "reason": row["reason"] or None,
        }


def _interval(row: Mapping[Hashable, Any]) -> list[float] | None:
    bounds = [float(row["ci_low"]), float(row["ci_high"])]
    return bounds if all(map(math.isfinite, bounds)) else None


def _verdict(verdict: gives_up.Verdict) -> dict[str, Any]:
    return {"model": verdict.model, "sentence": verdict.sentence, "gives_up": verdict.lost}


def _gaps(run: Run) -> Iterator[dict[str, Any]]:
    """Yields what :func:`trilemma.report.gaps.gaps` shows, number by number."""
    for (metric, images, variant), by_model in tables.keyed_rows(run.rows).items():
        for model in run.models:
            row = by_model.get(model)
            cell = tables.cell_of(run, model, row)
            if not cell.measured:
                status = row.status if row is not None else "failed" if run.error(model) else "skipped"
                yield {"model": model, "metric": metric, "set": images, "variant": variant} | {
                    "status": status,
                    "reason": cell.reason,
                }


def _entry(model: str, what: str, why: str, key: str) -> dict[str, str]:
    return {"model": model, "what": what, key: why}


def _environment(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "tool": record.tool,
        "command": record.argv,
        "host": record.host,
        "software": record.env,
        "instruments": record.instruments,
        "reference": record.reference,
        "digests": {
            model: {kind: key.get("digest") for kind, key in keys.items()} for model, keys in record.keys.items()
        },
    }
