"""Damaged input becomes one line for the user, whatever the library that met it raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trilemma.errors import UserError


@contextmanager
def reading(kind: str, where: str) -> Iterator[None]:
    """Runs a block that parses foreign bytes; any exception in it becomes a UserError that names kind and place.

    Parsers answer damaged bytes with almost anything (OSError, SyntaxError, struct.error, KeyError, ...), and which one
    is no promise of theirs; so all of them are taken. Wrap the call of the parser and nothing else.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # An OSError's own text repeats the path.
        told = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        reason = " ".join(told.split()).rstrip(".")
        raise UserError(f"this {kind} cannot be read: {reason}.", where=where, hint="Replace or remove it.") from None
