"""Timed calls into the record, with the occasion that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from trilemma.runner.job import Job
from trilemma.store.tables import TIMINGS, write_rows
from trilemma.timing.clock import Call


def store_timings(job: Job, calls: Sequence[Call]) -> None:
    """Writes the calls of a job's only process: one replicate of its session."""
    about = {"model": job.name, "session": job.session, "replicate": 0}
    write_rows(job.folder.timings(job.name), TIMINGS, [about | asdict(call) for call in calls])
