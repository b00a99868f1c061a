"""A run of the verb ``speed``: fresh processes, in turn over the models, and what each left. It imports no torch."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trilemma.at_hand import refuse_missing, refuse_untimed
from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.identity import digest
from trilemma.protocol import Gate, Protocol, SampleSet, SpeedSpec
from trilemma.runner.busy import Snapshot
from trilemma.runner.devices import check_device
from trilemma.runner.display import Display
from trilemma.runner.environment import environment, executor, host, tool
from trilemma.runner.keys import keys_of
from trilemma.runner.launch import Ended, Message, run_worker
from trilemma.runner.plan import Planned, plan
from trilemma.runner.plugged import used_plugins
from trilemma.runner.same_machine import check_machine, machine_of
from trilemma.runner.session import Opened, Session, open_run
from trilemma.runner.speed_job import LEAST_OFFLINE_CALLS, Kind, SpeedJob, SpeedSettings
from trilemma.store.events import now
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import write_metrics
from trilemma.store.record import SCHEMA, Record
from trilemma.store.replicate_timings import add_replicate
from trilemma.store.run import Run
from trilemma.strict_toml import dump

PROTOCOL = "speed"
PROMPTS = 1024
BAR = "speed"


@dataclass(frozen=True, kw_only=True)
class SpeedRequest:
    """What a run is told to do. ``runs`` is the folder that the run's own folder is made in."""

    cards: tuple[Card, ...]
    runs: Path
    settings: SpeedSettings
    device: str = "auto"
    argv: tuple[str, ...] = ()

    @cached_property
    def protocol(self) -> Protocol:
        """What is timed, in the form of every record: captions of Scenes, whatever the model's resolution."""
        spec = SpeedSpec(
            batch_sizes=tuple(sorted(set(self.settings.batch_sizes))),
            min_seconds=self.settings.seconds,
            min_calls=LEAST_OFFLINE_CALLS,
            budget_seconds=self.settings.budget_seconds,
        )
        return Protocol(
            name=PROTOCOL,
            version=1,
            title="Speed: latency at batch 1 and throughput over batch sizes, in fresh processes",
            resolution=32,
            sets=(SampleSet(name="prompts", prompts="captions", split="prompts", images=PROMPTS),),
            metrics=(),
            batch_size=1,
            speed=spec,
            gate=Gate(metrics=("images_per_second", "latency_batch1", "peak_memory", "flops_per_image", "parameters")),
        )

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before anything starts."""
        check_device(self.device)
        if not self.cards:
            raise UserError("no model is named.", hint="Such as: trilemma speed gan var.")
        refuse_missing(self.cards)
        refuse_untimed(self.cards)

    def spec(self) -> dict[str, Any]:
        """Returns what makes two commands the same."""
        return {
            "protocol": dump(self.protocol),
            "models": [{"name": card.name, "revision": card.revision} for card in self.cards],
            "samples": None,
            "seed": 0,
            "device": self.device,
            "speed": dump(self.settings),
        }


def run_speed(request: SpeedRequest, display: Display) -> Run:
    """Does a run and returns it; a model of which a process failed is in its record's ``errors``.

    Raises:
        UserError: something in the request is wrong, or another process is at work on the same run.
        KeyboardInterrupt: after the record has been marked as cancelled.
    """
    request.check()
    plugged = used_plugins(request.cards, request.protocol)
    identity = digest([SCHEMA, request.spec(), tool()["version"]] + [plugged] * bool(plugged))
    opened = open_run(request.runs, identity, lambda folder: _new_record(request, folder, identity, plugged))
    return _SpeedSession(request, opened, display).carry_out()


def _new_record(request: SpeedRequest, folder: RunFolder, identity: str, plugged: list[dict[str, str]]) -> Record:
    return Record(
        run_id=folder.path.name,
        identity=identity,
        created=now(),
        spec=request.spec(),
        attempts=0,
        tool=tool(),
        argv=list(request.argv),
        env=environment(plugged),
        host=host(),
        executor=executor(),
        cards={card.name: dump(card) for card in request.cards},
        models={card.name: {"status": "waiting", "processes": []} for card in request.cards},
        counts={card.name: {"planned": 0, "done": 0, "failed": 0} for card in request.cards},  # no image is kept
    )


class _SpeedSession(Session):
    """Operations are counted first, once for all variants that do the same; then every model is timed once per round.

    What changes slowly, such as a machine that grows warm, so meets all models alike.
    """

    def __init__(self, request: SpeedRequest, opened: Opened, display: Display) -> None:
        super().__init__(opened, display)
        self.request, self.settings = request, request.settings
        self.prompts: list[Planned] = next(iter(plan(request.protocol, 0).values()))

    def work(self) -> None:
        """Counts, times and computes, in so far as that is not done yet."""
        alike = _alike(self.request.cards)
        with self.display:
            total = len(alike) + self.settings.processes * len(self.request.cards)
            self.display.begin(BAR, total, stage="starting", images=False)
            for cards in alike:
                self.count(cards)
            for number in range(self.settings.processes):
                for card in self.request.cards:
                    self.time(card, number)
            self.compute()
            self.display.end(BAR, None)
        self.finish("failed" if self.record.errors else "complete")

    def count(self, cards: list[Card]) -> None:
        """Counts the operations of one image, eagerly and in a process of its own: counting slows a model down."""
        if any("flops" not in self.record.models[card.name] for card in cards):
            self.display.stage(BAR, f"{cards[0].model} operations")
            ended, heard = self.run_worker(replace(cards[0], compile=False, precision="fp32"), "flops", 0)
            flops = heard["counted"]["flops"] if ended.error is None else _not_counted(ended.error)
            for card in cards:
                self.record.models[card.name]["flops"] = flops
            self.save()
        self.display.advance(BAR)

    def time(self, card: Card, number: int) -> None:
        """Times a model in one fresh process; one that has failed in this session is left alone."""
        processes = self.record.models[card.name]["processes"]
        if card.name not in self.record.errors and number not in [process["number"] for process in processes]:
            before, started, clock = Snapshot.take(), now(), time.monotonic()
            ended, heard = self.run_worker(card, "speed", number)
            about = {"number": number, "started": started, "seconds": round(time.monotonic() - clock, 3)}
            about["load_of_others"] = round(before.cores_until(Snapshot.take()), 3)
            if ended.error is not None:
                self.record.errors[card.name] = ended.error
                self.display.say(f"{card.name} failed: {ended.error['type']}: {ended.error['message']}")
            else:
                processes.append(about | heard["measured"]["facts"])
            done = len(processes) == self.settings.processes
            status = "failed" if ended.error is not None else "done" if done else "waiting"
            self.record.models[card.name]["status"] = status
            self.save()
            self.event(f"process {status}", model=card.name, process=number)
        self.display.advance(BAR)

    def run_worker(self, card: Card, kind: Kind, number: int) -> tuple[Ended, dict[str, Message]]:
        """Runs one worker; returns how it ended, and the last message of each kind.

        Its rows are kept at once. Those of one that failed count for nothing: its model has no numbers until it is done
        again, and then they give way.
        """
        heard: dict[str, Message] = {}

        def hear(message: Message) -> None:
            heard[message["kind"]] = message
            self.hear(card, message)

        with tempfile.TemporaryDirectory(prefix="trilemma-speed-") as name:
            job = self.job(card, kind, number, Path(name) / "timings.parquet")
            ended = run_worker(job.write(Path(name) / "job.json"), self.folder.log(card.name), hear)
            if job.timings.is_file():
                add_replicate(self.folder.timings(card.name), job.timings, number)
        return ended, heard

    def job(self, card: Card, kind: Kind, number: int, timings: Path) -> SpeedJob:
        """Returns what one process is told: the first of a model explores, and the others follow it."""
        processes = self.record.models.get(card.name, {}).get("processes", [])
        explored = [] if not processes else offline_sizes(processes[0])
        return SpeedJob(
            kind=kind,
            card=card,
            settings=self.settings,
            prompts=tuple(entry.prompt for entry in self.prompts),
            seeds=tuple(entry.seed for entry in self.prompts),
            device=self.request.device,
            timings=timings,
            session=f"{self.record.run_id}/{self.record.attempts}",
            replicate=number,
            batch_sizes=tuple(explored) or self.settings.batch_sizes,
            auto=self.settings.auto and not explored,
            follows=bool(explored),
            energy_batch=processes[0]["energy"].get("batch_size") if processes else None,
        )

    def hear(self, card: Card, message: Message) -> None:
        """Takes down what a worker says of its model, and shows what it does.

        Raises:
            UserError: it is on another machine than the model's earlier processes.
        """
        if message["kind"] == "progress":
            self.display.stage(BAR, f"{card.name} {message['stage']}")
        elif message["kind"] == "ready":
            info, described, said = message["info"], message["environment"], self.record.models[card.name]
            keys = keys_of(card, self.request.protocol, info, described)
            machine = machine_of(keys["hardware"]["fields"], described)
            check_machine(said, machine, where=card.name, folder=self.folder.path)
            self.record.host["gpus"], self.record.keys[card.name] = machine["gpus"], keys
            said |= {"info": info, "environment": described, "machine": machine}

    def compute(self) -> None:
        """Turns what all processes left into numbers."""
        # Here: this brings in scipy, which a command that fails early should not wait for.
        from trilemma.runner.speed_rows import speed_rows

        self.display.stage(BAR, "computing")
        write_metrics(self.folder.metrics, speed_rows(Run(self.folder.path), self.settings))


def offline_sizes(process: dict[str, Any]) -> list[int]:
    """Returns the batch sizes that one process could time."""
    windows = [window for window in process["windows"] if window["scenario"] == "offline"]
    return [window["batch_size"] for window in windows if window["status"] in ("ok", "void")]


def _alike(cards: tuple[Card, ...]) -> list[list[Card]]:
    """Returns the models in groups that do the same arithmetic: precision and compilation change none of it."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(digest([card.model, card.knobs]), []).append(card)
    return list(groups.values())


def _not_counted(error: dict[str, str]) -> dict[str, Any]:
    reason = f"counting failed: {error['type']}: {error['message']}"
    return {"per_image": None, "reason": reason, "batch_size": 1, "operations": {}, "uncounted": []}
