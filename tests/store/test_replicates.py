"""Replicates on disk: what is written comes back, and numpy alone can read it."""

from pathlib import Path

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.replicates import Replicates
from trilemma.store.replicates import read_replicates, write_replicates


def test_every_source_of_every_number_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = Replicates(kind="influence", values_U=rng.normal(size=50), halves_U=rng.normal(size=50), cut="halves")
    groups = Replicates(kind="left_out", values_U=rng.normal(size=20), cut="groups")
    prompts = Replicates(kind="parts", values_U=rng.normal(size=9))
    path = tmp_path / "replicates" / "gan.npz"
    write_replicates(path, {"fd": (smooth,), "score": (groups, prompts), "speed": ()})
    found = read_replicates(path)
    assert {name: [one.kind for one in sources] for name, sources in found.items()} == {
        "fd": ["influence"],
        "score": ["left_out", "parts"],
    }
    assert [one.cut for one in found["score"]] == ["groups", ""]
    np.testing.assert_array_equal(found["score"][0].values_U, groups.values_U)
    np.testing.assert_allclose(found["fd"][0].values_U, smooth.values_U, rtol=1e-6)
    np.testing.assert_allclose(found["fd"][0].halves_U, smooth.halves_U, rtol=1e-6)
    assert found["score"][1].halves_U is None
    with np.load(path) as stored:
        assert stored["score.0.left_out"].shape == (20,)


def test_a_missing_or_damaged_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing"):
        read_replicates(tmp_path / "gan.npz")
    (tmp_path / "gan.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        read_replicates(tmp_path / "gan.npz")
