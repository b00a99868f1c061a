"""Whole runs of small published checkpoints: generated, timed and written down, in a process of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trilemma import registry
from trilemma.card import Card
from trilemma.store.run import Run

Published = Callable[[str], Card]


@pytest.mark.parametrize(
    ("name", "evaluations"),
    # 5 scales, twice where 10 of 16 prompts are guided; 64 tokens; one pass.
    [("var", None), ("taming", 64), ("taming-unconditional", 64), ("biggan", 1)],
)
def test_a_run_records_it(
    published: Published, record: Callable[[Card], Run], name: str, evaluations: int | None
) -> None:
    card = published(name)
    run = record(card)
    assert run.record.status == "complete" and not run.record.errors
    samples = run.samples(name)
    assert (samples["status"] == "ok").all() and len(samples) == 16 == samples["image_sha256"].nunique()
    assert set(samples["width"]) == {32}
    rows = {row.metric: row.value for row in run.rows}
    assert rows["parameters"] == registry.load(card, "cpu").info.parameters
    assert rows["evaluations_per_image"] == evaluations or (
        evaluations is None and 5 < (rows["evaluations_per_image"] or 0) < 10
    )
    assert (
        (rows["images_per_second"] or 0) > 0
        and (rows["latency_batch1"] or 0) > 0
        and (rows["flops_per_image"] or 0) > 0
    )
    assert run.record.models[name]["info"]["knobs"].items() >= card.knobs.items()
