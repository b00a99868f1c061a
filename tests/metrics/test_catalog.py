"""The catalogue: complete, consistent, and light."""

import subprocess
import sys

import pytest

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS, metric

NAMES = (
    "fd_scenes fd fd_dinov2 clip_fid kid inception_score precision recall density coverage "
    "coverage_unconditional coverage_within_prompts "
    "precision_within_prompts clip_score prompt_accuracy residual off_manifold modes mode_tv mode_kl "
    "spread_x spread_y spread_size spread_angle "
    "spread_tint spread_phase within_prompt_spread copy_rate fid is_inception images_per_second latency_batch1 "
    "load_seconds first_call_seconds peak_memory evaluations_per_image flops_per_image parameters score_quality "
    "score_diversity score_speed score_speed_batch1 latency_p90 latency_p99 compile_seconds seconds_text "
    "seconds_sample seconds_decode peak_memory_reserved mfu joules_per_image"
).split()


def test_every_metric_of_the_record_is_described_once() -> None:
    assert sorted(METRICS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_entries_are_consistent(name: str) -> None:
    entry = metric(name)
    assert entry.name == name and entry.title and entry.version >= 1
    assert entry.description.endswith(".") and entry.description.count(". ") == 0
    assert entry.direction in ("lower", "higher", "none")
    assert entry.axis in ("quality", "diversity", "speed", "score", "about")
    assert (entry.set is None) == (entry.axis in ("speed", "score", "about"))
    assert (entry.set is None) == (entry.extractor is None)


def test_a_misspelt_name_is_answered_with_a_suggestion() -> None:
    with pytest.raises(UserError, match="precision"):
        metric("precison")


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, trilemma.metrics.catalog; print([m for m in ('numpy', 'scipy', 'torch') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
