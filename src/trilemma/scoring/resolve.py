"""What a name on the command line stands for: a path, a data set, Scenes, a run's model, or a registered model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trilemma.at_hand import refuse_random
from trilemma.data import scenes
from trilemma.data.array_file import holds_images
from trilemma.data.datasets import Fetched, open_located
from trilemma.data.located import is_located
from trilemma.data.scenes_source import scenes_source
from trilemma.data.sources import ImageSource, open_source
from trilemma.errors import UserError, suggest
from trilemma.features.presets import PRESETS, Preset, preset
from trilemma.metrics.statistics_file import holds_statistics
from trilemma.plugins import plugins
from trilemma.protocol import Protocol
from trilemma.protocols import find_protocol
from trilemma.registry import find_card, model_names
from trilemma.scoring.copies import PIXELS
from trilemma.scoring.drawing import DrawnImages, Progress
from trilemma.scoring.prompts import Rows, read_prompts, with_prompts
from trilemma.scoring.reference_statistics import statistics_of
from trilemma.scoring.side import Side
from trilemma.scoring.stored import stored_side
from trilemma.scoring.views import Chosen
from trilemma.workspace import Workspace, find_workspace

SCENES = "scenes"
DEFAULT_SPLIT = "reference"


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Finds sides by name.

    Attributes:
        root: the workspace, where it is not the one around the working folder.
        runs: the folder of runs, where it is not the workspace's.
        seed: chooses images where not all are taken, and draws those of a model.
        device: where a model draws. drawing: is told how many images a model has drawn, and of how many.
    """

    root: Path | None = None
    runs: Path | None = None
    seed: int = 0
    device: str = "auto"
    drawing: Progress | None = None
    download: bool = False

    def side(self, name: str, count: int | None = None, prompts: Path | None = None) -> Side:
        """Returns what a name stands for.

        Args:
            count: so many of its images. Of files they are chosen by the seed, for they lie in the order of names;
                of everything else they are the first. None takes all, or what the protocol has of them.
            prompts: a text file with one prompt per line for the images in their order.

        Raises:
            UserError: nothing has that name, several things have it, or it has fewer images than ``count``.
        """
        if count is not None and count < 1:
            raise UserError(f"at least one image is needed, got {count}.", where=name)
        found = self._data if is_located(name) else self._one(name)
        if prompts is None:
            return found(name, count)
        if found not in (self._path, self._data):
            raise UserError("prompts are for images in files; these have their own.", where=str(prompts))
        return found(name, count, prompts)

    def _one(self, name: str) -> Callable[..., Side]:
        """Returns the reader of the one thing that has this name."""
        if _names_run_folder(name):
            return self._run
        ways: dict[str, tuple[bool, Callable[..., Side]]] = {
            "a path": (_is_path(name) or Path(name).expanduser().exists(), self._path),
            "Scenes": (name.partition(":")[0] == SCENES and not _is_path(name), self._scenes),
            "a model": (not _is_path(name) and name in self._models(), self._model),
            "a run's model": (":" in name and not _is_path(name) and name.partition(":")[0] != SCENES, self._run),
        }
        fitting = {what: way for what, (fits, way) in ways.items() if fits}
        if len(fitting) == 1:
            return next(iter(fitting.values()))
        if fitting:
            raise UserError(f'"{name}" is {" and ".join(fitting)}.', hint=f"Write .{os.sep}{name} for the path.")
        known = [SCENES, *self._models()]
        raise UserError(
            f'there is no "{name}": no such path, run, model or split.',
            hint=f"{suggest(name, known)} A run's model is RUN:MODEL.",
        )

    def _models(self) -> list[str]:
        """The names of the workspace's models and of plug-ins'; none of the former where there is no workspace."""
        plugged = [plugin.name for plugin in plugins("models")]
        try:
            return [*model_names(self._workspace()), *plugged]
        except UserError:
            if self.root is not None:
                raise
            return plugged

    def _workspace(self) -> Workspace:
        return find_workspace(self.root)

    def _path(self, name: str, count: int | None, prompts: Path | None = None) -> Side:
        path = Path(name).expanduser()
        statistics = statistics_of(path) if path.is_file() and holds_statistics(path) else None
        if statistics is not None and not holds_images(path):
            return _statistics_alone(Side(name=name, kind="statistics", statistics=statistics), count)
        return replace(self._of_source(name, open_source(path), count, prompts), statistics=statistics)

    def _data(self, name: str, count: int | None, prompts: Path | None = None) -> Side:
        """The pictures of a data set as they are stored, with their captions where they have any."""
        data = open_located(name)
        if self.download and isinstance(data, Fetched):
            data.fetch()
        source = data.source()
        side = self._of_source(name, source, count, prompts)
        if prompts is not None or not source.has_captions:
            return side
        return replace(side, prompts=tuple(source.captions(self._rows(source, count))))

    def _of_source(self, name: str, source: ImageSource, count: int | None, prompts: Path | None) -> Side:
        rows = self._rows(source, count)
        side = Side(name=name, kind="images", images=_chosen(source, rows))
        return side if prompts is None else with_prompts(side, read_prompts(prompts, source), rows)

    def _rows(self, source: ImageSource, count: int | None) -> Rows:
        if count is not None and count > len(source):
            raise UserError(f"there are {len(source)} images here; {count} are asked for.", where=source.name)
        order = np.random.default_rng(self.seed).permutation(len(source))
        return np.sort(order[:count])

    def _scenes(self, name: str, count: int | None) -> Side:
        protocol = find_protocol(SCENES, self._workspace())
        splits = _splits(protocol)
        split = name.partition(":")[2] or DEFAULT_SPLIT
        if split not in splits:
            raise UserError(f'Scenes have no split "{split}".', where=name, hint=suggest(split, splits))
        images = splits[split] if count is None else count
        source = scenes_source(split, images, protocol.resolution)
        return Side(name=name, kind="scenes", images=source, prompts=tuple(scenes.captions(split, range(images))))

    def _model(self, name: str, count: int | None) -> Side:
        workspace = self._workspace()
        card, protocol = find_card(name, workspace), find_protocol(SCENES, workspace)
        refuse_random([card])
        drawn = DrawnImages(card, protocol, seed=self.seed, count=count, device=self.device, progress=self.drawing)
        origin = {"revision": card.revision, "protocol": protocol.name, "version": protocol.version, "seed": self.seed}
        return Side(name=name, kind="model", images=drawn, prompts=drawn.prompts, origin=origin)

    def _run(self, name: str, count: int | None) -> Side:
        run, _, model = name.rpartition(":")
        return stored_side(name, run, model, self.runs or self._workspace().runs, count)


