"""Tells a model whose images exist already which of them a plan asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import cast

from trilemma.generator import Assignable, Generator
from trilemma.runner.plan import Planned


def assign(generator: Generator, entries: Mapping[str, Sequence[Planned]]) -> None:
    """Hands a plan to a model with the capability "assigned"; raises UserError where an image is missing."""
    if "assigned" in generator.info.capabilities:
        cast(Assignable, generator).assign(list(chain.from_iterable(entries.values())))
