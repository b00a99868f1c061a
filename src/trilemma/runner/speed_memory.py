"""Peaks of memory from the timed calls of several processes."""

from __future__ import annotations

from trilemma.runner.evaluate import Measured
from trilemma.runner.process_timings import ProcessTimings, ProcessWindow
from trilemma.statistics.estimate import exact, missing


def memory_numbers(timed: ProcessTimings, window: ProcessWindow | None) -> dict[str, Measured]:
    """Returns the peak that was allocated, which is for gates, and that which was reserved, which is for reading.

    Allocated is the most of all calls at the window's batch size, whatever they were for: of a CUDA graph only the call
    that records it shows what it computes in, and a replay shows nothing.

    Reserved memory depends on what the allocator did before: the same work gave peaks a tenth apart. On a CPU there is
    only that of the whole process, its runtime included.
    """
    if window is None:
        nothing = Measured(estimate=missing("no batch was timed", n=0))
        return {"peak_memory": nothing, "peak_memory_reserved": nothing}
    allocated = timed.at(window.size)["allocated_bytes"].dropna()
    reserved, resident = (window.whole[name].dropna() for name in ("reserved_bytes", "peak_rss_bytes"))
    about = {name: window.about[name] for name in ("batch_size", "processes")}
    kind, used = ("allocated", allocated) if len(allocated) else ("resident", resident)
    return {
        "peak_memory": Measured(estimate=exact(float(used.max()), window.calls), params={**about, "kind": kind}),
        "peak_memory_reserved": Measured(estimate=exact(float(reserved.max()), window.calls), params=about)
        if len(reserved)
        else Measured(estimate=missing("only torch's allocator on a GPU reserves memory", n=0)),
    }
