"""What a model says of itself, as the record keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trilemma.generator import Generator


def info_of(generator: Generator, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a loaded model's description with the knobs that it runs at."""
    info = generator.info
    return {
        "name": info.name,
        "family": info.family,
        "resolution": info.resolution,
        "parameters": info.parameters,
        "knobs": dict(knobs),
        "declared_knobs": [asdict(knob) for knob in info.knobs],
        "capabilities": sorted(info.capabilities),
        **({"unknown": dict(info.unknown)} if info.unknown else {}),
        **({"runtime": dict(info.runtime)} if info.runtime else {}),
    }
