"""Statistics files: ours come back whole, ADM's and pytorch-fid's are read, and nothing else is."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.frechet import UNKNOWN_COUNT, frechet_distance
from trilemma.metrics.moments import moments
from trilemma.metrics.statistics_file import (
    ReferenceStatistics,
    fitted,
    holds_statistics,
    read_statistics,
    statistics_arrays,
)


def features(n: int = 60, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + 2


def written(path: Path, **arrays: Any) -> Path:
    np.savez(path, allow_pickle=True, **arrays)
    return path


def theirs(**changes: Any) -> dict[str, Any]:
    x = features()
    return {"mu": x.mean(axis=0), "sigma": np.cov(x.T)} | changes


def test_ours_come_back_whole(tmp_path: Path) -> None:
    identity = {"extractor": {"name": "inception", "resize": "tf1"}, "source": "ab" * 32}
    statistics = ReferenceStatistics(
        features=fitted(moments(features())), spatial=fitted(moments(features(d=3))), identity=identity
    )
    back = read_statistics(written(tmp_path / "a.npz", **statistics_arrays(statistics)))
    assert back.identity == identity
    for ours, same in ((statistics.features, back.features), (statistics.spatial, back.spatial)):
        assert ours is not None and same is not None
        assert same.count == 60
        np.testing.assert_array_equal(same.mean_D, ours.mean_D)
        np.testing.assert_array_equal(same.covariance_DD, ours.covariance_DD)


def test_shards_written_apart_merge_to_the_whole(tmp_path: Path) -> None:
    x = features()
    parts = []
    for name, part in (("a", x[:13]), ("b", x[13:])):
        arrays = statistics_arrays(ReferenceStatistics(features=fitted(moments(part))))
        parts.append(read_statistics(written(tmp_path / f"{name}.npz", **arrays)).features.as_moments())
    merged, whole = parts[1].merge(parts[0]), moments(x)
    np.testing.assert_allclose(merged.mean_D, whole.mean_D, rtol=0, atol=1e-10)
    np.testing.assert_allclose(merged.covariance_DD, whole.covariance_DD, rtol=0, atol=1e-10)


def test_adm_files_are_read_with_their_spatial_part_and_without_a_count(tmp_path: Path) -> None:
    spatial = features(d=4)
    path = written(
        tmp_path / "adm.npz",
        **theirs(mu_s=spatial.mean(axis=0), sigma_s=np.cov(spatial.T).astype(np.float32), arr_0=np.zeros((9, 2, 2, 3))),
    )
    found = read_statistics(path)
    assert found.features.count is None and found.identity == {}
    assert found.spatial is not None and found.spatial.covariance_DD.dtype == np.float64
    assert holds_statistics(path)
    with pytest.raises(UserError, match="cannot be merged"):
        found.features.as_moments()


def test_an_unknown_count_is_said_beside_the_error(tmp_path: Path) -> None:
    reference = read_statistics(written(tmp_path / "a.npz", **theirs()))
    x = features(seed=1)
    against_file = frechet_distance(x, reference.features)
    against_moments = frechet_distance(x, moments(features()))
    assert against_file.value == pytest.approx(against_moments.value, rel=1e-9)
    assert against_file.se == pytest.approx(against_moments.se, rel=1e-9)
    assert against_file.reason == UNKNOWN_COUNT and against_moments.reason is None
    assert against_file.status == "ok" and against_file.se_method == "influence"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sigma": np.eye(4)}, "no mean and covariance"),
        ({"mu": np.zeros((2, 2))}, "no mean and covariance"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "no mean and covariance"),
        ({"sigma": np.triu(np.ones((5, 5)))}, "not symmetric"),
        ({"sigma": -np.eye(5)}, "negative variances"),
        ({"mu": np.full(5, np.nan)}, "not finite"),
        ({"mu": np.array(["a"] * 5)}, "not numbers"),
        ({"mu": np.array([None] * 5)}, "readable"),
        ({"n": np.array(1)}, "at least 2"),
        ({"n": np.array(2.5)}, "whole number"),
        ({"identity": np.array("[1]")}, "table"),
        ({"identity": np.array("{")}, "table"),
    ],
)
def test_malformed_statistics_are_refused_by_name(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = written(tmp_path / "bad.npz", **theirs(**changes))
    with pytest.raises(UserError, match=message) as caught:
        read_statistics(path)
    assert "bad.npz" in str(caught.value)


def test_what_is_no_statistics_file_is_refused(tmp_path: Path) -> None:
    images = written(tmp_path / "images.npz", arr_0=np.zeros((2, 4, 4, 3), dtype=np.uint8))
    assert not holds_statistics(images)
    with pytest.raises(UserError, match="no statistics"):
        read_statistics(images)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UserError, match="no archive"):
        read_statistics(tmp_path / "one.npy")
    with pytest.raises(UserError, match="no such file"):
        read_statistics(tmp_path / "none.npz")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"mu": 1}))
    assert not holds_statistics(tmp_path / "pickle.npz")
    with pytest.raises(UserError, match="readable"):
        read_statistics(tmp_path / "pickle.npz")


@given(st.binary(max_size=200), st.integers(0, 900))
@settings(max_examples=60, derandomize=True)
def test_damaged_files_are_refused_without_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **theirs())
    whole = buffer.getvalue()
    path = tmp_path_factory.mktemp("damaged") / "a.npz"
    for content in (noise, whole[:at], whole[:at] + noise + whole[at + len(noise) :]):
        path.write_bytes(content)
        try:
            found = read_statistics(path)
        except UserError:
            continue
        assert np.isfinite(found.features.covariance_DD).all()
