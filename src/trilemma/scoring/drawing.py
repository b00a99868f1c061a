"""A registered model as a source of images: it draws the protocol's prompted set, in a process of its own.

The model's code may change global state, and a network that measures its images must not run where that happened.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.at_hand import refuse_missing
from trilemma.card import Card
from trilemma.data.array_file import ArrayImages, open_npy
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.runner.channel import Channel, serve
from trilemma.runner.launch import WORKER_DIED, Message, run_worker
from trilemma.runner.plan import Planned, plan
from trilemma.store.atomic import write_json
from trilemma.strict_toml import build, dump

PROMPTED = "captions"
Progress = Callable[[int, int], None]


class DrawingFailed(Exception):
    """A model could not draw: it failed, nobody's input did."""


class DrawnImages:
    """A model's images under a protocol, drawn when they are first asked for; see ``data.sources.ImageSource``.

    Args:
        card: of the model. protocol: whose captions it draws, with the seeds that a run gives them.
        seed: of the run. count: so many images instead of the protocol's own number.
        device: "auto", "cpu" or "cuda". progress: is told how many are drawn, and of how many.

    Raises:
        UserError: the protocol has no set with captions, or the model's weights are missing.
    """

    skipped = 0

    def __init__(
        self,
        card: Card,
        protocol: Protocol,
        *,
        seed: int = 0,
        count: int | None = None,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> None:
        refuse_missing([card])
        card.verify()
        self.name = card.name
        self._progress = progress or (lambda done, total: None)
        self._card, self._protocol, self._seed, self._device = card, _prompted(protocol, count), seed, device
        self._entries = plan(self._protocol, seed)[self._protocol.sets[0].name]
        self._drawn: ArrayImages | None = None

    @property
    def prompts(self) -> tuple[str, ...]:
        """One per image."""
        return tuple(entry.prompt for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> list[str]:
        """Returns the samples' keys under the protocol, in the order of its plan."""
        return [entry.key for entry in self._entries]

    def digest(self) -> str:
        """Returns the sha256 over the pixels, which have to be drawn for it."""
        return self._images().digest()

    def size(self) -> tuple[int, int]:
        """Returns (H, W) as the protocol has it; a model that draws another size fails."""
        return self._protocol.resolution, self._protocol.resolution

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the images ``start:stop``."""
        return self._images().images(start, stop)

    def _images(self) -> ArrayImages:
        if self._drawn is None:
            with tempfile.TemporaryDirectory(prefix="trilemma-") as folder:
                path = Path(folder, "images.npy")
                self._draw(path)
                self._drawn = open_npy(path)  # stays open, and so readable, when the name is gone
        return self._drawn

    def _draw(self, path: Path) -> None:
        job = {
            "card": dump(self._card),
            "card_path": str(self._card.path),
            "protocol": dump(self._protocol),
            "seed": self._seed,
            "device": self._device,
            "path": str(path),
        }
        written, log = path.with_name("job.json"), path.with_name("log")
        write_json(written, job)
        ended = run_worker(written, log, self._hear, module="trilemma.scoring.drawing")
        if ended.error is not None:
            raise DrawingFailed(f'the model "{self.name}" failed: {_told(ended.error)}')

    def _hear(self, message: Message) -> None:
        if message["kind"] == "progress":
            self._progress(message["done"], message["total"])


def _prompted(protocol: Protocol, count: int | None) -> Protocol:
    """Returns the protocol with its prompted set alone, of ``count`` images: plans are prefix-stable."""
    entry = next((entry for entry in protocol.sets if entry.prompts == PROMPTED), None)
    if entry is None:
        raise UserError(f'the protocol "{protocol.name}" has no set with a caption for each image.')
    return replace(protocol, sets=(entry if count is None else replace(entry, images=count),))


def _told(error: Mapping[str, str]) -> str:
    """Returns an error in one line; of a process that died, the last that it printed may tell more."""
    last_words = error["traceback"].splitlines()[-1:] if error["type"] == WORKER_DIED else []
    return " ".join([f"{error['type']}: {error['message']}", *last_words])


def main(arguments: Sequence[str]) -> int:
    """The child: draws what one job says, batch by batch, into an ``.npy`` file."""
    return serve(lambda channel: _work(json.loads(Path(arguments[0]).read_text(encoding="utf-8")), channel))


def _work(job: dict[str, Any], channel: Channel) -> None:
    from trilemma import registry
    from trilemma.generator import resolve_knobs
    from trilemma.runner.assigning import assign
    from trilemma.runner.devices import pick_device
    from trilemma.runner.generate import Output
    from trilemma.runner.plan import batches

    card = build(Card, job["card"], where="card", path=Path(job["card_path"]))
    protocol = build(Protocol, job["protocol"], where="protocol")
    generator = registry.load(card, pick_device(job["device"]).type)
    knobs = resolve_knobs(generator.info.knobs, {})
    planned = plan(protocol, job["seed"])
    assign(generator, planned)
    entries: list[Planned] = planned[protocol.sets[0].name]
    side = protocol.resolution
    pixels = np.lib.format.open_memmap(job["path"], "w+", np.uint8, (len(entries), side, side, 3))
    done = 0
    for _, chosen in batches(entries, protocol.batch_size):
        drawn = generator.generate([one.prompt for one in chosen], [one.seed for one in chosen], **knobs)
        drawn = Output(resolution=side).check(drawn, len(chosen))
        pixels[done : done + len(chosen)] = drawn.permute(0, 2, 3, 1).cpu().numpy()
        done += len(chosen)
        channel.progress("drawing", done, len(entries))
    pixels.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
