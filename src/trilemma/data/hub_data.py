"""Data sets of the Hugging Face hub, pinned to a revision. They are read from this machine, as Parquet files.

Looked for in the folders of data sets, where ``fetch`` puts them, and among what the hub's own client has downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from trilemma.data.home import data_folders
from trilemma.data.located import Located
from trilemma.data.parquet_data import ParquetData
from trilemma.data.parquet_files import ENDING, whole_splits_of
from trilemma.data.parquet_images import ParquetImages
from trilemma.errors import UserError

FOLDER = "hub"


class HubData(ParquetData):
    """A data set of the hub; see ``datasets.DataSet`` for what it promises."""

    version = 2  # the revision, which is part of the name, tells the pictures; in version 1 some could be missing

    def fetch(self, split: str | None = None) -> None:
        """Downloads a split that was not fetched before: the one that is given, or that the name gives.

        What the hub's client happens to have is no reason to fetch less: it may be a part, or of another configuration.

        Raises:
            UserError: no split is named, or downloading failed or is forbidden.
        """
        wanted = split or self._located.options.get("split")
        if wanted is None:
            raise UserError("which split is to be downloaded?", where=self.name, hint="Add split=…")
        if wanted not in self._fetched():
            from trilemma.data.hub_stream import download

            download(self._located, wanted, _places(self._located)[0] / f"{wanted}{ENDING}", self._first)
            self._splits.pop(wanted, None)

    def source(self, split: str | None = None) -> ParquetImages:
        """Returns the pictures of a split as they are stored; see :class:`ParquetData`.

        Raises:
            UserError: the split is not at hand, or none is named and there are several.
        """
        wanted, found = split or self._located.options.get("split"), self._files()
        if wanted is not None and wanted not in found:
            hint = f"There are: {', '.join(found)}. --download fetches what else the repository has."
            raise UserError(f'the split "{wanted}" of "{self.name}" is not at hand.', hint=hint)
        return super().source(split)

    def _files(self) -> dict[str, list[Path]]:
        found = self._at_hand()
        if not found:
            looked = ", ".join(map(str, _places(self._located)))
            hint = f"Looked in {looked}, and in the hub's own cache, for whole splits. --download fetches them."
            raise UserError(f'the pictures of "{self.name}" are missing.', hint=hint)
        return found

    def _at_hand(self) -> dict[str, list[Path]]:
        """Splits that were fetched, and those of which the hub's client has every file."""
        fetched = self._fetched()
        try:
            return {**_downloaded(self._located), **fetched}
        except UserError:
            if not fetched:
                raise
            return fetched

    def _fetched(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for folder in reversed(_places(self._located)):
            found |= {path.stem: [path] for path in sorted(folder.glob(f"*{ENDING}"))}
        return found


def _places(found: Located) -> list[Path]:
    """Returns where fetched splits lie, in the order in which they are looked for."""
    config, first = found.options.get("config", "default"), found.options.get("first")
    part = config if first is None else f"{config}-{first}"
    parts = [found.place.replace("/", "--"), quote(found.revision or "", safe=""), part]
    return [folder.joinpath(FOLDER, *parts) for folder in data_folders()]


def _downloaded(found: Located) -> Mapping[str, list[Path]]:
    """Returns the whole splits of a repository among what the hub's client has fetched; nothing is fetched here."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(found.place, repo_type="dataset", revision=found.revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return {}
    return whole_splits_of(Path(folder), found.options.get("config"), found.name)
