"""A run from its beginning, or from where it was left, to its end. This process never imports torch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.identity import digest
from trilemma.metrics import catalog
from trilemma.protocol import Protocol
from trilemma.runner.channel import describe
from trilemma.runner.continuing import new_folder, unfinished
from trilemma.runner.devices import check_device
from trilemma.runner.display import Display
from trilemma.runner.environment import environment, executor, gpus, host, tool
from trilemma.runner.job import REFERENCE, Instrumentation, Job, import_target
from trilemma.runner.keys import keys_of
from trilemma.runner.launch import Message, run_worker
from trilemma.runner.plan import plan
from trilemma.store.atomic import remove_unfinished
from trilemma.store.digests import digests
from trilemma.store.events import add_event, now
from trilemma.store.layout import RunFolder
from trilemma.store.lock import locked
from trilemma.store.metric_rows import write_metrics
from trilemma.store.record import SCHEMA, Record, RunStatus
from trilemma.store.run import Run
from trilemma.strict_toml import dump

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
    """

    protocol: Protocol
    cards: tuple[Card, ...]
    runs: Path
    cache: Path
    samples: int | None = None
    seed: int = 0
    device: str = "auto"
    parent_run_id: str | None = None
    argv: tuple[str, ...] = ()
    instruments: Instrumentation = field(default_factory=Instrumentation)

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before anything starts."""
        check_device(self.device)
        if self.seed < 0:
            raise UserError(f"must be 0 or more, got {self.seed}.", where="--seed")
        catalog.check_names(self.protocol)
        if not self.cards:
            raise UserError("no model is named.", hint="Give some: --models gan,var.")
        for card in self.cards:
            if card.name == REFERENCE:
                raise UserError(f'no model may be called "{REFERENCE}": real images are.', where=str(card.path))

    def spec(self) -> dict[str, Any]:
        """Returns what makes two commands the same."""
        return {
            "protocol": dump(self.protocol),
            "models": [{"name": card.name, "revision": card.revision} for card in self.cards],
            "samples": self.samples,
            "seed": self.seed,
            "device": self.device,
        }


def run_benchmark(request: Request, display: Display) -> Run:
    """Does a run and returns it; a model that failed is in its record's ``errors``.

    Raises:
        UserError: something in the request is wrong, or another process is at work on the same run.
        ReferenceFailed: the real images could not be measured.
        KeyboardInterrupt: after the record has been marked as cancelled.
    """
    request.check()
    planned = {name: len(entries) for name, entries in plan(request.protocol, request.seed, request.samples).items()}
    measured = request.protocol.extractors is not None
    instruments = import_target(request.instruments.identity)(request.protocol) if measured else {}
    identity = digest([SCHEMA, request.spec(), request.parent_run_id, instruments, tool()["version"]])
    found = unfinished(request.runs, identity)
    folder = found[0] if found is not None else new_folder(request.runs, identity)
    record = found[1] if found is not None else _new_record(request, folder, identity, instruments, planned)
    with locked(folder.lock):
        session = _Session(request, folder, record, display, sum(planned.values()))
        session.start(continued=found is not None)
        try:
            session.work()
        except KeyboardInterrupt:
            session.finish("cancelled")
            raise
        except Exception as error:
            session.fail(error)
            raise
    return Run(folder.path)


def _new_record(
    request: Request, folder: RunFolder, identity: str, instruments: dict[str, str], planned: dict[str, int]
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
        env=environment(),
        host=host(),
        executor=executor(),
        cards={card.name: dump(card) for card in request.cards},
        models={card.name: {"status": "waiting"} for card in request.cards},
        counts={card.name: {"planned": sum(planned.values()), "done": 0, "failed": 0} for card in request.cards},
        instruments=instruments,
    )


class _Session:
    """This process's part of a run: one worker after the other, and the record kept true in between."""

    def __init__(self, request: Request, folder: RunFolder, record: Record, display: Display, images: int) -> None:
        self.request, self.folder, self.record, self.display, self.images = request, folder, record, display, images

    def start(self, *, continued: bool) -> None:
        self.record.status, self.record.ended, self.record.errors, self.record.error = "started", None, {}, None
        self.record.attempts += 1
        remove_unfinished(self.folder.path)
        remove_unfinished(self.request.cache, older_than=LONGEST_WRITE)
        self.save()
        self.event("continued" if continued else "started", pid=os.getpid())
        if continued:
            self.display.say(f"Continuing {self.record.run_id}.")

    def work(self) -> None:
        with self.display:
            if self.request.protocol.reference is not None or self.request.protocol.speed is not None:
                self.measure_reference()
            for card in self.request.cards:
                if self.record.models[card.name]["status"] != "done":
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
        elif message["kind"] == "progress" and message["stage"] != "timing":
            self.record.counts[name]["done"] = message["done"]

    def compute(self) -> None:
        # Here: these bring in scipy, which a command that only lists or fails early should not wait for.
        from trilemma.runner.anchors import Anchors
        from trilemma.runner.assemble import assemble

        anchors = None
        if self.request.protocol.reference is not None:
            anchors = Anchors(self.request.protocol, self.request.cache, self.record.instruments)
            self.record.reference = {"digests": anchors.digests, "reader_accuracy": anchors.reader_accuracy()}
            self.save()
        self.display.begin("metrics", len(self.record.models), stage="computing", images=False)
        run = Run(self.folder.path)
        rows = assemble(run, self.request.protocol, anchors, lambda: self.display.advance("metrics"))
        write_metrics(self.folder.metrics, rows)
        self.display.end("metrics", None)

    def fail(self, error: Exception) -> None:
        self.record.error = self.record.error or describe(error)
        self.finish("failed")

    def finish(self, status: RunStatus) -> None:
        self.record.status, self.record.ended = status, now()
        self.record.files = digests(self.folder) if status == "complete" else {}
        self.event(status)
        self.save()  # last: once it is complete, nobody would clear away what a kill leaves of a later write

    def save(self) -> None:
        self.record.write(self.folder.record)

    def event(self, what: str, **details: Any) -> None:
        add_event(self.folder.events, what, **details)
