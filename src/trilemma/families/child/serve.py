"""Serves one generator over pipes, in a Python of its own: ``python serve.py``. It needs Python 3.8, and nothing else.

A message is a header (two big-endian numbers: how long its JSON is, in 4 bytes, and its data, in 8), the JSON, and the
data. Requests come in on what was standard input, answers go out on what was standard output; whatever else reads or
prints meets an empty input, and standard error. Nothing is ever pickled.

    {"do": "load", "factory": "package.module:function", "card": {...}, "device": "cpu"}
    {"do": "generate", "prompts": [...], "seeds": [...], "knobs": {...}}
        -> {"shape": [B, 3, H, W], ...} and as many bytes

An answer with "error" in it says what was raised. When requests end, so does this process, whatever it is doing, with
all that it has forked.
"""

from __future__ import annotations

import importlib
import json
import operator
import os
import platform
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    Message = dict[str, Any]

HEADER = struct.Struct(">IQ")
FRAMEWORKS = ("torch", "numpy", "tensorflow", "jax")  # told with their versions, where the generator brought them in


class Card:
    """The card of the model as attributes, as factories in the suite's own process see it."""

    def __init__(self, fields: Message) -> None:
        self.__dict__.update(fields)
        self.path = Path(fields["path"])

    def weight(self, name: str) -> Path:
        """Returns the path of a weight file that the card lists."""
        if name not in self.__dict__.get("weights", {}):
            raise ValueError(f'the card lists no weights "{name}"')
        return self.path / name


class Server:
    """Holds the generator between requests."""

    def __init__(self) -> None:
        self.generator: Any = None

    def answer(self, request: Message) -> tuple[Message, bytes]:
        """Returns the answer to a request, and its data."""
        if request["do"] == "load":
            return self._load(request), b""
        return self._generate(request)

    def _load(self, request: Message) -> Message:
        card = Card(request["card"])
        sys.path.append(str(card.path))  # last: a file beside a card must shadow nothing that is installed
        module, _, function = request["factory"].partition(":")
        self.generator = getattr(importlib.import_module(module), function)(card, request["device"])
        return dict(describe(self.generator), runtime=dict(versions()))

    def _generate(self, request: Message) -> tuple[Message, bytes]:
        start = time.perf_counter()
        images = self.generator.generate(request["prompts"], request["seeds"], **request["knobs"])
        shape, data = pixels(images)
        return {"shape": shape, "evaluations": counted(self.generator), "seconds": time.perf_counter() - start}, data


def describe(generator: Any) -> Message:
    """Returns what a generator says of itself; what it does not say is null."""
    info = getattr(generator, "info", None)
    knobs = field(info, "knobs") or ()
    names = ("name", "kind", "default", "minimum", "maximum", "description")
    return {
        "resolution": field(info, "resolution"),
        "parameters": field(info, "parameters"),
        "knobs": [{name: field(knob, name) for name in names} for knob in knobs],
        "capabilities": sorted(field(info, "capabilities") or ()),
        "counts": counted(generator) is not None,
        "generates": callable(getattr(generator, "generate", None)),
    }


def counted(generator: Any) -> int | None:
    """Returns how many evaluations a generator has counted; None where it counts none."""
    try:
        return operator.index(getattr(generator, "evaluations", None))  # type: ignore[arg-type]
    except TypeError:
        return None


def field(holder: Any, name: str) -> Any:
    """Returns an entry of a dictionary or an attribute of anything else, None where there is neither."""
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def versions() -> Iterator[tuple[str, str]]:
    """Yields what the generator runs on."""
    yield "python", platform.python_version()
    for name in FRAMEWORKS:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            yield name, str(version)


def pixels(images: Any) -> tuple[list[int], bytes]:
    """Returns shape and bytes of uint8 images: a tensor, an array, or anything with a shape and ``tobytes``."""
    if hasattr(images, "detach"):  # a tensor of torch
        images = images.detach().cpu().contiguous()
        if "uint8" not in str(images.dtype):
            raise TypeError(f"generate must return uint8, it returned {images.dtype}")
        try:
            images = images.numpy()
        except RuntimeError:  # a torch that was built for another NumPy
            return list(images.shape), bytes(images.flatten().tolist())
    kind = str(getattr(images, "dtype", getattr(images, "format", type(images).__name__)))
    if kind not in ("uint8", "B"):
        raise TypeError(f"generate must return uint8 (B, 3, H, W), it returned {kind}")
    return [int(length) for length in images.shape], images.tobytes()


def failure(error: BaseException) -> Message:
    """Returns an error as an answer says it."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    told = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc(), "module": name}
    return {"error": told}


def read(stream: BinaryIO) -> Message:
    """Returns the next request; EOFError where there is none any more."""
    length, _ = HEADER.unpack(exactly(stream, HEADER.size))
    request: Message = json.loads(exactly(stream, length).decode("utf-8"))
    return request


def exactly(stream: BinaryIO, size: int) -> bytes:
    """Returns so many bytes."""
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def encoded(answer: Message) -> bytes:
    """Returns an answer as JSON; numbers of NumPy and torch, which a generator may say of itself, as Python's own."""
    return json.dumps(answer, default=lambda value: value.item()).encode("utf-8")


def write(stream: BinaryIO, text: bytes, data: bytes) -> None:
    """Sends one answer."""
    stream.write(HEADER.pack(len(text), len(data)) + text)
    stream.write(data)
    stream.flush()


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Claims standard input and output for messages; what else prints goes to standard error."""
    # Unbuffered: a buffer that a thread is reading from cannot be closed when the interpreter ends.
    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


def listen(requests: BinaryIO, waiting: queue.Queue[Message]) -> None:
    """Takes requests down, and ends the process when there are none any more: its parent is gone, or done with it."""
    try:
        while True:
            waiting.put(read(requests))
    except EOFError:
        leave()


def leave() -> None:
    """Ends this process at once, and the group that it was made the leader of."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def main() -> None:
    """Answers requests in turn."""
    beside = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != beside]
    requests, answers = take_pipes()
    waiting: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=listen, args=(requests, waiting), daemon=True).start()
    server = Server()
    while True:
        try:
            answer, data = server.answer(waiting.get())
            text = encoded(answer)
        except Exception as error:  # whatever somebody's code raises is told to the parent
            text, data = encoded(failure(error)), b""
        write(answers, text, data)


if __name__ == "__main__":
    main()
