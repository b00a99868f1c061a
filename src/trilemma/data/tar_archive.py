"""A tar archive of images: read in place, or, where it is compressed, unpacked in memory up to a limit.

A compressed tar has no random access, and its members are seldom sorted. Nothing is ever written to disk.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.image_files import ImageFiles
from trilemma.data.names import member_key
from trilemma.errors import UserError

COMPRESSED_ENDINGS = (".tar.gz", ".tgz")
TAR_ENDINGS = (".tar", *COMPRESSED_ENDINGS)
_CHUNK_BYTES = 2**20


def open_tar(path: Path) -> ImageFiles[tarfile.TarInfo]:
    """Returns the images of a ``.tar``, ``.tar.gz`` or ``.tgz``.

    Raises:
        UserError: this is no tar archive or a damaged one, there are no images in it, or it is compressed and has more
            than ``limits.MAX_UNPACKED_BYTES``.
    """
    where = str(path)
    data = _unpacked(path) if path.name.lower().endswith(COMPRESSED_ENDINGS) else None

    def opened() -> BinaryIO:
        return path.open("rb") if data is None else io.BytesIO(data)

    def read(member: tarfile.TarInfo, where: str) -> bytes:
        return _read(opened, member, where)

    return ImageFiles(where, _listed(opened, where), read)


def _unpacked(path: Path) -> bytes:
    data = io.BytesIO()
    with reading("compressed archive", str(path)), gzip.open(path) as stream:
        while part := stream.read(_CHUNK_BYTES):
            data.write(part)
            if data.tell() > limits.MAX_UNPACKED_BYTES:
                raise UserError(
                    f"this archive is longer than {limits.MAX_UNPACKED_BYTES:,} bytes when it is unpacked.",
                    where=str(path),
                    hint="Unpack it with gunzip: a .tar of any length is read in place.",
                )
    return data.getvalue()


def _listed(opened: Callable[[], BinaryIO], where: str) -> Iterator[tuple[str, tarfile.TarInfo]]:
    with reading("tar archive", where), opened() as file:
        members = list(members_of(file))
    return ((member_key(member.name, where), member) for member in members if not member.isdir())


def members_of(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yields the members of an archive, one at a time and none of them kept; wrap it in ``damage.reading``.

    Raises:
        ValueError: the archive is damaged or cut off.
    """
    count = 0
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined] # it would remember them all
            count += 1
            yield _sound(member)
        file.seek(archive.offset)
        # tarfile takes a damaged header, or a lost tail, for the end; the true end is a block of zeros.
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise ValueError(f"it is damaged or cut off after {count} members")


def _sound(member: tarfile.TarInfo) -> tarfile.TarInfo:
    if member.size < 0:  # older versions of tarfile go round in circles then (CVE-2025-8194)
        raise ValueError(f"the member {member.name!a} has a negative size")
    return member


def _read(opened: Callable[[], BinaryIO], member: tarfile.TarInfo, where: str) -> bytes:
    limits.check_file_bytes(member.size, where)
    if not member.isreg() or member.issparse():
        raise UserError("this member is no plain file.", where=where, hint="Pack the files themselves, not links.")
    with reading("member", where), opened() as file:
        file.seek(member.offset_data)
        data = file.read(member.size)
        if len(data) < member.size:
            raise EOFError("the archive is cut off")
        return data
