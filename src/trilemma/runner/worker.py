"""The child process, ``python -P -m trilemma.runner.worker JOB.json``: for a model, its timing, or the real images."""

from __future__ import annotations

import sys
from pathlib import Path

from trilemma.runner.channel import Channel, serve
from trilemma.runner.job import Job, read_job
from trilemma.runner.speed_job import SpeedJob
from trilemma.runner.timing_job import TimingJob


def main(arguments: list[str]) -> int:
    """Does one job. Returns 0, or 1 after a "failed" message."""
    return serve(lambda channel: _work(read_job(Path(arguments[0])), channel))


def _work(job: Job | TimingJob | SpeedJob, channel: Channel) -> None:
    # Here, so that a job's own failure to import is reported as one.
    if isinstance(job, TimingJob):
        from trilemma.runner.timing import measure_timing

        measure_timing(job, channel)
    elif isinstance(job, SpeedJob):
        from trilemma.runner.speed_worker import measure_speed

        measure_speed(job, channel)
    elif job.kind == "reference":
        from trilemma.runner.reference import measure_reference

        measure_reference(job, channel)
    else:
        from trilemma.runner.model import measure_model

        measure_model(job, channel)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
