"""Where a network's published files are looked for, and the proof that a file is the published one.

Nothing is fetched unless that is asked for, and nothing but tensors is ever read: safetensors, or a torch file that
``weights_only`` accepts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.errors import UserError
from trilemma.features import instrument_folder
from trilemma.identity import file_digest
from trilemma.workspace import cache_folder

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "TRILEMMA_WEIGHTS"


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One published file. Its name and content are part of an identity; the places that offer it are not.

    Attributes:
        name: of the file, as published.
        sha256: of the published content, or None for files of our own, whose content is recorded and not pinned.
        url: where its authors offer it.
        repository: ``owner/name`` on the model hub. Names there are common, so that the file lies in a folder ``name``.
        revision: the commit on the hub.
        instrument: the folder of ``benchmarks/instruments`` that holds it.
    """

    name: str
    sha256: str | None = None
    url: str | None = field(default=None, compare=False)
    repository: str | None = field(default=None, compare=False)
    revision: str | None = field(default=None, compare=False)
    instrument: str | None = None

    @property
    def relative(self) -> Path:
        """The path inside a folder of weights."""
        return Path(self.repository.split("/")[1], self.name) if self.repository else Path(self.name)


@dataclass(frozen=True, kw_only=True)
class Located:
    """A file at hand, and its content's sha256."""

    path: Path
    sha256: str


def places(file: WeightsFile) -> list[Path]:
    """Returns where the file is looked for, in this order.

    ``$TRILEMMA_WEIGHTS``; the suite's own cache; the hub caches of torch and of Hugging Face.
    """
    if file.instrument is not None:
        return [instrument_folder(file.instrument) / file.name]
    given = os.environ.get(VARIABLE)
    folders = [Path(given).expanduser()] if given else []
    paths = [folder / file.relative for folder in [*folders, cache_folder() / "weights"]]
    return [*paths, _in_hub_cache(file)]


def find(file: WeightsFile) -> Path | None:
    """Returns the first place that has the file, unread and unchecked, or None."""
    return next((path for path in places(file) if path.is_file()), None)


def locate(file: WeightsFile, *, download: bool = False) -> Located:
    """Returns the file and its sha256.

    Args:
        file: which one.
        download: fetch it where it is missing.

    Raises:
        UserError: it is nowhere (the message says where it was looked for and how to get it), it is not the published
            one, or fetching failed.
    """
    path = find(file) or (_fetch(file) if download and file.url else None)
    if path is None:
        raise _missing(file)
    sha256 = file_digest(path)
    if file.sha256 not in (None, sha256):
        raise UserError(
            f"this is not the published file: its sha256 is {sha256}, that of the published one {file.sha256}.",
            where=str(path),
            hint="Remove it and get it again." if file.url else None,
        )
    return Located(path=path, sha256=sha256)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a file by name, on the CPU.

    Raises:
        UserError: the file is damaged, or holds anything but tensors, which would have to be executed to be read.
    """
    import torch

    from trilemma.families.checkpoints import open_weights

    loaded = open_weights(path)
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise UserError("this file holds no table of tensors.", where=str(path))
    return dict(loaded)


def _in_hub_cache(file: WeightsFile) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if file.repository is None:
        return Path(os.environ.get("TORCH_HOME") or base / "torch") / "hub" / "checkpoints" / file.name
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or base / "huggingface") / "hub"
    folder = "models--" + file.repository.replace("/", "--")
    return Path(hub) / folder / "snapshots" / (file.revision or "main") / file.name


def _missing(file: WeightsFile) -> UserError:
    hint = f"Looked for {', '.join(map(str, places(file)))}."
    if file.url:
        hint += (
            f" Get it from {file.url} as {file.relative.as_posix()} in a folder, and name the folder in ${VARIABLE};"
            " or let it be downloaded (--download)."
        )
    return UserError(f'the weights "{file.name}" are missing.', hint=hint)


def _fetch(file: WeightsFile) -> Path:
    """Downloads into ``$TRILEMMA_WEIGHTS`` or else the suite's cache; a wrong file is not kept."""
    target = places(file)[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out, urllib.request.urlopen(str(file.url), timeout=60) as response:
            shutil.copyfileobj(response, out, 1 << 20)
        if file.sha256 not in (None, file_digest(temporary)):
            raise UserError(f"what {file.url} sent is not the published file.", where=file.name, hint="Try again.")
        temporary.chmod(0o644)
        os.replace(temporary, target)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(f"cannot download {file.url}: {error}.", where=file.name) from None
    finally:
        temporary.unlink(missing_ok=True)
    return target
