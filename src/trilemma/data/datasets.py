"""Data sets by name, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trilemma.data.located import SHARDS, is_located, located
from trilemma.errors import UserError, suggest
from trilemma.plugins import Plugin, broken, find, imported, load, plugins

if TYPE_CHECKING:
    from trilemma.data.labelled import LabelledImages

Indices = Sequence[int] | NDArray[np.int64]


@runtime_checkable
class DataSet(Protocol):
    """Pictures in named splits, and what is known of each. An index outside of its split raises UserError."""

    @property
    def name(self) -> str:
        """What cards and protocols call it."""

    @property
    def version(self) -> int:
        """Another one means other pictures."""

    @property
    def resolution(self) -> int | None:
        """Height and width of the pictures, or None where they are drawn at any."""

    def count(self, split: str) -> int:
        """Returns how many pictures a split has; a split that is drawn as it is asked for has 2 ** 63 - 1."""

    def images(self, split: str, indices: Indices, resolution: int) -> NDArray[np.uint8]:
        """Returns pictures as uint8 ``(N, resolution, resolution, 3)``, RGB."""

    def prompts(self, split: str, indices: Indices) -> list[str]:
        """Returns what each picture is asked for with."""

    def labels(self, split: str, indices: Indices) -> NDArray[np.int64]:
        """Returns the class of each picture, int64 ``(N,)``; -1 where there is none."""


@runtime_checkable
class TrainingData(DataSet, Protocol):
    """A data set that the embedded families can be trained on."""

    @property
    def training_split(self) -> str:
        """The finite split that they see."""

    @property
    def gate_split(self) -> str:
        """The split that a training is judged by; no protocol takes its prompts from it."""

    def vocabulary(self) -> list[str]:
        """Returns every word that a prompt can hold, in lower case, sorted."""

    def wrong_prompts(self, split: str, indices: Indices, rng: np.random.Generator) -> list[str]:
        """Returns for each picture a prompt that is wrong in one thing."""


class LocatedData(DataSet, Protocol):
    """A data set of shards, whose pictures can also be had as they are stored."""

    def source(self, split: str | None = None) -> LabelledImages:
        """Returns the pictures of a split; of the one that the name gives, or the only one, where none is given."""


@runtime_checkable
class Fetched(Protocol):
    """A data set that downloads one split at a time."""

    def fetch(self, split: str | None = None) -> None:
        """Downloads a split that is not at hand."""


@runtime_checkable
class PicturesApart(Protocol):
    """A data set whose prompts can be at hand without its pictures."""

    def check_pictures(self, split: str) -> None:
        """Raises UserError, with the way to get them, where the pictures of a split are missing."""


# Targets, not functions: a list of names must read no data.
OPENERS: Mapping[str, str] = MappingProxyType(
    {
        "scenes": "trilemma.data.scenes_data:open_scenes",
        "fashion-mnist": "trilemma.data.mnist:open_fashion_mnist",
        "mnist": "trilemma.data.mnist:open_mnist",
        "cifar10": "trilemma.data.cifar:open_cifar10",
        "imagenet": "trilemma.data.imagenet:open_imagenet",
        "coco": "trilemma.data.coco:open_coco",
    }
)


WEB_DATA = "trilemma.data.web_data:WebData"
PARQUET_DATA = "trilemma.data.parquet_data:ParquetData"
HUB_DATA = "trilemma.data.hub_data:HubData"


def open_data_set(name: str, *, download: bool = False) -> DataSet:
    """Returns the data set of a name. Its files are read when pictures are first asked for.

    Args:
        name: one of :data:`OPENERS`; a name of ``located``; an entry point of the group "trilemma.data", which points
            to such a function; or the path of a folder of pictures, with a "/" in it.
        download: fetch its files now where they are missing; those of the hub with :class:`Fetched`, split by split.

    Raises:
        UserError: there is no data set of that name (it suggests the nearest) or two, or fetching failed.
    """
    if is_located(name):
        return open_located(name)
    if "/" in name:
        from trilemma.data.image_folder import open_image_folder

        return open_image_folder(name)
    if (plugin := plugin_of(name)) is not None:
        return _plugged(plugin, download)
    if name not in OPENERS:
        known = [*OPENERS, *(one.name for one in plugins("data"))]
        raise UserError(f'there is no data set "{name}".', hint=suggest(name, known))
    return cast(Callable[[bool], DataSet], imported(OPENERS[name]))(download)


def count_pictures(data: DataSet, split: str) -> int:
    """Returns how many pictures a split has; raises UserError where they are missing, even if its prompts are not."""
    if isinstance(data, PicturesApart):
        data.check_pictures(split)
    return data.count(split)


def plugin_of(name: str) -> Plugin | None:
    """Returns the plug-in that brings a data set, None where none does; raises UserError where two have its name."""
    return find("data", name, own=name in OPENERS)


def _plugged(plugin: Plugin, download: bool) -> DataSet:
    opener = load(plugin)
    try:
        found = opener(download)
    except UserError:
        raise
    except Exception as error:
        raise broken(plugin, error) from error
    if not isinstance(found, DataSet):
        raise UserError(f"must open a DataSet, it opened {found!r}.", where=plugin.where)
    return found


def open_located(name: str) -> LocatedData:
    """Returns the data set that a name says all of; see ``located``. Nothing is read or downloaded yet."""
    found = located(name)
    target = WEB_DATA if found.scheme == SHARDS else PARQUET_DATA if found.path is not None else HUB_DATA
    return cast(LocatedData, imported(target)(found))


def open_training_data(name: str, *, download: bool = False) -> TrainingData:
    """Returns a data set that models can be trained on; raises UserError where it is none. See `open_data_set`."""
    data = open_data_set(name, download=download)
    if not isinstance(data, TrainingData):
        raise UserError(f'the embedded families cannot be trained on "{name}".')
    return data
