"""The child process, ``python -P -m trilemma.runner.worker JOB.json``: for a model, a timing, or the real images."""

from __future__ import annotations

import sys
from pathlib import Path

from trilemma.runner.channel import Channel, describe, leave_with_parent
from trilemma.runner.job import Job, read_job
from trilemma.runner.timing_job import TimingJob


def main(arguments: list[str]) -> int:
    """Does one job. Returns 0, or 1 after a "failed" message."""
    channel = Channel.take_standard_output()
    leave_with_parent()
    try:
        _work(read_job(Path(arguments[0])), channel)
    except Exception as error:  # whatever a model's code raises is this model's failure, not the run's
        channel.send("failed", error=describe(error))
        return 1
    channel.send("done")
    return 0


def _work(job: Job | TimingJob, channel: Channel) -> None:
    # Here, so that a job's own failure to import is reported as one.
    if isinstance(job, TimingJob):
        from trilemma.runner.timing import measure_timing

        measure_timing(job, channel)
    elif job.kind == "reference":
        from trilemma.runner.reference import measure_reference

        measure_reference(job, channel)
    else:
        from trilemma.runner.model import measure_model

        measure_model(job, channel)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
