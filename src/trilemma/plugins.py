"""What installed distributions bring: models, metrics, extractors and data sets, found by name through entry points.

A name is looked up where it is used, and nothing of a plug-in is imported before: one that is broken is told by the
command that names it, and is nothing to all others. A name that is the suite's own, or that of two plug-ins, is refused
where it is used: whatever was meant, half of the machines would measure something else.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, get_args

from trilemma import __version__
from trilemma.errors import UserError

Kind = Literal["models", "metrics", "features", "data"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PREFIX = "trilemma"
OWN = f"{PREFIX} {__version__}"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One entry point, and the distribution that declares it.

    Attributes:
        name: by which it is asked for. target: what it points to, ``package`` or ``package.module:object``.
    """

    kind: Kind
    name: str
    target: str
    distribution: str
    version: str

    @property
    def owner(self) -> str:
        """The distribution with its version: what goes into identities, for its code may be another in the next."""
        return f"{self.distribution} {self.version}"

    @property
    def where(self) -> str:
        """The place that an error names."""
        return f'{self.owner}, entry point "{self.name}" of {PREFIX}.{self.kind}'


def plugins(kind: Kind) -> tuple[Plugin, ...]:
    """Returns the plug-ins of a kind by name; nothing of them is imported."""
    return _listed(kind, tuple(sys.path))


@functools.lru_cache(maxsize=16)
def _listed(kind: Kind, _: tuple[str, ...]) -> tuple[Plugin, ...]:
    """What is installed is a matter of the path, which is a part of the key."""
    found = [_plugin(kind, entry) for entry in entry_points(group=f"{PREFIX}.{kind}")]
    return tuple(sorted(found, key=lambda one: (one.name, one.distribution)))


def _plugin(kind: Kind, entry: EntryPoint) -> Plugin:
    name, version = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("unknown", "")
    return Plugin(kind=kind, name=entry.name, target=entry.value, distribution=name, version=version)


def find(kind: Kind, name: str, *, own: bool = False) -> Plugin | None:
    """Returns the plug-in of a name, or None.

    Args:
        own: whether the suite has something of that name itself.

    Raises:
        UserError: two have the name; it says whose they are.
    """
    found = [one for one in plugins(kind) if one.name == name]
    owners = [OWN] * own + [one.owner for one in found]
    if found and len(owners) > 1:
        places = " and ".join(owners)
        raise UserError(f'"{name}" of {PREFIX}.{kind} is brought by {places}.', hint="Uninstall one of them.")
    return found[0] if found else None


def load(plugin: Plugin) -> Any:
    """Returns what an entry point points to; raises UserError, naming it, whatever its module raises."""
    try:
        return imported(plugin.target)
    except (Exception, SystemExit) as error:  # other people's code runs when it is imported
        raise broken(plugin, error) from error


def folder(plugin: Plugin) -> Path:
    """Returns the folder of the package that an entry point names, without importing it; raises UserError."""
    try:
        spec = importlib.util.find_spec(plugin.target)
    except (Exception, SystemExit) as error:  # the packages around it are imported
        raise broken(plugin, error) from error
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise UserError(f'there is no package "{plugin.target}".', where=plugin.where)
    return Path(places[0])


def broken(plugin: Plugin, error: BaseException) -> UserError:
    """Returns the one line that tells of an error in a plug-in's code."""
    first = next(iter(str(error).splitlines()), "")
    return UserError(f"this plug-in is broken: {type(error).__name__}: {first}", where=plugin.where)


def imported(target: str) -> Any:
    """Returns what ``package.module:object`` names."""
    module, _, name = target.partition(":")
    return functools.reduce(getattr, filter(None, name.split(".")), importlib.import_module(module))
