"""The idx format of MNIST: a header of big-endian numbers, then unsigned bytes; plain or packed with gzip.

Format: http://yann.lecun.com/exdb/mnist/ - two zero bytes, the type of the values, the number of axes, each axis as
a 32-bit number, the values in row-major order.
"""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trilemma.data.damage import reading
from trilemma.data.limits import MAX_UNPACKED_BYTES
from trilemma.errors import UserError

_UNSIGNED_BYTE = 8
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Returns the array of an idx file, uint8 with ``axes`` axes. No more is unpacked than its header promises.

    Raises:
        UserError: the file cannot be read, its header is not that of unsigned bytes with so many axes, promises nothing
            or more than 2 GiB, or the file holds more or fewer bytes than that.
    """
    where = str(path)
    with reading("idx file", where), _open(path) as stream:
        shape = _read_shape(stream, axes, where)
        size = math.prod(shape)
        data = stream.read(size + 1)  # one more than promised: nothing may follow, and gzip checks its sum at the end
    if len(data) != size:
        found = "more follow" if len(data) > size else f"it ends after {len(data):,}"
        raise UserError(f"the header promises {size:,} bytes, and {found}.", where=where, hint="Get the file again.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _open(path: Path) -> IO[bytes]:
    """Opens a file unpacked. Its first bytes tell, not its name: some archives unpack and keep the name."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def _read_shape(stream: IO[bytes], axes: int, where: str) -> tuple[int, ...]:
    wanted = bytes([0, 0, _UNSIGNED_BYTE, axes])
    magic = stream.read(4)
    if magic != wanted:
        raise UserError(
            f"this file begins with {magic.hex() or 'nothing'}; bytes on {axes} axes begin with {wanted.hex()}.",
            where=where,
        )
    shape = struct.unpack(f">{axes}I", stream.read(4 * axes))
    if not 0 < math.prod(shape) <= MAX_UNPACKED_BYTES:
        raise UserError(
            f"this file says that its shape is {shape}; 1 to {MAX_UNPACKED_BYTES:,} bytes are read.", where=where
        )
    return shape
