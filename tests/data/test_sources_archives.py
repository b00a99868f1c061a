"""Folders and archives that lie about what they hold: links, sizes, names, cut ends."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trilemma.data import limits
from trilemma.data.sources import open_source
from trilemma.errors import UserError


def png(value: int = 9) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1.png").write_bytes(png())
    return tmp_path / "real"


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, data: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(data))
    return path


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = size, kind, "1.png"
    return entry


def test_links_inside_a_folder_are_files_of_it(folder: Path) -> None:
    (folder / "2.png").symlink_to("1.png")
    found = open_source(folder)
    assert found.keys() == ["1.png", "2.png"]
    assert len(list(found.images())) == 2


def test_a_folder_may_be_given_by_a_link(folder: Path) -> None:
    (folder / "2.png").symlink_to("1.png")
    (folder.parent / "link").symlink_to(folder)
    assert open_source(folder.parent / "link").digest() == open_source(folder).digest()


@pytest.mark.parametrize(
    ("name", "target", "said"),
    (
        ("out.png", "../secret.png", "leads out of the folder"),
        ("out.png", "/etc/hostname", "leads out of the folder"),
        ("out.png", "nowhere.png", "cannot be read: No such file"),
        ("loop.png", "loop.png", "cannot be read"),
        ("more", "..", "leads to a folder"),
        ("more", ".", "leads to a folder"),
    ),
)
def test_links_are_not_followed_silently(folder: Path, name: str, target: str, said: str) -> None:
    (folder.parent / "secret.png").write_bytes(png())
    (folder / name).symlink_to(target)
    with pytest.raises(UserError, match=said) as caught:
        open_source(folder)
    assert caught.value.where == str(folder / name)


def test_hidden_folders_are_not_entered(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "1.png").write_bytes(b"no image")
    (folder / ".git" / "loop").symlink_to("..")
    found = open_source(folder)
    assert (found.keys(), found.skipped) == (["1.png"], 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(UserError, match="no regular file"):
        open_source(folder)


def test_a_file_that_goes_away_is_named(folder: Path) -> None:
    found = open_source(folder)
    (folder / "1.png").unlink()
    for read in (found.digest, found.size, lambda: list(found.images())):
        with pytest.raises(UserError, match="cannot be read: No such file") as caught:
            read()
        assert caught.value.where == str(folder / "1.png")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission_is_named(folder: Path) -> None:
    (folder / "1.png").chmod(0)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_source(folder).digest()


def test_files_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(png())
    sources = [
        open_source(folder),
        open_source(zipped(folder / "a.zip", {"1.png": png()})),
        open_source(tarred(folder / "a.tar", member("1.png", size), data=png())),
        open_source(tarred(folder / "a.tar.gz", member("1.png", size), data=png())),
    ]
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", size)
    assert [len(list(source.images())) for source in sources] == [1, 1, 1, 1]
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", size - 1)
    for source in sources:
        with pytest.raises(UserError, match=f"says that it is {size} bytes long"):
            source.digest()


def test_a_member_larger_than_it_declares_is_refused(tmp_path: Path) -> None:
    """The bytes that a zip's directory announces are all that is unpacked."""
    path = zipped(tmp_path / "a.zip", {"1.png": png() + bytes(10**6)}, zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    directory = data.index(b"PK\1\2")
    declared = directory + 24
    path.write_bytes(data[:declared] + struct.pack("<I", len(png())) + data[declared + 4 :])
    with pytest.raises(UserError, match="member cannot be read: Bad CRC-32"):
        open_source(path).digest()


def test_encrypted_and_exotic_members_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": png()})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="member cannot be read: .*encrypted"):
        open_source(path).digest()
    with pytest.raises(UserError, match="neither stored nor deflated"):
        open_source(zipped(tmp_path / "b.zip", {"1.png": png()}, zipfile.ZIP_LZMA)).digest()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png(1))
        archive.writestr("1.png", png(2))
    twice = [member("1.png", len(png())), member("./1.png", len(png()))]
    for path in (tmp_path / "a.zip", tarred(tmp_path / "a.tar", *twice, data=png())):
        with pytest.raises(UserError, match='two images have the name "1.png"'):
            open_source(path)


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x": png()})
    data = path.read_bytes()
    lengths = data.index(b"PK\1\2") + 28  # of the name, and of the extra field behind it
    path.write_bytes(data[:lengths] + struct.pack("<HH", 0, 1) + data[lengths + 4 :])
    with pytest.raises(UserError):
        open_source(path)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", member("\udcff.png", len(png())), data=png())
    with pytest.raises(UserError, match=r"the name '\\udcff.png' is not valid Unicode"):
        open_source(path)


@pytest.mark.parametrize("name", ("../1.png", "/1.png", "a/../../1.png"))
def test_names_that_climb_out_are_refused(name: str, tmp_path: Path) -> None:
    for path in (
        zipped(tmp_path / "a.zip", {name: png()}),
        tarred(tmp_path / "a.tar", member(name, len(png())), data=png()),
    ):
        with pytest.raises(UserError, match="points outside the archive"):
            open_source(path)


@pytest.mark.parametrize("kind", (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE))
def test_tar_members_that_are_no_files_are_refused(kind: bytes, tmp_path: Path) -> None:
    found = open_source(tarred(tmp_path / "a.tar", member("2.png", kind=kind)))
    with pytest.raises(UserError, match="no plain file"):
        found.digest()


@pytest.mark.parametrize("ending", (".tar", ".tar.gz"))
def test_a_tar_that_ends_early_is_refused(ending: str, tmp_path: Path) -> None:
    members = [member(f"{index}.png", len(png())) for index in range(3)]
    whole = tarred(tmp_path / "whole.tar", *members, data=png()).read_bytes()
    stride = tarfile.BLOCKSIZE * 2  # a header and one block of data
    garbled = bytearray(whole)
    garbled[stride + 5] ^= 1
    path = tmp_path / f"a{ending}"
    for bad in (whole[:stride], whole[: 3 * stride], whole[: stride + 100], whole[: 2 * stride - 300], bytes(garbled)):
        path.write_bytes(gzip.compress(bad) if ending == ".tar.gz" else bad)
        with pytest.raises(UserError, match="tar archive cannot be read"):
            open_source(path)
    path.write_bytes(gzip.compress(whole) if ending == ".tar.gz" else whole)
    assert len(open_source(path)) == 3


def test_a_negative_member_does_not_go_round_in_circles(tmp_path: Path) -> None:
    entry = member("2.png", -tarfile.BLOCKSIZE)
    entry.mtime = 0
    path = tmp_path / "a.tar"
    path.write_bytes(member("1.png").tobuf() + entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(UserError, match="tar archive cannot be read"):
        open_source(path)


def test_a_cut_gzip_is_refused(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", member("1.png", len(png())), data=png())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="compressed archive cannot be read"):
        open_source(path)


def test_unpacking_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 2**21)
    path = tarred(tmp_path / "a.tar.gz", member("notes.txt", 2**23), data=bytes(2**23))
    assert path.stat().st_size < 2**15
    with pytest.raises(UserError, match="longer than 2,097,152 bytes.*gunzip"):
        open_source(path)
