"""Turns, what may differ and what may not, and verdicts over made-up processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.protocol import Protocol, SpeedSpec
from trilemma.runner.launch import own_interpreter
from trilemma.tracking import interleave as module
from trilemma.tracking.case import Case, case_of
from trilemma.tracking.interleave import Interleaved, differing, facts, interleave, turns
from trilemma.tracking.processes import ProcessTiming
from trilemma.tracking.side import Side
from trilemma.tracking.timing_verdict import TimingComparison, judge

HARDWARE = {"digest": "h", "fields": {"device": "cpu", "torch": "2.14"}}
EXECUTION = {"digest": "e", "fields": {"batch_size": 4, "threads": 1}}
NOISE = np.array([0.0, 0.004, -0.003, 0.001, -0.002])
CASE = Case(
    model="m", scenario="offline", batch_size=4, prompts=("",), seeds=(0,), resolution=32, speed=SpeedSpec()
)  # fmt: skip


def side(name: str) -> Side:
    return Side(name=name, root=Path(name), card=Path(name), interpreter=own_interpreter())


def process(name: str, seconds: float | None = 1.0, number: int = 0, **others: Any) -> ProcessTiming:
    common: dict[str, Any] = {"execution": EXECUTION, "hardware": HARDWARE, "started": "now"}
    return ProcessTiming(side=name, number=number, seconds=seconds, **common | others)


def interleaved(factor: float, count: int = 5) -> Interleaved:
    """B takes ``factor`` times as long as A; both have noise of 0.3 %."""
    medians = [("A", np.exp(NOISE[:count])), ("B", factor * np.exp(-NOISE[:count]))]
    return Interleaved(case=CASE, timings=tuple(process(n, float(v)) for n, values in medians for v in values))


def judged(one: Interleaved) -> TimingComparison:
    (found,) = judge([one])
    return found


def test_sides_take_turns() -> None:
    a, b = side("A"), side("B")
    assert "".join(one.name for one in turns(a, b, 5)) == "ABBAABBAAB"
    assert "".join(one.name for one in turns(a, b, 2)) == "ABBA"


@pytest.mark.parametrize(
    ("factor", "verdict", "reason"),
    [
        (1.1, "REGRESSED", "bound_above_zero_and_margin"),
        (0.9, "IMPROVED", "bound_below_zero_and_margin"),
        (1.0, "SAME", "equivalent"),
        (1.02, "SAME", "equivalent"),
        (1.03, "INCONCLUSIVE", "below_margin"),
    ],
)
def test_verdicts(factor: float, verdict: str, reason: str) -> None:
    found = judged(interleaved(factor))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.log_ratio == pytest.approx(np.log(factor), abs=1e-9)
    assert found.a_seconds == pytest.approx(1.0, abs=0.005) and found.margin == 0.03
    assert found.lower is not None and found.upper is not None and found.lower < np.log(factor) < found.upper


def test_the_sentence_tells_people() -> None:
    assert judged(interleaved(1.1)).sentence.startswith("B takes 10.0% more time per call (+9.")
    assert "margin 3.0%)." in judged(interleaved(1.1)).sentence
    assert judged(interleaved(0.9)).sentence.startswith("B takes 10.0% less time per call")
    assert "; a slowdown of 3." in judged(interleaved(1.03)).sentence


def test_few_processes_are_shown_not_judged() -> None:
    found = judged(interleaved(2.0, count=4))
    assert (found.verdict, found.reason) == ("INCONCLUSIVE", "too_few_processes")
    assert found.log_ratio == pytest.approx(np.log(2), abs=0.01) and found.lower is not None
    assert "a verdict needs 5 processes on each side" in found.sentence


def test_a_slower_machine_is_no_slower_version() -> None:
    # The machine slows down by 5 % with every turn: a third over all. In turns, both sides get the same of it.
    order = turns(side("A"), side("B"), 6)
    drifting = tuple(process(one.name, 1.05**place, place) for place, one in enumerate(order))
    found = judged(Interleaved(case=CASE, timings=drifting))
    assert found.verdict not in ("REGRESSED", "IMPROVED") and found.log_ratio == pytest.approx(0.0, abs=1e-9)
    blocks = tuple(process("A" if place < 6 else "B", 1.05**place) for place in range(12))
    assert judged(Interleaved(case=CASE, timings=blocks)).verdict == "REGRESSED"


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [("failed", "it fell over", "status_failed"), ("busy", "busy machine: 0.9 cores", "busy_machine")],
)
def test_a_process_that_gave_nothing_is_never_green(status: Any, reason: str, code: str) -> None:
    good = interleaved(1.0)
    broken = process("B", None, status=status, reason=reason)
    found = judged(Interleaved(case=CASE, timings=(*good.timings, broken)))
    assert (found.verdict, found.reason, found.sentence) == ("INVALID", code, f"B: {reason}")
    assert found.log_ratio is None and found.processes[-1] is broken


def test_another_machine_is_incomparable() -> None:
    other = {"digest": "i", "fields": {"device": "cpu", "torch": "2.15"}}
    threads = {"digest": "f", "fields": {"batch_size": 4, "threads": 2}}
    timings = (process("A"), process("B", hardware=other, execution=threads))
    found = judged(Interleaved(case=CASE, timings=timings))
    assert (found.verdict, found.reason) == ("INCOMPARABLE", "identity_differs")
    assert found.sentence == "execution.threads: 1 against 2; hardware.torch: 2.14 against 2.15"


def test_a_field_that_one_version_alone_tells_is_a_difference() -> None:
    more = {"digest": "f", "fields": {**EXECUTION["fields"], "attention": "flash"}}  # type: ignore[dict-item]
    assert differing([process("A"), process("B", execution=more)]) == ["execution.attention: None against flash"]


def test_only_what_can_be_tested_is_in_the_family() -> None:
    broken = Interleaved(case=CASE, timings=(process("A", None, status="failed", reason="no"),))
    alone = judged(interleaved(1.05))
    first, second, third = judge([interleaved(1.05), broken, interleaved(1.05)])
    assert second.verdict == "INVALID" and first.verdict == third.verdict == "REGRESSED"
    assert alone.p is not None and first.p_adjusted == pytest.approx(2 * alone.p)


def test_what_is_compared_is_told() -> None:
    old = process("A", subject={"revision": "1", "knobs": {"steps": 8, "guidance": 1.0}}, tool={"git": "abc"})
    new = process("B", subject={"revision": "2", "knobs": {"steps": 4, "guidance": 1.0}}, tool={"git": "def"})
    assert facts(old, new) == ["revision: 1 → 2", "knobs.steps: 8 → 4", "code git: abc → def"]
    assert facts(old, old) == []
    assert judged(Interleaved(case=CASE, timings=(old, new))).subject == tuple(facts(old, new))


def test_nothing_more_is_timed_when_nothing_can_be_concluded(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"digest": "i", "fields": {"device": "cuda"}}
    outcomes: list[dict[str, Any]] = [{}, {"hardware": other}]
    monkeypatch.setattr(module, "time_process", lambda case, one, number, **_: process(one.name, **outcomes[number]))
    assert len(interleave(CASE, side("A"), side("B"), 5).timings) == 2
    outcomes[1] = {"status": "failed", "reason": "no", "seconds": None}
    assert len(interleave(CASE, side("A"), side("B"), 5).timings) == 2
    outcomes[:] = [{}] * 10
    assert len(interleave(CASE, side("A"), side("B"), 5).timings) == 10


def test_one_process_tells_no_spread() -> None:
    with pytest.raises(UserError, match="--processes: must be at least 2, got 1"):
        interleave(CASE, side("A"), side("B"), 1)


def test_the_parent_imports_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, trilemma.tracking.timing_verdict, trilemma.tracking.calibrate; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "torchvision", "diffusers", "transformers", "timm", "matplotlib"} & set(loaded)


def test_both_sides_get_the_same_job(protocol: Protocol) -> None:
    case = case_of("renderer", protocol, "offline")
    one, other = (case.job(Path(name), Path("t")) for name in ("A", "B"))
    assert vars(one) == vars(other) | {"card": "A"}
