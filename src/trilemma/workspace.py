"""Where models, protocols and results are, and where measurements of real images are kept between runs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import UserError

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder with ``models/`` and ``benchmarks/``, and where its results go."""

    root: Path
    results: Path

    @property
    def models(self) -> Path:
        """One folder per model."""
        return self.root / "models"

    @property
    def benchmarks(self) -> Path:
        """One file per protocol, and the claims."""
        return self.root / "benchmarks"

    @property
    def claims(self) -> Path:
        """What is said of the families; the one file among the protocols that is none, and it may be missing."""
        return self.benchmarks / "claims.toml"

    @property
    def protocols(self) -> list[Path]:
        """The protocols' files, in alphabetical order."""
        return sorted(path for path in self.benchmarks.glob("*.toml") if path != self.claims)

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self.results / "runs"

    @property
    def baselines(self) -> Path:
        """One folder per baseline."""
        return self.results / "baselines"


def find_workspace(root: Path | None = None, start: Path | None = None) -> Workspace:
    """Returns the workspace: ``root``; else the nearest parent of ``start`` (default: the working folder) that is one;
    else the checkout that this code runs from; else what the wheel carries, with results in the working folder.

    Raises:
        UserError: ``root`` is not a workspace, or there is none anywhere.
    """
    start = (start or Path.cwd()).resolve()
    if root is not None:
        return _given(root)
    for folder in (start, *start.parents):
        if is_workspace(folder):
            return Workspace(root=folder, results=folder / "results")
    own = own_workspace(start)
    if own is None:
        raise UserError("found no folder with models/ and benchmarks/.", hint="Give one: --root FOLDER.")
    return own


def own_workspace(start: Path) -> Workspace | None:
    """Returns the suite's own: the checkout that this code runs from, else what the wheel carries, which nobody writes
    to: there results are in ``start``. None where the code lies somewhere else without its data.
    """
    checkout, bundled = _PACKAGE.parents[1], _PACKAGE / "_content"
    if is_workspace(checkout):
        return Workspace(root=checkout, results=checkout / "results")
    return Workspace(root=bundled, results=start / "results") if is_workspace(bundled) else None


def is_carried(path: Path) -> bool:
    """Whether a path lies in what the wheel carries, which nobody writes to."""
    return path.resolve().is_relative_to(_PACKAGE / "_content")


def is_workspace(folder: Path) -> bool:
    """Whether a folder holds our data: cards in models/ and protocols in benchmarks/ (others use these names too)."""
    return any((folder / "models").glob("*/card.toml")) and any((folder / "benchmarks").glob("*.toml"))


def _given(root: Path) -> Workspace:
    root = root.resolve()
    if not is_workspace(root):
        raise UserError(
            "this is no workspace: it needs models/NAME/card.toml and benchmarks/NAME.toml.", where=str(root)
        )
    return Workspace(root=root, results=root / "results")


def cache_folder() -> Path:
    """Returns ``$TRILEMMA_CACHE``, or the platform's place for caches; the folder may not exist yet."""
    if chosen := os.environ.get("TRILEMMA_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "trilemma"
