"""Records of calls that would have made tensors or numpy arrays, turned into arrays by our own arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.conversion.inert import Global, Made, Stored
from trilemma.conversion.opened import Opened, item_size, open_content
from trilemma.errors import UserError

TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
PARAMETERS = (
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter",
)  # fmt: skip
TYPED = "torch._tensor._rebuild_from_type_v2"
STORAGE = "torch.storage._load_from_bytes"
OTHER_TENSORS = "torch._utils._rebuild_"  # quantised, sparse, nested and the like
NUMPY = ("numpy.core.multiarray.", "numpy._core.multiarray.", "numpy.core.numeric.", "numpy._core.numeric.")
STORED_TYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
}  # fmt: skip
BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1, "complex64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip
NUMPY_TYPES = {
    "f8": "float64", "f4": "float32", "f2": "float16", "i8": "int64", "i4": "int32", "i2": "int16", "i1": "int8",
    "u8": "uint64", "u4": "uint32", "u2": "uint16", "u1": "uint8", "b1": "bool", "c8": "complex64",
}  # fmt: skip
NUMBERS = "biufc"  # how numpy's codes of numbers begin
MOST_DIMENSIONS = 32
MOST_WRAPPERS = 8
RECOVERED = (*TENSORS, *PARAMETERS, TYPED, STORAGE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Array:
    """Numbers of one type: ``data`` is what they are kept in, of which a view is meant.

    Attributes:
        dtype: as torch calls it.
        offset, strides: in elements.
        parameter: whether the pickle says that it is one, and no buffer.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    data: memoryview
    parameter: bool = False

    @property
    def bytes(self) -> int:
        """The size of the view, once written out."""
        return math.prod(self.shape) * BYTES[self.dtype]

    def contents(self) -> NDArray[np.uint8]:
        """Returns the view's bytes, row by row."""
        size = BYTES[self.dtype]
        if not self.bytes:
            return np.zeros(0, np.uint8)
        flat = np.frombuffer(self.data, np.dtype(f"u{size}"), count=len(self.data) // size)[self.offset :]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, [stride * size for stride in self.strides])
        return np.ascontiguousarray(view).reshape(-1).view(np.uint8)


def array_of(made: Made, opened: Opened, name: str) -> Array | None:
    """Returns the array that the call would have made; None where it would have made something else.

    Raises:
        UserError: it would have been a tensor, but of a kind that cannot be recovered, or its numbers are not there.
    """
    parameter = False
    for _ in range(MOST_WRAPPERS):
        if made.is_of(*PARAMETERS):
            parameter, inner = True, made.arguments[:1]
        elif made.is_of(TYPED):
            inner = (Made(made.arguments[0], made.arguments[2]),) if _is_typed(made.arguments) else ()
        else:
            break
        if not inner or not isinstance(inner[0], Made):
            raise _refused(opened, name, "its tensor is missing")
        made = inner[0]
    found = _unwrapped(made, opened, name)
    return replace(found, parameter=parameter) if found is not None else None


def _is_typed(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) >= 3 and isinstance(arguments[2], tuple)


def _unwrapped(made: Made, opened: Opened, name: str) -> Array | None:
    maker = str(made.maker) if isinstance(made.maker, Global) else ""
    if maker in TENSORS:
        return _tensor(made.arguments, opened, name)
    if maker.startswith(OTHER_TENSORS):
        raise _refused(opened, name, f"{maker} makes a kind of tensor that is not recovered")
    if maker.startswith(NUMPY):
        return _numpy(maker.rpartition(".")[2], made, opened, name)
    return None


def _refused(opened: Opened, name: str, why: str) -> UserError:
    return UserError(f'the tensor "{name[:200]}" cannot be recovered: {why}.', where=opened.where)


def _tensor(arguments: tuple[Any, ...], opened: Opened, name: str) -> Array:
    if len(arguments) < 4:
        raise _refused(opened, name, "its description is cut off")
    storage, offset, shape, strides, *rest = arguments
    dtype, data = _storage(storage, opened, name)
    if len(rest) >= 3 and isinstance(rest[2], Global):  # version 3 says the type apart from the storage
        dtype = rest[2].name
    return _checked(dtype, _sizes(shape), _sizes(strides), offset, data, opened, name)


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Made) and value.is_of("torch.Size") and len(value.arguments) == 1:
        value = value.arguments[0]
    fits = isinstance(value, (list, tuple)) and len(value) <= MOST_DIMENSIONS
    return tuple(value) if fits and all(type(size) is int and size >= 0 for size in value) else None


