"""Filmstrips: what is written comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.store.strips import PICTURE, SIDECAR, Strip, Strips, read_strips, write_strips

STRIPS = Strips(
    frame=8,
    strips=(
        Strip(
            kind="sampling", key="a", prompt="<b>", seed=2**62, frames=(1, 5, 9), length=9, evaluations=18, wall_ms=3.5
        ),
        Strip(kind="noising", key="a", prompt="<b>", seed=2**62, frames=(1, 2), length=2, space="latents"),
    ),
    problems=("one did not work",),
)


def frames() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (len(strip.frames), 8, 8, 3), dtype=np.uint8) for strip in STRIPS.strips]


def test_strips_come_back(tmp_path: Path) -> None:
    write_strips(tmp_path, STRIPS, frames())
    found = read_strips(tmp_path)
    assert found is not None
    assert found[0] == STRIPS
    assert [pixels.shape for pixels in found[1]] == [(3, 8, 8, 3), (2, 8, 8, 3)]
    assert all(np.array_equal(a, b) for a, b in zip(found[1], frames(), strict=True))


def test_without_strips_the_reason_is_kept(tmp_path: Path) -> None:
    write_strips(tmp_path, Strips(frame=8, problems=("nothing worked",)), [])
    assert not (tmp_path / PICTURE).exists()
    assert read_strips(tmp_path) == (Strips(frame=8, problems=("nothing worked",)), [])
    assert read_strips(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    "change",
    [{"frame": 9}, {"strips": [{"kind": "sampling"}]}, {"more": 1}, {"strips": "no list"}],
)
def test_a_damaged_sidecar_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    write_strips(tmp_path, STRIPS, frames())
    path = tmp_path / SIDECAR
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError):
        read_strips(tmp_path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    write_strips(tmp_path, STRIPS, frames())
    (tmp_path / PICTURE).unlink()
    with pytest.raises(UserError, match="missing"):
        read_strips(tmp_path)


def test_frames_are_among_the_images() -> None:
    with pytest.raises(UserError, match="frames"):
        Strip(kind="sampling", key="a", prompt="", seed=0, frames=(1, 10), length=9)
