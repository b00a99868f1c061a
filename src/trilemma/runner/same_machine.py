"""Replicates are of one machine: what of it must be the same in all processes of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trilemma.errors import UserError
from trilemma.runner.environment import gpus

Machine = dict[str, Any]


def machine_of(hardware: Mapping[str, Any], described: dict[str, Any]) -> Machine:
    """Returns the class of machine, and which of its GPUs with which driver a worker is on.

    Args:
        hardware: the fields of the hardware key. described: what the worker says of its environment.
    """
    return {**hardware, "gpus": gpus(described)}


def check_machine(said: Mapping[str, Any], here: Machine, *, where: str, folder: object) -> None:
    """Raises UserError where a model was timed before, and on another machine than this.

    Args:
        said: what the record holds of the model: its "processes" so far, and the "machine" that they were on.
        where: the model. folder: of the run that was to be continued.
    """
    if said["processes"] and said["machine"] != here:
        what = f"was timed on {_named(said['machine'])} before, and this is {_named(here)}."
        hint = f"Go on there, or move {folder} away: the same command then begins anew here."
        raise UserError(what, where=where, hint=hint)


def _named(machine: Machine) -> str:
    unit = "core" if machine["device"] == "cpu" else "GPU"
    about = [f"{machine['count']} {unit}{'' if machine['count'] == 1 else 's'}", f"torch {machine['torch']}"]
    about += [f"{gpu['gpu_uuid']}, driver {gpu['driver']}" for gpu in machine["gpus"]]
    return f"{machine['name']} ({', '.join(about)})"
