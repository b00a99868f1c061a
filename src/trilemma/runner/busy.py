"""Whether the machine had something else to do while a process was timed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Self

import psutil

BUSY_CORES = 0.2
"""What others may use of one core. A scheduler's tick and a monitor are below, a second benchmark is far above."""
LEAST_SECONDS = 0.05
"""CPU time is counted in ticks of 10 ms: less than a few of them says nothing."""

Process = tuple[int, float]  # pid and birth: numbers are given again


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The CPU time that every visible process but ours and our workers has used, at one moment.

    Processes outside this container, and on some systems those of other users, are not visible.

    Attributes:
        seconds: by process.
        total: of all together and of their children that have ended: on Linux a process inherits the time of those.
    """

    moment: float
    seconds: dict[Process, float]
    total: float

    @classmethod
    def take(cls) -> Self:
        """Returns how things are now."""
        ours = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
        seconds: dict[Process, float] = {}
        total = 0.0
        for process in psutil.process_iter(["pid", "create_time", "cpu_times"]):
            about = process.info
            used = about["cpu_times"]
            if about["pid"] in ours or used is None or about["create_time"] is None:
                continue
            seconds[about["pid"], about["create_time"]] = used.user + used.system
            total += sum(used[:4])  # user and system, its own and its ended children's
        return cls(moment=time.monotonic(), seconds=seconds, total=total)

    def cores_until(self, later: Snapshot) -> float:
        """Returns how many cores others kept busy until ``later``: 0.5 is half of one."""
        # The living do not tell of what began and ended meanwhile. The total does; but where nobody waited for a
        # process that ended, it lost all that this one ever used. Either says too little, neither too much.
        living = sum(max(0.0, total - self.seconds.get(key, 0.0)) for key, total in later.seconds.items())
        used = max(living, later.total - self.total)
        return used / (later.moment - self.moment) if used >= LEAST_SECONDS and later.moment > self.moment else 0.0
