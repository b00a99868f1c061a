"""The anchors of any data set but Scenes: of images where they are at hand, else of a file in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from trilemma.errors import UserError
from trilemma.features import named
from trilemma.metrics.frechet import moments
from trilemma.metrics.moments import Gaussian
from trilemma.metrics.prdc import coverage_within, prdc_sweep
from trilemma.protocol import Protocol
from trilemma.runner.anchors import Anchors, Arrays, NotAtHand, draws, mean_of_draws
from trilemma.runner.data_reference import absence, can_be_missing, is_cached, needed_sets
from trilemma.runner.evaluate import K
from trilemma.runner.plan import plan
from trilemma.runner.reference_file import ReferenceFile, open_reference
from trilemma.runner.reference_sets import TRUTH_SEED, ReferenceSet
from trilemma.statistics.estimate import Estimate, missing
from trilemma.store.arrays import read_arrays

COVERAGE_DRAWS = 4
"""The coverage of real images scatters by a hundredth of itself; more draws would cost more than they tell."""


def anchors_of(protocol: Protocol, cache_folder: Path, identity: Mapping[str, str]) -> Anchors:
    """Returns the anchors of a protocol."""
    kind = Anchors if protocol.knows_truth else DataAnchors
    return kind(protocol, cache_folder, identity)


def neighbors(protocol: Protocol, metric: str) -> dict[str, Any]:
    """Returns which neighbours a manifold metric looks at: as the preset's own suite does, else as on Scenes."""
    return {"k": K, "strict": False, "equal_sizes": True, **named.parameters(protocol, metric)}


class DataAnchors(Anchors):
    """What is asked for and is neither in the cache nor in a file raises :class:`NotAtHand` with the reason.

    Attributes:
        file: in the place of real images, where the protocol names one and it is there.
    """

    def __init__(self, protocol: Protocol, cache_folder: Path, identity: Mapping[str, str]) -> None:
        self.protocol, self.identity = protocol, dict(identity)
        self.file: ReferenceFile | None = open_reference(protocol, identity)
        self._needed = {entry.name: entry for entry in needed_sets(protocol, self.file)}
        there = {n: s for n, s in self._needed.items() if is_cached(s, cache_folder, protocol, identity)}
        self._paths = {name: entry.path(cache_folder, protocol, identity) for name, entry in there.items()}
        self.digests = {str(name): entry.digest(protocol, identity) for name, entry in there.items()}
        if self.file is not None:
            held = {*self.file.sets} | ({"reference"} if self.file.statistics is not None else set())
            self.digests |= dict.fromkeys(sorted(held), self.file.sha256)
        self._keep()
        self.coverage = cache(self._coverage)

    def _read(self, name: str) -> Arrays:
        if self.file is not None and name in self.file.sets:
            return {"features": self.file.features(name)}
        if name in self._paths:
            return read_arrays(self._paths[name])
        raise NotAtHand(self._why(name))

    def _why(self, name: str) -> str:
        entry: ReferenceSet | None = self._needed.get(name)  # type: ignore[call-overload]
        if entry is None:
            return "the protocol sets no real images aside for this"
        if entry.split is None:
            return "the images beside the statistics could not be measured: see the log"
        only = "only statistics of real images are at hand; " if self._statistics_only(name) else ""
        found = absence(entry, self.protocol) or f'the images of "{name}" could not be measured: see the log'
        return f"{only}{found}"

    def _statistics_only(self, name: str) -> bool:
        return self.file is not None and self.file.statistics is not None and name not in ("training", "heldout")

    @cached_property
    def moments(self) -> Gaussian:
        """Of the reference images' features: the published statistics where there are such."""
        if self.file is not None and self.file.statistics is not None:
            return self.file.statistics
        return moments(self.arrays("reference")["features"])

    @cached_property
    def within_prompts(self) -> list[str]:
        """The prompt of each image of the sets "within" and "within_real"."""
        return [planned.prompt_id for planned in self._within_plan()]

    def _within_plan(self) -> list[Any]:
        entry = next(entry for entry in self.protocol.sets if entry.prompts == "repeated")
        return plan(self.protocol, TRUTH_SEED)[entry.name]

    def _floor(self, n: int) -> Estimate:
        return _or_missing(super()._floor, n)

    def _reduced(self, n: int) -> Estimate:
        return _or_missing(super()._reduced, n)

    def _coverage(self, n: int) -> Estimate:
        """Returns the mean coverage of the reference by a few draws of n real images."""
        return _or_missing(self._drawn_coverage, n)

    def _drawn_coverage(self, n: int) -> Estimate:
        pool, real = self.arrays("floor")["features"], self.arrays("reference")["features"]
        if n > len(pool):
            return missing(f"needs {n} real images to draw from; there are {len(pool)}", n=n)
        how, values = neighbors(self.protocol, "coverage"), []
        for drawn in draws(pool, n, COVERAGE_DRAWS):
            found = prdc_sweep(drawn, real, ks=(how["k"],), equal_sizes=how["equal_sizes"])
            coverage = found[how["k"], how["strict"]].coverage
            if coverage.value is None:
                return coverage
            values.append(coverage.value)
        return mean_of_draws(values, n)

    def coverage_within(self, keys: frozenset[str]) -> Estimate:
        """Returns the coverage within prompts that other real images of the same classes have.

        Args:
            keys: of the images that a model has made: those in their places are taken.
        """
        chosen = np.array([planned.key in keys for planned in self._within_plan()])
        try:
            drawn, real = (self.arrays(name)["features"] for name in ("within_real", "within"))
        except NotAtHand as error:
            return missing(str(error), n=int(chosen.sum()))
        prompts = np.array(self.within_prompts)
        found = coverage_within(drawn[chosen], prompts[chosen], real, prompts, k=K)
        return replace(found, replicates=())  # in a comparison of two models held fixed, as every anchor

    def reader_accuracy(self) -> dict[str, float]:
        """Returns the share of held-out real images whose class is read right; empty where nobody knows."""
        if "reader" not in self.identity:
            return {}
        try:
            found = self.arrays("heldout")
        except NotAtHand:
            return dict(self.file.reader_accuracy) if self.file is not None else {}
        return accuracy_of(found)


def accuracy_of(heldout: Arrays) -> dict[str, float]:
    """Returns the share of held-out real images whose class is read right; empty where they have no classes."""
    labelled = heldout["label"] >= 0
    if not labelled.any():
        return {}
    return {"class": float((heldout["read_label"][labelled] == heldout["label"][labelled]).mean())}


def check_reference(protocol: Protocol, identity: Mapping[str, str], cache_folder: Path) -> None:
    """Raises UserError, before anything is drawn, where what models are to be compared with is not at hand."""
    if protocol.reference is None or protocol.knows_truth:
        return
    file = open_reference(protocol, identity)
    for entry in needed_sets(protocol, file):
        if can_be_missing(entry, file) or entry.split is None or is_cached(entry, cache_folder, protocol, identity):
            continue
        if (why := absence(entry, protocol, advice=True)) is not None:
            raise UserError(f"{why}.", where=f"{protocol.name}: reference", hint=_where_from(protocol))


def _where_from(protocol: Protocol) -> str:
    assert protocol.reference is not None
    name, source = protocol.reference.features, protocol.reference.source
    if name is None:
        return ""
    return f'Nor is there the file "{name}" beside the protocol{f"; get it from {source}" if source else ""}.'


def _or_missing(compute: Any, n: int) -> Estimate:
    try:
        found: Estimate = compute(n)
        return found
    except NotAtHand as error:
        return missing(str(error), n=n)
