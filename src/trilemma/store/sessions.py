"""Runs that count as one: sessions of the same models under the same protocol."""

from __future__ import annotations

from collections.abc import Sequence

from trilemma.errors import UserError
from trilemma.store.run import Run

SHARED = ("protocol", "seed", "samples")


def check_alike(runs: Sequence[Run], whole: str) -> None:
    """Raises UserError unless each run is another, of one protocol, seed and size, and of the same models' versions.

    Args:
        whole: what the runs are together, for people: "baseline" or "candidate".
    """
    ids = [run.record.run_id for run in runs]
    if len(set(ids)) < len(ids):
        raise UserError(f"a run of the {whole} is named twice.", where=next(i for i in ids if ids.count(i) > 1))
    for run in runs:
        for name in SHARED:
            if run.record.spec[name] != runs[0].record.spec[name]:
                raise UserError(
                    f"the runs of a {whole} share protocol, seed and samples; {name} differs.", where=run.record.run_id
                )
        _check_models(run, runs[0], whole)


def _check_models(run: Run, first: Run, whole: str) -> None:
    """A model that failed before it was known has no digest."""
    for model in run.models:
        digests = {one.record.keys.get(model, {}).get("case", {}).get("digest") for one in (run, first)} - {None}
        if len(digests) > 1:
            raise UserError(
                f'the runs of a {whole} are of one version; "{model}" has another revision, knobs or dtype than in '
                f"{first.record.run_id}.",
                where=run.record.run_id,
            )
