"""Which folder the command works in."""

from __future__ import annotations

from pathlib import Path

import pytest

from trilemma import workspace as module
from trilemma.errors import UserError
from trilemma.workspace import cache_folder, find_workspace


def make(root: Path) -> Path:
    (root / "models" / "m").mkdir(parents=True)
    (root / "models" / "m" / "card.toml").touch()
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "p.toml").touch()
    return root


def test_the_nearest_parent_is_found_and_the_flag_wins(tmp_path: Path) -> None:
    near, far = make(tmp_path / "far" / "near"), make(tmp_path / "far")
    assert find_workspace(start=near / "models").root == near
    assert find_workspace(far, start=near).root == far
    assert find_workspace(far).runs == far / "results" / "runs"


def test_a_research_repository_with_a_package_called_models_is_none(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    (tmp_path / "benchmarks").mkdir()
    assert not module.is_workspace(tmp_path)
    with pytest.raises(UserError, match="no workspace"):
        find_workspace(tmp_path)


def test_what_the_wheel_carries_is_the_last_resort_and_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lib" / "site-packages" / "trilemma"
    make(package / "_content")
    monkeypatch.setattr(module, "_PACKAGE", package)
    found = find_workspace(start=tmp_path)
    assert found.root == package / "_content"
    assert found.results == tmp_path / "results"
    assert module.is_carried(found.benchmarks / "p.npz") and not module.is_carried(found.results)


def test_without_any_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGE", tmp_path / "a" / "b" / "c")
    with pytest.raises(UserError, match="--root"):
        find_workspace(start=tmp_path)


def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("TRILEMMA_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "trilemma"


def test_the_claims_are_no_protocol(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "benchmarks" / "claims.toml").touch()
    found = find_workspace(root)
    assert found.claims == root / "benchmarks" / "claims.toml"
    assert [path.name for path in found.protocols] == ["p.toml"]
