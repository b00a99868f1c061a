"""The three digests of one model in one run, from its card, its protocol and what its worker said."""

from __future__ import annotations

from typing import Any

from trilemma.card import Card
from trilemma.identity import case_key, execution_key, hardware_key
from trilemma.protocol import Protocol
from trilemma.runner.environment import host


def keys_of(card: Card, protocol: Protocol, info: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """Returns {"case", "execution", "hardware"}, each with version, digest and fields."""
    machine = host()
    case = case_key(
        model=card.name,
        revision=card.revision,
        knobs=info["knobs"],
        dtype=environment["dtype"],
        protocol=protocol.name,
        protocol_version=protocol.version,
        resolution=info["resolution"],
    )
    execution = execution_key(
        batch_size=protocol.batch_size,
        batch_sizes=list(protocol.speed.batch_sizes) if protocol.speed is not None else [],
        compile=False,
        attention="default",
        threads=environment["threads"],
    )
    hardware = hardware_key(
        device=environment["device"],
        name=environment.get("name", machine["cpu"]),
        count=environment.get("count", machine["cores"]),
        memory_gib=environment.get("memory_gib", machine["memory_gib"]),
        torch=".".join(environment["torch"].split(".")[:2]),
    )
    return {key.kind: key.as_dict() for key in (case, execution, hardware)}
