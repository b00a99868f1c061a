"""The JSON document that a calibration is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from trilemma.runner.environment import environment, host, tool
from trilemma.scoring.calibration import Calibration
from trilemma.scoring.calibration_truth import Agreement

SCHEMA = "trilemma.calibration/1"


def as_document(calibration: Calibration, agreements: Sequence[Agreement] = ()) -> dict[str, Any]:
    """Returns a calibration as plain data. Nothing but ``created`` differs when the same is computed again.

    Keys: ``schema``, ``created`` (UTC), ``identity``, ``cells``, ``agreements`` (empty without a run),
    ``environment``.
    """
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "identity": dict(calibration.identity),
        "cells": [asdict(cell) for cell in calibration.cells],
        "agreements": [asdict(one) for one in agreements],
        "environment": {"tool": tool(), **environment(), "host": host()},
    }
