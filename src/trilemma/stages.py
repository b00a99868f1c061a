"""The stages of one call to ``generate``: what a model marks, and what listens while it is timed.

A family wraps its parts in ``with stage("text")``, ``"sample"`` or ``"decode"``. Where nobody listens that costs
nothing, and so is left in the code that makes the images that are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

Listener = Callable[[str], AbstractContextManager[object]]

TEXT, SAMPLE, DECODE = STAGES = ("text", "sample", "decode")

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def stage(name: str) -> AbstractContextManager[object]:
    """Returns the context of one stage of a call; one name may be entered several times in a call."""
    listener = _listener.get()
    return nullcontext() if listener is None else listener(name)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Sends every stage that is entered inside to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
