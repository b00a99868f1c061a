"""The digests of one model in one run, or in one timing, from its card, its protocol and what its worker said."""

from __future__ import annotations

from typing import Any

from trilemma.card import Card
from trilemma.identity import Key, case_key, execution_key, hardware_key
from trilemma.protocol import Protocol
from trilemma.runner.environment import host

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def keys_of(card: Card, protocol: Protocol, info: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """Returns {"case", "execution", "hardware"}, each with version, digest and fields."""
    case = case_key(
        model=card.name,
        revision=card.revision,
        knobs=info["knobs"],
        dtype=DTYPES[card.precision],
        protocol=protocol.name,
        protocol_version=protocol.version,
        resolution=info["resolution"],
    )
    batch_sizes = list(protocol.speed.batch_sizes) if protocol.speed is not None else []
    execution = _execution(protocol.batch_size, batch_sizes, card.compile, environment)
    return {key.kind: key.as_dict() for key in (case, execution, _hardware(environment))}


def timing_keys(card: Card, batch_size: int, environment: dict[str, Any]) -> dict[str, Any]:
    """Returns {"execution", "hardware"} of calls that are all of one batch size."""
    execution = _execution(batch_size, [batch_size], card.compile, environment)
    keys = (execution, _hardware(environment))
    return {key.kind: key.as_dict() for key in keys}


def _execution(batch_size: int, batch_sizes: list[int], compiled: bool, environment: dict[str, Any]) -> Key:
    return execution_key(
        batch_size=batch_size,
        batch_sizes=batch_sizes,
        compile=compiled,
        attention="default",
        threads=environment["threads"],
    )


def _hardware(environment: dict[str, Any]) -> Key:
    machine = host()
    return hardware_key(
        device=environment["device"],
        name=environment.get("name", machine["cpu"]),
        count=environment.get("count", machine["cores"]),
        memory_gib=environment.get("memory_gib", machine["memory_gib"]),
        torch=".".join(environment["torch"].split(".")[:2]),
    )
