"""Where everything of one run lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The paths inside one run's folder; nothing here touches the disk."""

    path: Path

    @property
    def record(self) -> Path:
        """``run.json``: specification, environment, status."""
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        """One number per line."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """What happened, one event per line."""
        return self.path / "events.jsonl"

    @property
    def lock(self) -> Path:
        """Names the process that works on this run."""
        return self.path / "lock"

    @property
    def csv(self) -> Path:
        """The table for a spreadsheet."""
        return self.path / "table.csv"

    @property
    def frontier(self) -> Path:
        """What a sweep found; other runs have none."""
        return self.path / "frontier.json"

    @property
    def frontier_csv(self) -> Path:
        """A sweep's settings for a spreadsheet."""
        return self.path / "frontier.csv"

    def samples(self, model: str) -> Path:
        """One row per image of a model."""
        return self.path / "samples" / f"{model}.parquet"

    def features(self, model: str) -> Path:
        """Arrays in the row order of :meth:`samples`."""
        return self.path / "features" / f"{model}.npz"

    def replicates(self, model: str) -> Path:
        """What the errors of a model's numbers are made of: by it two runs are compared in pairs."""
        return self.path / "replicates" / f"{model}.npz"

    def influence(self, model: str) -> Path:
        """What older runs have instead: each image's influence on a Fréchet distance, in the row order of its set."""
        return self.path / "influence" / f"{model}.npz"

    def copies(self, model: str) -> Path:
        """Each tested image's nearest training image, and how far it lies."""
        return self.path / "copies" / f"{model}.npz"

    def timings(self, model: str) -> Path:
        """One row per timed call."""
        return self.path / "timings" / f"{model}.parquet"

    def parts(self, model: str) -> Path:
        """Finished batches of a model that is still at work."""
        return self.path / "parts" / model

    def images(self, model: str) -> Path:
        """Grids of images, one PNG per set, with their captions in a JSON beside each."""
        return self.path / "images" / model

    def sheets(self, model: str) -> Path:
        """All images of a model, tile by tile."""
        return self.images(model) / "sheets"

    def strips(self, model: str) -> Path:
        """How a model makes a picture: the intermediate images of a few."""
        return self.images(model) / "strips"

    def log(self, model: str) -> Path:
        """What the model's process wrote to its standard output and error."""
        return self.path / "logs" / f"{model}.log"

    def job(self, model: str) -> Path:
        """What the model's process was told to do."""
        return self.path / "jobs" / f"{model}.json"
