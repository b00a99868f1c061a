"""A run from its beginning, or from where it was left, to its end. This process never imports torch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.at_hand import refuse_missing, refuse_random
from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.features.named import check as check_networks
from trilemma.identity import digest
from trilemma.metrics import catalog
from trilemma.protocol import Protocol
from trilemma.runner.devices import check_device
from trilemma.runner.display import Display
from trilemma.runner.drawing_time import unknown
from trilemma.runner.environment import environment, executor, gpus, host, tool
from trilemma.runner.job import REFERENCE, Instrumentation, Job, import_target
from trilemma.runner.kept import Kept
from trilemma.runner.keys import keys_of
from trilemma.runner.launch import Message, run_worker
from trilemma.runner.plan import plan
from trilemma.runner.plugged import used_plugins
from trilemma.runner.session import Opened, Session, open_run
from trilemma.store.atomic import remove_unfinished
from trilemma.store.events import now
from trilemma.store.frontier import write_frontier
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import write_metrics
from trilemma.store.record import SCHEMA, Record
from trilemma.store.run import Run
from trilemma.strict_toml import dump

if TYPE_CHECKING:
    from trilemma.runner.anchors import Anchors
    from trilemma.runner.frontier import Swept

TIME_LOST = "the run was killed after its last image, before it was recorded how long they took"
LONGEST_WRITE = 24 * 3600.0  # seconds; the cache is shared, and what is older is of a process that was killed


class ReferenceFailed(RuntimeError):
    """The real images could not be measured: without them there are no numbers for any model."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is told to do.

    Attributes:
        runs: the folder that the run's own folder is made in.
        samples: caps every set; None for the whole protocol.
        parent_run_id: the run that this one is to confirm.
        cache: where measurements of real images are kept.
        images: which images are kept.
        sweep: model → knob → values, where the cards are settings of models whose frontiers are wanted.
    """

    protocol: Protocol
    cards: tuple[Card, ...]
    runs: Path
    cache: Path
    samples: int | None = None
    seed: int = 0
    device: str = "auto"
    images: Kept = "all"
    parent_run_id: str | None = None
    argv: tuple[str, ...] = ()
    sweep: dict[str, dict[str, tuple[float | int, ...]]] | None = None
    instruments: Instrumentation = field(default_factory=Instrumentation)

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before anything starts."""
        check_device(self.device)
        if self.seed < 0:
            raise UserError(f"must be 0 or more, got {self.seed}.", where="--seed")
        catalog.check_names(self.protocol)
        if self.protocol.extractors is not None and not self.protocol.knows_truth:
            check_networks(self.protocol)
        if not self.cards:
            raise UserError("no model is named.", hint="Give some: --models gan,var.")
        for card in self.cards:
            if card.name == REFERENCE:
                raise UserError(f'no model may be called "{REFERENCE}": real images are.', where=str(card.path))
        refuse_random(self.cards)
        refuse_missing(self.cards)

    def spec(self) -> dict[str, Any]:
        """Returns what makes two commands the same."""
        return {
            "protocol": dump(self.protocol),
            "models": [{"name": card.name, "revision": card.revision} for card in self.cards],
            "samples": self.samples,
            "seed": self.seed,
            "device": self.device,
            "images": self.images,
            **({} if self.sweep is None else {"sweep": self.sweep}),
        }


def run_benchmark(request: Request, display: Display) -> Run:
    """Does a run and returns it; a model that failed is in its record's ``errors``.

    Raises:
        UserError: something in the request is wrong, or another process is at work on the same run.
        ReferenceFailed: the real images could not be measured.
        KeyboardInterrupt: after the record has been marked as cancelled.
    """
    request.check()
    measured = request.protocol.extractors is not None
    instruments = import_target(request.instruments.identity)(request.protocol) if measured else {}
    if measured and not request.protocol.knows_truth:
        from trilemma.runner.data_anchors import check_reference  # it brings in scipy

        check_reference(request.protocol, instruments, request.cache)
    entries = plan(request.protocol, request.seed, request.samples)
    planned = {name: len(images) for name, images in entries.items()}
    # A file of prompts may be edited in between.
    prompts = digest([[image.key, image.prompt] for images in entries.values() for image in images])
    plugged = used_plugins(request.cards, request.protocol)
    spoken = [SCHEMA, request.spec(), request.parent_run_id, instruments, tool()["version"], prompts]
    identity = digest(spoken + [plugged] * bool(plugged))
    opened = open_run(
        request.runs, identity, lambda folder: _new_record(request, folder, identity, instruments, planned, plugged)
    )
    return _Session(request, opened, display, sum(planned.values())).carry_out()


def _new_record(
    request: Request,
    folder: RunFolder,
    identity: str,
    instruments: dict[str, str],
    planned: dict[str, int],
    plugged: list[dict[str, str]],
) -> Record:
    whole = {entry.name: entry.images for entry in request.protocol.sets}
    return Record(
        run_id=folder.path.name,
        identity=identity,
        created=now(),
        spec=request.spec(),
        attempts=0,
        partial=planned != whole,
        parent_run_id=request.parent_run_id,
        tool=tool(),
        argv=list(request.argv),
        env=environment(plugged),
        host=host(),
        executor=executor(),
        cards={card.name: dump(card) for card in request.cards},
        models={card.name: {"status": "waiting"} for card in request.cards},
        counts={card.name: {"planned": sum(planned.values()), "done": 0, "failed": 0} for card in request.cards},
        instruments=instruments,
    )


