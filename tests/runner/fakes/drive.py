"""A run in a process of its own, so that a test can kill it: ``drive.py ROOT OUT CACHE MODELS``."""

import sys
from pathlib import Path

from rich.console import Console

from trilemma.protocols import find_protocol
from trilemma.registry import select
from trilemma.runner.display import Display
from trilemma.runner.job import Instrumentation
from trilemma.runner.run import Request, run_benchmark
from trilemma.workspace import find_workspace

FAKES = Instrumentation(
    load="fake_instruments:load", identity="fake_instruments:identity", controls="fake_controls:load"
)


def request(root, out, cache, models, **others):
    workspace = find_workspace(Path(root))
    return Request(
        protocol=find_protocol("small", workspace),
        cards=tuple(select(models.split(","), workspace)),
        runs=Path(out),
        cache=Path(cache),
        device="cpu",
        instruments=FAKES,
        **others,
    )


def drive(*arguments, **others):
    return run_benchmark(request(*arguments, **others), Display(Console(stderr=True), quiet=True))


if __name__ == "__main__":
    drive(*sys.argv[1:])
    print("torch" in sys.modules)
