"""What cannot be compared is refused before any network runs, with the reason and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trilemma.data.sources import ImageSource
from trilemma.errors import UserError
from trilemma.features.presets import Preset
from trilemma.scoring.copies import PIXELS, THUMBNAILS
from trilemma.scoring.differences import differences
from trilemma.scoring.networks import without_outputs
from trilemma.scoring.side import Side, Statistics

RUN_PRESET = "scenes"
Size = tuple[int, int]
RESIZE = "Give --resize R to bring all images to R x R."


def check_kinds(real: Side, fake: Side, presets: Sequence[Preset], resize: int | None) -> None:
    """Raises UserError where a side has not what the presets measure, whatever its images may be like."""
    if fake.images is None and fake.stored is None:
        raise UserError(
            "these are reference statistics; what is judged must be images.",
            where=fake.name,
            hint="Give them as REAL, the first of the two.",
        )
    for side in (real, fake):
        _check_stored(side, presets, resize)


def check_training(real: Side, training: Side, resize: int | None) -> None:
    """Raises UserError where there are no images to test for copies with: on the side of training, or of real ones."""
    for side, needed in ((training, "training images"), (real, "real images that were held out from training")):
        if side.images is None and side.stored is None:
            raise UserError(
                f"these are reference statistics; the copy test needs {needed}.",
                where=side.name,
                hint="Give images, or leave out --training.",
            )
    _check_stored(training, (PIXELS,), resize)


def check_sizes(*sides: Side) -> None:
    """Raises UserError where images differ in size, inside a side or between sides; the sizes are named."""
    sizes = [named for side in sides for named in _sizes(side)]
    if len({size for _, size in sizes}) > 1:
        told = " and ".join(f"{_text(size)} in {name}" for name, size in sizes)
        gone = any(side.stored is not None for side in sides)
        raise UserError(f"the images differ in size: {told}.", hint=None if gone else RESIZE)


def check_statistics(
    statistics: Statistics, preset: Preset, extractor: Mapping[str, Any], width: int, resize: int | None, where: str
) -> None:
    """Raises UserError unless statistics can stand for the features of a preset's network.

    Files of other suites do not tell their network: of these only the width can be checked.
    """
    told = statistics.content.identity
    if "extractor" in told:
        own = {"extractor": dict(extractor), "resize": resize}
        theirs = {"extractor": _extractor_of(told), "resize": told.get("resize")}
        first = next(differences(theirs, own), None)
        if first is not None:
            raise UserError(
                f'these are statistics of another extractor than that of "{preset.name}": {first.field} is {first.a!r}'
                f" there, {first.b!r} here.",
                where=where,
                hint=f"Write them anew: trilemma stats SOURCE OUT.npz --preset {preset.name}.",
            )
    found = len(statistics.content.features.mean_D)
    if found != width:
        raise UserError(
            f'these statistics are of {found} features; those of "{preset.name}" are {width}: another extractor.',
            where=where,
        )


def _extractor_of(identity: Mapping[str, Any]) -> Any:
    """Whatever lies in a file under that name: a table if we wrote it."""
    extractor = identity["extractor"]
    return without_outputs(extractor) if isinstance(extractor, Mapping) else extractor


def _check_stored(side: Side, presets: Sequence[Preset], resize: int | None) -> None:
    if side.stored is None:
        return
    others = [preset.name for preset in presets if preset.name not in (RUN_PRESET, PIXELS.name)]
    if others:
        raise UserError(
            f'a run keeps the features of the preset "{RUN_PRESET}" and no images; "{others[0]}" needs images.',
            where=side.name,
            hint=f"Give --preset {RUN_PRESET}, or the model's name to draw its images anew.",
        )
    if PIXELS in presets and THUMBNAILS not in side.stored.arrays:
        raise UserError(
            "this run has kept no thumbnails, which the copy test compares.",
            where=side.name,
            hint="Give the model's name to draw its images anew.",
        )
    if resize is not None:
        raise UserError("a run keeps no images that could be resized.", where=side.name, hint="Leave out --resize.")


def _sizes(side: Side) -> Iterator[tuple[str, Size]]:
    if side.images is not None:
        yield side.images.name, _one_size(side.images)
    elif side.stored_size is not None:
        yield side.name, side.stored_size


def _one_size(source: ImageSource) -> Size:
    size = source.size()
    if size is not None:
        return size
    first, other = _two_sizes(source)
    raise UserError(f"the images differ in size: {_text(first)} and {_text(other)}.", where=source.name, hint=RESIZE)


def _two_sizes(source: ImageSource) -> tuple[Size, Size]:
    """Returns the size of the first image, and the first size unlike it."""
    sizes = ((image.shape[0], image.shape[1]) for image in source.images())
    first = next(sizes)
    return first, next(size for size in sizes if size != first)


def _text(size: Size) -> str:
    height, width = size
    return f"{width} x {height}"
