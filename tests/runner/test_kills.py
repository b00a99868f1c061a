"""kill -9 at random moments of a whole run: the same command completes it, as if nobody had disturbed it.

``TRILEMMA_KILLS`` sets the number of kills.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from trilemma.runner.job import REFERENCE
from trilemma.runner.speed import depends_on_machine
from trilemma.store.atomic import UNFINISHED
from trilemma.store.run import Run, run_ids

DRIVE = Path(__file__).parent / "fakes" / "drive.py"
KILLS = int(os.environ.get("TRILEMMA_KILLS", "6"))
SEED = 20260801
GOLDEN = 0.6180339887
MODEL = "slow"
PATIENCE = 300.0
# What belongs to the occasion, not to what was measured.
OF_THE_OCCASION = ("run_id", "computed_at")
COLUMNS = ["set", "key", "prompt_id", "index", "seed", "prompt", "status", "batch", "image_sha256", "evaluations"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run and its measurements of real images go; both empty at first, so that a run does everything."""

    root: Path
    out: Path
    cache: Path

    @classmethod
    def make(cls, root: Path, folder: Path) -> Place:
        place = cls(root=root, out=folder / "runs", cache=folder / "cache")
        place.out.mkdir(parents=True)
        place.cache.mkdir()
        return place

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(DRIVE), str(self.root), str(self.out), str(self.cache), MODEL]
        with (self.out.parent / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def run(self) -> Run:
        (run_id,) = run_ids(self.out)
        return Run(self.out / run_id)

    def finished(self) -> bool:
        return bool(run_ids(self.out)) and self.run().record.status == "complete"

    def kill_after(self, seconds: float, *, workers: bool) -> list[str]:
        """Starts the command and kills it; returns what it was doing, or nothing where it had ended by itself.

        Workers are in groups of their own: killed with it, as by a lack of memory, or left to leave by themselves.
        """
        process = self.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            assert process.returncode == 0, (self.out.parent / "log").read_text()
            return []
        jobs = self.jobs()
        phase = self.phase(jobs)
        os.killpg(process.pid, signal.SIGKILL)
        for worker in jobs if workers else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        process.wait(PATIENCE)
        return [phase]

    def phase(self, jobs: dict[psutil.Process, str]) -> str:
        """What the run is doing, to judge by its workers and its files."""
        if not run_ids(self.out):
            return "starting"
        folder = self.run().folder
        if REFERENCE in jobs.values():
            return "reference"
        if MODEL in jobs.values():
            return "generation" if folder.timings(MODEL).is_file() else "timing"
        if self.run().record.models[MODEL]["status"] != "done":
            return "starting"
        return "finishing" if folder.metrics.is_file() else "metrics"

    def jobs(self) -> dict[psutil.Process, str]:
        """Every process, whoever's child it is by now, that works on a job of this run; and the job's name."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                for part in process.cmdline():
                    if part.startswith(f"{self.out}{os.sep}"):
                        found[process] = Path(part).stem
        return found


def complete(place: Place) -> None:
    process = place.start()
    assert process.wait(PATIENCE) == 0, (place.out.parent / "log").read_text()


@dataclass(frozen=True, kw_only=True)
class Disturbed:
    """The runs that were killed, and how often they were doing what."""

    places: list[Place]
    phases: Counter[str]


@pytest.fixture(scope="module")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, float]:
    """A run that nobody disturbs, and how many seconds it took; its cache holds what a kill left long ago."""
    place = Place.make(root, tmp_path_factory.mktemp("undisturbed"))
    rubbish = place.cache / "reference" / f".floor.npz.ab12cd34{UNFINISHED}"
    rubbish.parent.mkdir()
    rubbish.touch()
    os.utime(rubbish, (0, 0))
    start = time.monotonic()
    complete(place)
    return place, time.monotonic() - start


@pytest.fixture(scope="module")
def disturbed(root: Path, undisturbed: tuple[Place, float], tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """Runs that were killed and started again until they were complete, one after the other."""
    start, rng = time.monotonic(), random.Random(SEED)
    first = rng.random()
    found = Disturbed(places=[Place.make(root, tmp_path_factory.mktemp("disturbed"))], phases=Counter())
    for number in itertools.count():
        if sum(found.phases.values()) == KILLS:
            break
        if found.places[-1].finished():
            found.places.append(Place.make(root, tmp_path_factory.mktemp("disturbed")))
        # Multiples of the golden ratio, without their integers, lie as evenly as can be, however many there are.
        moment = undisturbed[1] * ((first + number * GOLDEN) % 1.0)
        found.phases.update(found.places[-1].kill_after(moment, workers=rng.random() < 0.5))
    if not found.places[-1].finished():
        complete(found.places[-1])
    print(f"{KILLS} kills of {len(found.places)} runs that take {undisturbed[1]:.1f} s, by what they were doing:")
    print(f"{dict(found.phases)}; {time.monotonic() - start:.0f} s in all")
    return found


def quality(run: Run) -> list[dict[str, Any]]:
    """Every number that no clock has a part in, with all that is said of it."""
    rows = [asdict(row) for row in run.rows if not depends_on_machine(row.metric)]
    return [{name: value for name, value in row.items() if name not in OF_THE_OCCASION} for row in rows]


def files(folder: Path) -> set[str]:
    """What a run leaves; the lock of a process that was killed after its last word is void, and no more."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")} - {"lock"}