def _storage(value: Any, opened: Opened, name: str) -> tuple[str, memoryview]:
    """The type and the bytes of what a tensor is a view of: in the same file, or a file of its own in the pickle."""
    if isinstance(value, Made) and value.is_of(STORAGE) and len(value.arguments) == 1:
        opened = _inner(value, opened, name)
        value = opened.root
    if not isinstance(value, Stored) or item_size(value.key) is None:
        raise _refused(opened, name, "its storage is of an unknown kind")
    if len(value.key) > 5 and value.key[5] is not None:
        raise _refused(opened, name, "its storage is a part of another")
    kind = value.key[1].name
    return STORED_TYPES.get(kind, "uint8" if kind == "UntypedStorage" else kind), opened.load(value.key[2])


def _inner(made: Made, opened: Opened, name: str) -> Opened:
    """The file within the pickle that a storage is; read once, though many tensors may be views of it."""
    if id(made) not in opened.inner:
        raw = _raw(made.arguments[0])
        if raw is None:
            raise _refused(opened, name, "its storage holds no bytes")
        opened.inner[id(made)] = open_content(bytes(_encoded(raw)), opened.where)
    return opened.inner[id(made)]


def _raw(value: Any) -> bytes | bytearray | str | None:
    """Bytes, or the text that an old protocol wrote in their place; None of anything else."""
    if isinstance(value, Made) and value.is_of("_codecs.encode") and len(value.arguments) == 2:
        value = value.arguments[0] if value.arguments[1] in ("latin1", "latin-1") else None
    if isinstance(value, Made) and value.is_of("__builtin__.bytes", "builtins.bytes") and not value.arguments:
        return b""
    return value if isinstance(value, (bytes, bytearray, str)) else None


def _encoded(raw: bytes | bytearray | str) -> bytes | bytearray:
    return raw.encode("latin-1", "replace") if isinstance(raw, str) else raw


def _checked(
    dtype: str,
    shape: tuple[int, ...] | None,
    strides: tuple[int, ...] | None,
    offset: Any,
    data: memoryview,
    opened: Opened,
    name: str,
) -> Array:
    if dtype not in BYTES:
        raise _refused(opened, name, f"there is no place for the type {dtype[:80]} in a safetensors file")
    if shape is None or strides is None or len(shape) != len(strides) or type(offset) is not int or offset < 0:
        raise _refused(opened, name, "its shape makes no sense")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= len(data) // BYTES[dtype]:
        raise _refused(opened, name, "it is larger than what is stored of it")
    return Array(dtype=dtype, shape=shape, strides=strides, offset=offset, data=data)


def _numpy(function: str, made: Made, opened: Opened, name: str) -> Array | None:
    """An array is made empty and given (version, shape, type, whether Fortran's order, bytes); a scalar at once."""
    given: tuple[Any, ...]
    if function == "_reconstruct" and isinstance(made.state, tuple) and len(made.state) == 5:
        _, shape, dtype, fortran, content = made.state
        given = (content, dtype, shape, bool(fortran))
    elif function == "_frombuffer" and len(made.arguments) == 4:
        content, dtype, shape, order = made.arguments
        given = (content, dtype, shape, order == "F")
    elif function == "scalar" and len(made.arguments) == 2:
        given = (made.arguments[1], made.arguments[0], (), False)
    else:
        return None
    content, dtype, shape, fortran = given
    kind, raw, sizes = _numpy_type(dtype, opened, name), _raw(content), _sizes(shape)
    if kind is None or raw is None or sizes is None:
        return None  # of text or objects: it is no tensor
    if len(raw) != math.prod(sizes) * BYTES[kind]:
        raise _refused(opened, name, "its bytes are not as many as its shape says")
    strides = _strides(sizes[::-1])[::-1] if fortran else _strides(sizes)
    return _checked(kind, sizes, strides, 0, memoryview(_encoded(raw)), opened, name)


def _numpy_type(made: Any, opened: Opened, name: str) -> str | None:
    """The type that ``numpy.dtype(code, False, True)`` would have made; None where it is not one of numbers."""
    if not isinstance(made, Made) or not made.is_of("numpy.dtype") or not made.arguments:
        return None
    code = made.arguments[0]
    if not isinstance(code, str) or code[:1] not in NUMBERS:
        return None
    order = made.state[1] if isinstance(made.state, tuple) and len(made.state) > 1 else "<"
    order = order if isinstance(order, str) else "unknown"
    if code not in NUMPY_TYPES or order not in ("<", "|", "="):
        raise _refused(opened, name, f"its numbers are of numpy's type {order[:8] + code[:8]!r}")
    return NUMPY_TYPES[code]


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """In elements, row by row."""
    return tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))
