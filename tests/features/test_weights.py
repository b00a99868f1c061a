"""Where weights are looked for, that only the published ones are taken, and that reading them executes nothing."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trilemma.errors import UserError
from trilemma.features.presets import CLIP_B32, DINOV2_L14
from trilemma.features.weights import VARIABLE, WeightsFile, find, locate, places, read_tensors

CONTENT = b"published"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = WeightsFile(name="net.pth", sha256=SHA256, url="https://example.org/net.pth")
ON_HUB = replace(FILE, name="pytorch_model.bin", repository="owner/net", revision="abc")


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("file", (FILE, ON_HUB), ids=("torch", "hub"))
def test_the_users_folder_comes_before_the_caches(
    file: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(file) is None
    in_caches = [put(path) for path in reversed(places(file))]
    assert find(file) == in_caches[-1]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert find(file) == in_caches[-1]
    mine = put(tmp_path / "mine" / file.relative)
    assert find(file) == mine


def test_caches_of_both_hubs_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    in_torch = put(tmp_path / "torch" / "hub" / "checkpoints" / "net.pth")
    in_hub = put(tmp_path / "hf" / "hub" / "models--owner--net" / "snapshots" / "abc" / "pytorch_model.bin")
    assert find(FILE) == in_torch
    assert find(ON_HUB) == in_hub


def test_a_common_name_is_not_found_outside_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    put(tmp_path / "pytorch_model.bin")
    assert find(ON_HUB) is None


def test_the_content_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    put(tmp_path / "net.pth")
    assert locate(FILE).sha256 == SHA256
    put(tmp_path / "net.pth", b"other")
    assert locate(replace(FILE, sha256=None)).sha256 == hashlib.sha256(b"other").hexdigest()


def test_another_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    path = put(tmp_path / "net.pth", b"other")
    with pytest.raises(UserError, match=f"not the published file.*{SHA256}") as error:
        locate(FILE)
    assert error.value.where == str(path)


@pytest.mark.parametrize("file", (DINOV2_L14, CLIP_B32))
def test_what_is_missing_says_how_to_get_it(file: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    with pytest.raises(UserError) as error:
        locate(file)
    text = str(error.value)
    assert file.url is not None
    for part in (file.name, file.url, VARIABLE, file.relative.as_posix(), *map(str, places(file))):
        assert part in text
    assert "\n" not in text


def served(tmp_path: Path, content: bytes) -> WeightsFile:
    return replace(FILE, url=put(tmp_path / "server" / "net.pth", content).as_uri())


def test_nothing_is_downloaded_unasked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing"):
        locate(served(tmp_path, CONTENT))


def test_a_download_is_kept_where_it_is_found(tmp_path: Path) -> None:
    file = served(tmp_path, CONTENT)
    found = locate(file, download=True)
    assert found.path == find(file) == places(file)[0]
    assert found.path.read_bytes() == CONTENT
    assert os.listdir(found.path.parent) == ["net.pth"]


@pytest.mark.parametrize("content", (b"other", None))
def test_a_failed_download_leaves_nothing(content: bytes | None, tmp_path: Path) -> None:
    file = served(tmp_path, content or b"")
    if content is None:
        (tmp_path / "server" / "net.pth").unlink()
    with pytest.raises(UserError, match="not the published file|cannot download"):
        locate(file, download=True)
    assert os.listdir(places(file)[0].parent) == []


@pytest.mark.parametrize("name", ("net.pth", "net.bin", "net.safetensors"))
def test_tensors_are_read(name: str, tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3)}
    (save_file if name.endswith("safetensors") else torch.save)(tensors, tmp_path / name)
    assert torch.equal(read_tensors(tmp_path / name)["a"], tensors["a"])


class Payload:
    """What a hostile file would do when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1), "b": Payload(tmp_path / "run")}, tmp_path / "net.pth")
    with pytest.raises(UserError, match="more than tensors"):
        read_tensors(tmp_path / "net.pth")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ("net.pth", "net.safetensors"))
@pytest.mark.parametrize("content", (b"", b"text", b"\x80\x02K\x01.", b"PK\x03\x04"))
def test_damage_is_a_user_error(name: str, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="damaged"):
        read_tensors(put(tmp_path / name, content))


def test_a_truncated_file_is_a_user_error(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1000)}, buffer)
    with pytest.raises(UserError, match="damaged"):
        read_tensors(put(tmp_path / "net.pth", buffer.getvalue()[:-200]))


def test_a_file_without_a_table_of_tensors_is_a_user_error(tmp_path: Path) -> None:
    for content in ([torch.zeros(1)], {"epoch": 3}):
        torch.save(content, tmp_path / "net.pth")
        with pytest.raises(UserError, match="no table of tensors"):
            read_tensors(tmp_path / "net.pth")