def sheets(run: Run) -> dict[str, str]:
    """The digests of the pictures that hold all images."""
    found = {name: digest for name, digest in run.record.files.items() if "/sheets/" in name}
    assert len(found) == 4  # one of each set, and the index
    return found


def test_every_run_was_completed(disturbed: Disturbed) -> None:
    assert all(place.finished() for place in disturbed.places)
    assert sum(disturbed.phases.values()) == KILLS
    again = sum(place.run().record.attempts - 1 for place in disturbed.places)
    at_work = sum(disturbed.phases[phase] for phase in ("reference", "timing", "generation"))
    assert at_work <= again <= KILLS  # in the other phases there may be no record yet, or nothing left to do


def test_images_and_their_order_are_those_of_an_undisturbed_run(
    undisturbed: tuple[Place, float], disturbed: Disturbed
) -> None:
    wanted = undisturbed[0].run().samples(MODEL)[COLUMNS]
    assert len(wanted) == 224 and wanted["key"].is_unique
    for place in disturbed.places:
        assert place.run().samples(MODEL)[COLUMNS].equals(wanted)
        assert sheets(place.run()) == sheets(undisturbed[0].run())


def test_numbers_are_those_of_an_undisturbed_run(undisturbed: tuple[Place, float], disturbed: Disturbed) -> None:
    wanted = quality(undisturbed[0].run())
    assert sum(row["value"] is not None for row in wanted) > 10
    for place in disturbed.places:
        assert quality(place.run()) == wanted


def test_nothing_is_left_behind(undisturbed: tuple[Place, float], disturbed: Disturbed) -> None:
    assert not list(undisturbed[0].cache.rglob(f".*{UNFINISHED}"))
    wanted = files(undisturbed[0].run().folder.path)
    for place in disturbed.places:
        assert files(place.run().folder.path) == wanted
        left = files(place.cache) - files(undisturbed[0].cache)
        assert all(Path(name).match(f".*{UNFINISHED}") for name in left)  # of today: others may be writing
        assert place.jobs() == {}


def test_parts_that_a_kill_left_beside_the_samples_are_removed(
    undisturbed: tuple[Place, float], tmp_path: Path
) -> None:
    """The moment is too short for chance to find: between the first of a model's parts that is removed and the last."""
    place = Place(root=undisturbed[0].root, out=tmp_path / "runs", cache=undisturbed[0].cache)
    shutil.copytree(undisturbed[0].out, place.out)
    run = place.run()
    run.record.status, run.record.models[MODEL]["status"] = "started", "waiting"
    run.record.write(run.folder.record)
    run.folder.parts(MODEL).mkdir(parents=True)
    (run.folder.parts(MODEL) / "prompted-00001.npz").touch()
    complete(place)
    assert files(place.run().folder.path) == files(undisturbed[0].run().folder.path)
    assert place.run().samples(MODEL).equals(undisturbed[0].run().samples(MODEL))
