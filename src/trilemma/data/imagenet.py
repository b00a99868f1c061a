"""ImageNet's folders, ``imagenet/train/n01440764/*.JPEG``, as the challenge of 2012 packs them.

Labels are in the order of the folders' names, and the names of the classes those that torchvision gives them. They are
read out of its source, which holds nothing but the list: importing it would import torch.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from trilemma.data.home import data_folders
from trilemma.data.image_folder import ImageFolder
from trilemma.data.mixed import MixedSplit
from trilemma.errors import UserError, suggest

NAME = "imagenet"
CLASSES = 1000
# Russakovsky et al., arXiv 1409.0575, table 2
PICTURES: Mapping[str, int] = MappingProxyType({"train": 1_281_167, "val": 50_000})
_LIST = "_IMAGENET_CATEGORIES"


class ImageNet(ImageFolder):
    """The splits "train" and "val", each with a folder for each of 1,000 classes."""

    version = 2  # the published pictures, all of them: up to version 1 they were not counted

    def __init__(self) -> None:
        places = [folder / NAME for folder in data_folders()]
        super().__init__(NAME, next((place for place in places if place.is_dir()), places[0]))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the 1,000 classes, known without the pictures."""
        return imagenet_classes()

    def _listed_classes(self) -> tuple[str, ...]:
        """With any of the 1,000 folders missing, labels would be those of other classes."""
        found = super()._listed_classes()
        if len(found) != CLASSES:
            raise UserError(
                f"there are folders of {len(found)} classes here, not of {CLASSES:,}.", where=str(self.root)
            )
        return found

    def _opened(self, split: str, folders: list[str]) -> MixedSplit:
        """Measurements of a split are kept under its name alone, so it must be the published one, and whole."""
        if split not in PICTURES:
            raise UserError(f'"{NAME}" has no split "{split}".', hint=suggest(split, PICTURES))
        opened = super()._opened(split, folders)
        if len(opened.files) != PICTURES[split]:
            raise UserError(
                f"there are {len(opened.files):,} pictures of the split here, not {PICTURES[split]:,}.",
                where=str(self.root / split),
                hint='Unpack all of them. A part of ImageNet is a folder of your own, such as data = "../pictures".',
            )
        return opened


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """Returns the names of the 1,000 classes in the order of their labels; raises UserError without torchvision."""
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        raise UserError("the names of ImageNet's classes are torchvision's, which is not installed.")
    source = Path(package.origin).parent / "models" / "_meta.py"
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and any(
            getattr(target, "id", "") == _LIST for target in statement.targets
        ):
            names = tuple(ast.literal_eval(statement.value))
            assert len(names) == CLASSES
            return names
    raise UserError(f"this torchvision does not list ImageNet's classes as {_LIST}.", where=str(source))


def open_imagenet(download: bool = False) -> ImageNet:
    """Returns ImageNet. It is not downloaded: its terms have to be agreed to on its page."""
    return ImageNet()