class _Session(Session):
    """One worker after the other, and the record kept true in between."""

    def __init__(self, request: Request, opened: Opened, display: Display, images: int) -> None:
        super().__init__(opened, display)
        self.request, self.images = request, images

    def start(self) -> None:
        super().start()
        remove_unfinished(self.request.cache, older_than=LONGEST_WRITE)

    def work(self) -> None:
        with self.display:
            if self.request.protocol.reference is not None or self.request.protocol.speed is not None:
                self.measure_reference()
            waiting = [card for card in self.request.cards if self.record.models[card.name]["status"] != "done"]
            if self.request.sweep is not None:
                self.display.begin_whole("sweep", len(self.request.cards), len(waiting), self.images)
            for card in waiting:
                self.measure_model(card)
            self.compute()
        self.finish("failed" if self.record.errors else "complete")

    def measure_reference(self) -> None:
        error = self.run_worker(REFERENCE, None, 0)
        if error is None:
            return
        self.record.error = error
        if error["type"] == UserError.__name__:
            raise UserError(error["message"])
        message = f"the real images could not be measured: {error['type']}: {error['message']}"
        raise ReferenceFailed(f"{message} Log: {self.folder.log(REFERENCE)}")

    def measure_model(self, card: Card) -> None:
        started = time.monotonic()
        error = self.run_worker(card.name, card, self.images)
        self.record.models[card.name]["seconds"] = round(time.monotonic() - started, 3)
        self.record.models[card.name]["status"] = "done" if error is None else "failed"
        counts = self.record.counts[card.name]
        counts["done"] = counts["planned"] if error is None else counts["done"]
        counts["failed"] = counts["planned"] - counts["done"]
        if error is not None:
            self.record.errors[card.name] = error
            remove_unfinished(self.folder.parts(card.name))  # a batch that it was storing when it died
        else:
            self.record.models[card.name].setdefault("drawing", unknown(TIME_LOST))
        self.save()
        self.event("model failed" if error is not None else "model done", model=card.name)

    def run_worker(self, name: str, card: Card | None, images: int) -> dict[str, str] | None:
        job = Job(
            kind="model" if card is not None else "reference",
            folder=self.folder,
            protocol=self.request.protocol,
            card=card,
            seed=self.request.seed,
            samples=self.request.samples,
            device=self.request.device,
            instruments=self.request.instruments,
            identity=self.record.instruments,
            cache=self.request.cache,
            attempt=self.record.attempts,
            images=self.request.images,
        )
        self.display.begin(name, images)
        path = job.write()
        ended = run_worker(path, self.folder.log(name), lambda message: self.hear(name, card, message))
        path.unlink()
        self.display.end(name, ended.error)
        return ended.error

    def hear(self, name: str, card: Card | None, message: Message) -> None:
        self.display.show(name, message)
        if message["kind"] == "ready":
            self.record.host["gpus"] = gpus(message["environment"])
        if card is None:
            return
        if message["kind"] == "ready":
            info, described = message["info"], message["environment"]
            self.record.models[name] |= {"info": info, "environment": described}
            self.record.keys[name] = keys_of(card, self.request.protocol, info, described)
            self.save()
        elif message["kind"] == "counted":
            self.record.models[name]["flops"] = message["flops"]
        elif message["kind"] == "drawn":
            self.record.models[name]["drawing"] = message["drawing"]
            self.save()
        elif message["kind"] == "progress" and message["stage"] != "timing":
            self.record.counts[name]["done"] = message["done"]

    def compute(self) -> None:
        # Here: these bring in scipy, which a command that only lists or fails early should not wait for.
        from trilemma.runner.assemble import assemble
        from trilemma.runner.data_anchors import anchors_of

        started, anchors = time.monotonic(), None
        if self.request.protocol.reference is not None:
            anchors = anchors_of(self.request.protocol, self.request.cache, self.record.instruments)
            self.record.reference = {"digests": anchors.digests, "reader_accuracy": anchors.reader_accuracy()}
            self.save()
        self.display.begin("metrics", len(self.record.models), stage="computing", images=False)
        run = Run(self.folder.path)
        rows = assemble(run, self.request.protocol, anchors, lambda: self.display.advance("metrics"))
        write_metrics(self.folder.metrics, rows)
        self.record.seconds["metrics"] = round(time.monotonic() - started, 3)
        self.display.end("metrics", None)
        if self.request.sweep is not None and anchors is not None:
            self.compute_frontier(anchors, self.request.sweep)

    def compute_frontier(self, anchors: Anchors, swept: Swept) -> None:
        from trilemma.runner.frontier import frontier

        self.display.begin("frontier", len(self.record.models), stage="computing", images=False)
        found = frontier(Run(self.folder.path), anchors, swept, lambda: self.display.advance("frontier"))
        write_frontier(self.folder.frontier, self.folder.frontier_csv, found)
        self.display.end("frontier", None)
