"""What a protocol needs and has not got, downloaded where that is asked for."""

from __future__ import annotations

from trilemma.data.datasets import Fetched, open_data_set
from trilemma.data.located import anchored, is_located
from trilemma.features import named
from trilemma.protocol import Protocol
from trilemma.runner.reference_sets import reference_sets


def fetch(protocol: Protocol) -> None:
    """Downloads the weights and the data set of a protocol as far as they are missing and are offered anywhere.

    Raises:
        UserError: a download failed, or gave something else than what was published.
    """
    if protocol.knows_truth:
        return
    named.fetch(protocol)
    if "/" in protocol.data and not is_located(protocol.data):
        return
    data = open_data_set(anchored(protocol.data, protocol.home), download=True)
    if isinstance(data, Fetched):
        for split in _splits(protocol):
            data.fetch(split)


def _splits(protocol: Protocol) -> list[str]:
    """Returns the splits that the protocol takes images or captions of."""
    real = [entry.split for entry in reference_sets(protocol)]
    return sorted({split for split in [*real, *(entry.split for entry in protocol.sets)] if split})
