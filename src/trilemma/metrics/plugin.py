"""Metrics that an installed distribution brings: what one says of itself, and what it is given to compute with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from trilemma.errors import UserError, suggest
from trilemma.metrics import catalog
from trilemma.metrics.catalog import Direction, Extractor, Metric
from trilemma.plugins import Plugin, broken, find, load

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from trilemma.statistics.estimate import Estimate

Arrays = Mapping[str, "NDArray[Any]"]
Axis = Literal["quality", "diversity"]
Set = Literal["prompted", "unconditional", "within_prompt"]


class Images(Protocol):
    """A set of a model's images as every metric sees it: no pixels, but what was measured of them, row by row."""

    @property
    def rows(self) -> pd.DataFrame:
        """A row for each image: prompt, prompt_id, key, seed, what was read; see results/README.md."""

    @property
    def arrays(self) -> Arrays:
        """``features`` float32 (N, D) and ``thumbnails`` uint8 (N, 768); more where the protocol asks for more."""

    def __len__(self) -> int: ...


Compute = Callable[[Images, Arrays], "Estimate"]


@dataclass(frozen=True, kw_only=True)
class PluginMetric:
    """A metric; its name is that of its entry point in the group ``trilemma.metrics``.

    Attributes:
        title: for people. description: one sentence.
        axis: the corner that it belongs to. direction: which way is better. unit: "" for a pure number.
        compute: called as ``compute(images, real)``; ``real`` holds the arrays of the reference images, ``features``
            (M, D) at least. Returns the value with its standard error; raises UserError where there is none to be had.
        set: whose images it is given; "prompted" is the set that stands for the model.
        extractor: the network whose arrays it reads, or None.
        reference: whether it compares with real images; without them ``real`` is empty.
        version: raised when the same images would give another number.
    """

    title: str
    axis: Axis
    direction: Direction
    description: str
    compute: Compute
    unit: str = ""
    set: Set = "prompted"
    extractor: Extractor | None = "features"
    reference: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        for name, possible in (("axis", Axis), ("direction", Direction), ("set", Set)):
            value = getattr(self, name)
            if value not in get_args(possible):
                raise UserError(f"{value!r} is not possible.", where=name, hint=suggest(str(value), get_args(possible)))

    def described(self, name: str) -> Metric:
        """Returns the entry of the catalogue."""
        return Metric(
            name=name, title=self.title, direction=self.direction, unit=self.unit, axis=self.axis,
            description=self.description, set=self.set, extractor=self.extractor, version=self.version,
        )  # fmt: skip


def brought(name: str) -> PluginMetric | None:
    """Returns the metric that a plug-in brings under this name, and adds it to the catalogue; None where none does.

    Raises:
        UserError: the plug-in is broken, or the name is another's too.
    """
    plugin = find("metrics", name, own=name in catalog.OWN)
    return None if plugin is None else _loaded(plugin)


@cache
def _loaded(plugin: Plugin) -> PluginMetric:
    found = load(plugin)
    if not isinstance(found, PluginMetric):
        raise UserError(f"must be a PluginMetric, it is {found!r}.", where=plugin.where)
    catalog.METRICS[plugin.name] = found.described(plugin.name)
    return found


def computed(name: str, metric: PluginMetric, images: Images, real: Arrays) -> Estimate:
    """Returns the value; whatever other people's code does wrong becomes the reason why there is none."""
    from trilemma.statistics.estimate import Estimate, missing  # with scipy, which a list does without

    plugin = find("metrics", name)
    assert plugin is not None
    try:
        found = metric.compute(images, real)
    except UserError:
        raise
    except Exception as error:
        return missing(str(broken(plugin, error)), n=len(images), status="failed")
    if not isinstance(found, Estimate):
        return missing(f"{plugin.where}: gave {found!r}, which is no Estimate", n=len(images), status="failed")
    if found.value is not None and not math.isfinite(found.value):
        return missing(f"{plugin.where}: gave {found.value}", n=len(images), status="nan")
    return found
