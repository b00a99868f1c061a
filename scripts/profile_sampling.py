"""What binds each sampler: the share of a call's time by stage and by kind of operator, as Markdown tables.

    OMP_NUM_THREADS=2 python scripts/profile_sampling.py gan vqar var ldm --batch-size 1 --batch-size 64

A name may be a variant (``var@bf16+compile``). Of a GPU the kernels' own time is shown, of a CPU the operators'.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from trilemma import registry
from trilemma.data import scenes
from trilemma.generator import Generator
from trilemma.stages import STAGES, listening
from trilemma.workspace import find_workspace

CALLS = 5
# The first that matches: kernels' names on a GPU, operators' on a CPU.
KINDS = {
    "attention": r"scaled_dot_product|flash|fmha|attention",
    "convolutions": r"conv|im2col|wgrad|fprop",
    "products": r"addmm|\bmm\b|::mm|bmm|matmul|linear|gemm|gemv|cutlass",
    "norms, softmax": r"norm|moments|softmax",
    "draws": r"cumsum|searchsorted|topk|sort|argmax|scan",
    "copies": r"copy|::cat|clone|::to\b|fill|zero|memcpy|memset|repeat|index|gather|embedding",
    "elementwise": r"",
}
VIEWS = re.compile(r"view|as_strided|slice|select|transpose|permute|expand|unsqueeze|empty|unbind|split|narrow|::t$")


def main(
    names: list[str],
    batch_size: Annotated[list[int], typer.Option(help="Can be given several times.")] = [1, 64],  # noqa: B006
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Prints one table of stages and one of kinds of operators, a row for each model and batch size."""
    stages, kinds = [], []
    for name in names:
        generator = registry.load(registry.find_card(name, find_workspace(start=Path(__file__).parent)), device)
        for size in batch_size:
            prompts = list(scenes.captions("prompts", range(size)))
            work = partial(generate, generator, prompts)
            label = f"`{name}`, {size}"
            stages.append((label, *stage_times(work)))
            kinds.append((label, kind_shares(work, device)))
    print("| model, batch | ms per call |", " | ".join(STAGES), "|\n|---|---|" + "---|" * len(STAGES))
    for label, total, times in stages:
        print(f"| {label} | {total * 1e3:.1f} |", " | ".join(f"{times[stage] / total:.0%}" for stage in STAGES), "|")
    print("\n| model, batch |", " | ".join((*KINDS, "dispatch")), "|\n|---|" + "---|" * (len(KINDS) + 1))
    for label, shares in kinds:
        print(f"| {label} |", " | ".join(f"{shares[kind]:.0%}" for kind in (*KINDS, "dispatch")), "|")


def generate(generator: Generator, prompts: list[str]) -> Tensor:
    """One call, its images on the host."""
    return generator.generate(prompts, range(len(prompts))).cpu()


def stage_times(work: Callable[[], object]) -> tuple[float, Counter[str]]:
    """Returns the median seconds of a call, and the median seconds of each stage in it."""
    calls: list[Counter[str]] = []

    @contextmanager
    def listener(stage: str) -> Iterator[None]:
        wait()
        started = time.perf_counter()
        yield
        wait()
        calls[-1][stage] += time.perf_counter() - started  # type: ignore[assignment]

    work()
    totals = []
    for _ in range(CALLS):
        calls.append(Counter())
        started = time.perf_counter()
        with listening(listener):
            work()
        totals.append(time.perf_counter() - started)
    times = {stage: statistics.median(call[stage] for call in calls) for stage in STAGES}
    return statistics.median(totals), Counter(times)  # type: ignore[arg-type]


def wait() -> None:
    """Waits for the GPU, where there is one: its stages would otherwise end when they are queued."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def kind_shares(work: Callable[[], object], device: str) -> Counter[str]:
    """Returns the shares of the profiled time; what makes views and allocates is dispatch, not work."""
    on_gpu = device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiler:
        for _ in range(CALLS):
            work()
    spent: Counter[str] = Counter()
    for row in profiler.key_averages():
        spent[kind_of(row.key)] += row.self_device_time_total if on_gpu else row.self_cpu_time_total
    total = sum(spent.values()) or 1
    return Counter({kind: value / total for kind, value in spent.items()})  # type: ignore[misc]


def kind_of(name: str) -> str:
    """Returns the kind of an operator or kernel by its name."""
    if VIEWS.search(name):
        return "dispatch"
    return next(kind for kind, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE))


if __name__ == "__main__":
    typer.run(main)