def default_presets(real: Side, fake: Side) -> tuple[Preset, ...]:
    """Returns the preset that is meant where none is named: that of Scenes for two sides of Scenes, else FID."""
    of_scenes = all(side.kind in ("scenes", "model", "run") for side in (real, fake))
    return (preset("scenes" if of_scenes else "fid"),)


def named_presets(names: str) -> tuple[Preset, ...]:
    """Returns the presets of a list with commas, each once.

    Raises:
        UserError: there is no such preset (it suggests the nearest), or none is named.
    """
    wanted = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
    if not wanted:
        raise UserError("no preset is named.", where="--preset", hint=f"Known: {', '.join([*PRESETS, PIXELS.name])}.")
    return tuple(PIXELS if name == PIXELS.name else preset(name) for name in wanted)


def _chosen(source: ImageSource, rows: Rows) -> ImageSource:
    return source if len(rows) == len(source) else Chosen(source, rows)


def _is_path(name: str) -> bool:
    separators = [os.sep, *([os.altsep] if os.altsep else [])]
    return name.startswith((".", "~")) or any(separator in name for separator in separators)


def _names_run_folder(name: str) -> bool:
    """Whether this is FOLDER:MODEL with the path of a run's folder."""
    folder, colon, _ = name.rpartition(":")
    return bool(colon) and _is_path(folder) and (Path(folder).expanduser() / "run.json").is_file()


def _statistics_alone(side: Side, count: int | None) -> Side:
    if count is not None:
        raise UserError("statistics are of all their images; no number of them can be taken.", where=side.name)
    return side


def _splits(protocol: Protocol) -> dict[str, int]:
    """Returns the splits that a protocol knows, and how many images it takes of each."""
    known = protocol.reference
    real = (
        {}
        if known is None
        else {
            known.split: known.images,
            known.heldout_split: known.heldout_images,
            known.floor_split: known.floor_images,
            known.training_split: known.training_images,
        }
    )
    return real | {entry.split: entry.images for entry in protocol.sets if entry.split}
