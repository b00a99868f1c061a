"""The containers that pickles come in: torch's zip file, torch's older stream, a plain pickle."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trilemma.conversion.inert import Global, Stored, get
from trilemma.conversion.machine import DAMAGED, run
from trilemma.errors import UserError

ZIP = b"PK\x03\x04"
PICKLE = "data.pkl"
SCRIPT = "constants.pkl"  # only TorchScript has it
ZIP_DAMAGED = (zipfile.BadZipFile, RuntimeError, OSError, *DAMAGED)
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of torch's older stream
Content = bytes | mmap.mmap
Load = Callable[[str], memoryview]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a file's pickle holds, and how the bytes are had that it refers to by key.

    ``inner`` keeps the files within the pickle that were read, by the identity of what holds them.
    """

    root: Any
    load: Load
    where: str
    inner: dict[int, Opened] = field(default_factory=dict)


def open_source(path: Path) -> Opened:
    """Returns a file's content; nothing in it is executed, and what is stored in it is read when it is asked for.

    Raises:
        UserError: there is no such file, it is damaged, or it is of a kind that is not read.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise UserError("this file is empty.", where=str(path)) from None
    except OSError as error:
        raise UserError(f"cannot read this file: {error.strerror}.", where=str(path)) from None
    return open_content(content, str(path))


def open_content(content: Content, where: str) -> Opened:
    """As :func:`open_source`, of bytes in memory."""
    if content[:4] == ZIP:
        return _zip(content, where)
    stream = content if isinstance(content, mmap.mmap) else io.BytesIO(content)
    first = run(stream, _persistent, where)
    if first == MAGIC:
        return _stream(stream, content, where)
    if stream.tell() != len(content):
        raise UserError("something follows the pickle in this file; it is not read.", where=where)
    return Opened(root=first, load=_nothing_stored(where), where=where)


def _persistent(key: Any) -> Any:
    """A class, of one that torch's older stream wraps with the text of its source: the name is enough."""
    wraps = isinstance(key, tuple) and len(key) == 4 and key[0] == "module" and isinstance(key[1], Global)
    return key[1] if wraps else Stored(key)


def _nothing_stored(where: str) -> Load:
    def load(key: str) -> memoryview:
        raise UserError(f"the pickle refers to {key[:80]!r}, which is not in the file.", where=where)

    return load


def _zip(content: Content, where: str) -> Opened:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else where)
    except ZIP_DAMAGED as error:
        raise UserError(f"this zip file is damaged: {error}.", where=where) from None
    members = {info.filename: info for info in archive.infolist()}
    roots = [name for name in members if name.rpartition("/")[2] == PICKLE and name.count("/") <= 1]
    if len(roots) != 1:
        raise UserError(f"this zip file is none of torch's: it holds {len(roots)} files {PICKLE}.", where=where)
    prefix = roots[0].removesuffix(PICKLE)
    if prefix + SCRIPT in members:
        hint = 'The family "torchscript" runs it as it is.'
        raise UserError("this is TorchScript, which holds a program.", where=where, hint=hint)
    kept: dict[str, memoryview] = {}

    def load(key: str) -> memoryview:
        if key not in kept:
            kept[key] = memoryview(_member(archive, members.get(f"{prefix}data/{key}"), key, where))
        return kept[key]

    order = members.get(f"{prefix}byteorder")
    if order is not None and _member(archive, order, "byteorder", where) != b"little":
        raise UserError("this file is of a big-endian machine; it is not read.", where=where)
    pickled = _member(archive, members[roots[0]], PICKLE, where)
    return Opened(root=run(io.BytesIO(pickled), _persistent, where), load=load, where=where)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, name: str, where: str) -> bytes:
    """Stored as torch does, without compression; what is compressed is not of torch, and may be a bomb."""
    if info is None:
        raise UserError(f"the pickle refers to {name[:80]!r}, which is not in the file.", where=where)
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise UserError(f"{name[:80]!r} is compressed or encrypted, as torch never does; it is not read.", where=where)
    try:
        return archive.read(info)
    except ZIP_DAMAGED as error:
        raise UserError(f"{name[:80]!r} is damaged: {error}.", where=where) from None


def _stream(stream: io.BytesIO | mmap.mmap, content: Content, where: str) -> Opened:
    """Behind the magic number: a version, the machine, the object, the keys of what is stored, and that, in order."""
    sizes: dict[str, int] = {}

    def persistent(key: Any) -> Any:
        size = item_size(key)
        if size is not None:
            sizes[key[2]] = size
        return _persistent(key)

    run(stream, where=where)
    machine = run(stream, where=where)
    if get(machine, "little_endian") is False:
        raise UserError("this file is of a big-endian machine; it is not read.", where=where)
    root = run(stream, persistent, where)
    keys = run(stream, where=where)
    places = _places(content, stream.tell(), keys, sizes, where)

    def load(key: str) -> memoryview:
        if key not in places:
            return _nothing_stored(where)(key)
        return memoryview(content)[slice(*places[key])]

    return Opened(root=root, load=load, where=where)


def _places(content: Content, at: int, keys: Any, sizes: dict[str, int], where: str) -> dict[str, tuple[int, int]]:
    """Where each storage begins and ends: a count of elements, then the elements."""
    places = {}
    for key in keys if isinstance(keys, list) else ():
        if len(content) < at + 8 or not isinstance(key, str) or key not in sizes:
            raise UserError("this file is cut off, or names what it does not store.", where=where)
        (count,) = struct.unpack("<q", content[at : at + 8])
        begin, at = at + 8, at + 8 + count * sizes[key]
        if count < 0 or at > len(content):
            raise UserError("this file is cut off.", where=where)
        places[key] = (begin, at)
    return places


ITEM_SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
    "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4,
}  # fmt: skip


def item_size(key: Any) -> int | None:
    """Returns the bytes of an element of what ``("storage", its type, key, device, count, …)`` refers to, or None."""
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
        return None
    return ITEM_SIZES.get(key[1].name) if isinstance(key[1], Global) and isinstance(key[2], str) else None
