"""A zip archive of images, read in place."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.image_files import ImageFiles
from trilemma.data.names import member_key
from trilemma.errors import UserError


def open_zip(path: Path) -> ImageFiles[ZipInfo]:
    """Returns the images of a zip archive; it stays open, and nothing is written to disk.

    Raises:
        UserError: this is no zip archive, or there are no images in it.
    """
    where = str(path)
    with reading("zip archive", where):
        archive = ZipFile(path)
        listed = [(member_key(member.filename, where), member) for member in archive.infolist() if not member.is_dir()]

    def read(member: ZipInfo, where: str) -> bytes:
        return _read(archive, member, where)

    return ImageFiles(where, listed, read)


def _read(archive: ZipFile, member: ZipInfo, where: str) -> bytes:
    limits.check_file_bytes(member.file_size, where)
    # The others' decoders allocate what a header tells them to.
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UserError("this member is neither stored nor deflated.", where=where, hint="Pack it again with zip.")
    with reading("member", where), archive.open(member) as file:
        return file.read()  # ends at the declared size, and compares the checksum there
