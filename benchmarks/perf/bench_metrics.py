"""Metrics beside other suites on the same features: ``.venv/bin/python -m pytest benchmarks/perf/bench_metrics.py -s``.

Ours and theirs run in turn in one process with the same threads, and the ratio of their medians is printed with the
goal beside it. Nothing is asserted about time; what is asserted is that both compute the same number. A package that is
not installed is skipped. Extra memory is the growth of the peak of a child process over its inputs.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.metrics.cmmd import cmmd
from trilemma.metrics.frechet import distance_between_features, distance_between_moments, frechet_distance, moments
from trilemma.metrics.frechet_infinity import frechet_infinity
from trilemma.metrics.inception_score import inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance, kernel_distance_blocks
from trilemma.metrics.prdc import prdc_sweep
from trilemma.metrics.vendi import vendi_score
from trilemma.timing.clock import peak_rss_bytes

ROUNDS = 3
WIDTH = 2048
NEIGHBOURS = (10_000, 512)
SIDES = ("ours", "torch-fidelity", "prdc")

Features = NDArray[np.float32]
Report = Callable[..., None]


def features(n: int, width: int, seed: int) -> Features:
    """Correlated features with a spectrum over one and a half decades; seeds other than 0 are a little off."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width)) * np.logspace(0, -1.5, width)
    return (rng.standard_normal((n, width), dtype=np.float32) @ mixing.astype(np.float32)) * np.float32(1 + 0.05 * seed)


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@pytest.fixture
def report(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> Iterator[Report]:
    """Times ours and theirs in turn and prints the ratios."""

    def beside(title: str, ours: Callable[[], Any], theirs: dict[str, tuple[Callable[[], Any], float]]) -> None:
        times: dict[str, list[float]] = {name: [] for name in ("ours", *theirs)}
        for _ in range(ROUNDS):
            times["ours"].append(seconds(ours))
            for name, (call, _) in theirs.items():
                times[name].append(seconds(call))
        medians = {name: statistics.median(values) for name, values in times.items()}
        lines = [f"\n{title}: ours {medians['ours']:.3f} s"]
        for name, (_, goal) in theirs.items():
            ratio = medians[name] / medians["ours"]
            benchmark.extra_info[f"times faster than {name}"] = ratio
            lines.append(f"    {ratio:6.1f} times faster than {name} ({medians[name]:.3f} s); the goal is {goal:g}")
        with capsys.disabled():
            print("\n".join(lines))
        benchmark.pedantic(ours, rounds=1)

    yield beside


def test_trace_term_from_moments(report: Report) -> None:
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    linalg = pytest.importorskip("scipy.linalg")
    a, b = (moments(features(2 * WIDTH, WIDTH, seed)) for seed in (0, 1))
    statistics_a, statistics_b = ({"mu": part.mean_D, "sigma": part.covariance_DD} for part in (a, b))

    def theirs() -> float:
        found = fidelity.fid_statistics_to_metric(statistics_a, statistics_b, verbose=False)
        return float(found["frechet_inception_distance"])

    def by_sqrtm() -> float:
        return float(np.trace(linalg.sqrtm(statistics_a["sigma"] @ statistics_b["sigma"])).real)

    assert distance_between_moments(a, b) == pytest.approx(theirs(), rel=1e-6)
    report(
        f"Fréchet distance from moments, d = {WIDTH:,}",
        lambda: distance_between_moments(a, b),
        {"torch-fidelity": (theirs, 2), "sqrtm": (by_sqrtm, 8)},
    )


def test_frechet_distance_from_few_features(report: Report) -> None:
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    torch = pytest.importorskip("torch")
    x, y = (features(1000, WIDTH, seed) for seed in (0, 1))

    def theirs() -> float:
        fitted = [fidelity.fid_features_to_statistics(torch.from_numpy(part)) for part in (x, y)]
        return float(fidelity.fid_statistics_to_metric(*fitted, verbose=False)["frechet_inception_distance"])

    assert distance_between_features(x, y) == pytest.approx(theirs(), rel=1e-5)
    report(
        f"Fréchet distance from features, N = 1,000, d = {WIDTH:,}",
        lambda: distance_between_features(x, y),
        {"torch-fidelity": (theirs, 20)},
    )


def test_precision_recall_density_coverage(report: Report) -> None:
    x, y = (features(*NEIGHBOURS, seed) for seed in (0, 1))
    ours = prdc_sweep(x, y)
    fidelity, package = neighbours_of("torch-fidelity", x, y), neighbours_of("prdc", x, y)
    assert ours[3, False].precision.value == pytest.approx(fidelity()["precision"], abs=2e-4)
    assert ours[5, True].coverage.value == pytest.approx(package()["coverage"], abs=2e-4)
    report(
        f"Precision, recall, density, coverage, k = 3 and 5, < and <=, with errors, {NEIGHBOURS}",
        lambda: prdc_sweep(x, y),
        {"torch-fidelity's precision and recall, k = 3": (fidelity, 2), "prdc, k = 5": (package, 4)},
    )


def test_extra_memory_of_neighbours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch_fidelity")
    pytest.importorskip("prdc")
    for seed in (0, 1):
        np.save(tmp_path / f"{seed}.npy", features(*NEIGHBOURS, seed))
    extra = {side: extra_memory_in_a_child(side, tmp_path) for side in SIDES}
    with capsys.disabled():
        print(f"\nExtra memory of the same, {NEIGHBOURS}: ours {extra['ours']:.0f} MiB")
        for side in SIDES[1:]:
            share = extra["ours"] / extra[side]
            print(f"    {share:6.3f} of {side}'s {extra[side]:.0f} MiB; the goal is 0.2")
    assert all(value > 0 for value in extra.values())


def test_kernel_distance(report: Report) -> None:
    fidelity = pytest.importorskip("torch_fidelity.metric_kid")
    torch = pytest.importorskip("torch")
    x, y = (features(10_000, WIDTH, seed) for seed in (0, 1))

    def theirs() -> float:
        found = fidelity.kid_features_to_metric(
            torch.from_numpy(x), torch.from_numpy(y), kid_subsets=100, kid_subset_size=1000, verbose=False
        )
        return float(found["kernel_inception_distance_mean"])

    assert len(kernel_distance_blocks(x, y)) == 10
    report("KID, N = 10,000", lambda: kernel_distance(x, y), {"torch-fidelity, 100 subsets": (theirs, 1)})


def test_all_metrics_beside_the_extraction_of_features(capsys: pytest.CaptureFixture[str]) -> None:
    """The network is torchvision's Inception v3 with random weights: as much work as the one that counts."""
    n = 10_000
    extraction = 2 * n * seconds_per_image()
    x, y = (features(n, WIDTH, seed) for seed in (0, 1))
    logits = features(n, 1008, 0)
    reference = moments(y)
    calls: dict[str, Callable[[], Any]] = {
        "FID": lambda: frechet_distance(x, reference, reference_features=y),
        "FD∞": lambda: frechet_infinity(x, reference),
        "KID": lambda: kernel_distance(x, y),
        "IS": lambda: inception_score_of_logits(logits),
        "PRDC": lambda: prdc_sweep(x, y),
        "Vendi": lambda: vendi_score(x),
        "CMMD": lambda: cmmd(x[:, :768], y[:, :768]),
    }
    times = {name: seconds(call) for name, call in calls.items()}
    with capsys.disabled():
        parts = ", ".join(f"{name} {value:.1f} s" for name, value in times.items())
        print(f"\nAll metrics, N = {n:,}: {sum(times.values()):.1f} s ({parts})")
        print(
            f"    {1 + sum(times.values()) / extraction:.3f} of the {extraction:.0f} s of extraction; the goal is 1.15"
        )


def seconds_per_image(batch: int = 16) -> float:
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    network = models.inception_v3(weights=None, init_weights=False, aux_logits=False).eval()
    images = torch.zeros(batch, 3, 299, 299)
    with torch.inference_mode():
        network(images)
        return statistics.median(seconds(lambda: network(images)) for _ in range(ROUNDS)) / batch


def neighbours_of(side: str, x: Features, y: Features) -> Callable[[], Any]:
    """Returns the call that computes neighbourhood metrics by one of ``SIDES``; skips where it is not installed."""
    if side == "ours":
        return lambda: prdc_sweep(x, y)
    if side == "prdc":
        package = pytest.importorskip("prdc")

        def quietly() -> Any:
            with contextlib.redirect_stdout(io.StringIO()):
                return package.compute_prdc(real_features=y, fake_features=x, nearest_k=5)

        return quietly
    fidelity, torch = pytest.importorskip("torch_fidelity.metric_prc"), pytest.importorskip("torch")
    return lambda: fidelity.prc_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), verbose=False)


def extra_memory_in_a_child(side: str, folder: Path) -> float:
    """Returns MiB by which the peak of a fresh process grows over its inputs, imports and a small warm-up."""
    command = [sys.executable, __file__, side, str(folder)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    chosen = sys.argv[1]
    inputs = [np.load(Path(sys.argv[2]) / f"{seed}.npy") for seed in (0, 1)]
    neighbours_of(chosen, *(part[:200] for part in inputs))()
    before = peak_rss_bytes()
    neighbours_of(chosen, *inputs)()
    print((peak_rss_bytes() - before) / 2**20)
