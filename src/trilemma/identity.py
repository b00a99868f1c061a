"""What a sample and a series of numbers are called: seeds, keys and the three versioned digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trilemma.errors import UserError, suggest

KEY_VERSION = 1
# Everything that changes pixels in distribution. Paths, verbosity, retries and the run seed are in none of the three.
CASE_FIELDS = ("model", "revision", "knobs", "dtype", "protocol", "protocol_version", "resolution")
# Everything that changes speed alone.
EXECUTION_FIELDS = ("batch_size", "batch_sizes", "compile", "attention", "threads")
# The class of machine, not the machine.
HARDWARE_FIELDS = ("device", "name", "count", "memory_gib", "torch")


def canonical(value: Any) -> str:
    """Returns the one JSON text of a value: keys sorted, no spaces, no NaN (ValueError)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Returns the sha256 of a value's canonical JSON, 64 hex characters."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the sha256 of a file's bytes, 64 hex characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sample_seed(protocol: str, run_seed: int, prompt_id: str, index: int) -> int:
    """Returns the seed of one image, in [0, 2**63): nothing of the model is in it, so that models are paired."""
    return int(digest(["seed", protocol, run_seed, prompt_id, index])[:16], 16) >> 1


def sample_key(protocol: str, set_name: str, prompt_id: str, index: int) -> str:
    """Returns the name of one entry of a plan, 16 hex characters."""
    return digest(["key", protocol, set_name, prompt_id, index])[:16]


@dataclass(frozen=True, kw_only=True)
class Key:
    """One of the three digests with the fields that it was taken over, so that a difference can be named."""

    kind: str
    digest: str
    fields: Mapping[str, Any]
    version: int = KEY_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Returns the form that ``run.json`` holds."""
        return {"version": self.version, "digest": self.digest, "fields": dict(self.fields)}


def _key(kind: str, declared: tuple[str, ...], fields: Mapping[str, Any]) -> Key:
    for name in fields:
        if name not in declared:
            raise UserError(f'unknown field "{name}" of the {kind} key.', hint=suggest(name, declared))
    missing = [name for name in declared if name not in fields]
    if missing:
        raise UserError(f"the {kind} key lacks {', '.join(missing)}.")
    return Key(kind=kind, fields=dict(fields), digest=digest([kind, KEY_VERSION, dict(fields)]))


def case_key(**fields: Any) -> Key:
    """Returns the digest of :data:`CASE_FIELDS`; a missing or an unknown field raises UserError."""
    return _key("case", CASE_FIELDS, fields)


def execution_key(**fields: Any) -> Key:
    """Returns the digest of :data:`EXECUTION_FIELDS`; a missing or an unknown field raises UserError."""
    return _key("execution", EXECUTION_FIELDS, fields)


def hardware_key(**fields: Any) -> Key:
    """Returns the digest of :data:`HARDWARE_FIELDS`; a missing or an unknown field raises UserError."""
    return _key("hardware", HARDWARE_FIELDS, fields)
