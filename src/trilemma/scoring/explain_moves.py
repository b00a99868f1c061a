"""How much each field moves a value: the number computed anew, with one field at a time as the other has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trilemma.errors import UserError
from trilemma.features.presets import Preset
from trilemma.features.recipe import Recipe
from trilemma.runner.devices import pick_device
from trilemma.scoring.checks import check_kinds, check_sizes
from trilemma.scoring.explain_steps import Given, Setting, setting, steps
from trilemma.scoring.extraction import feature_sets
from trilemma.scoring.feature_set import FeatureSet
from trilemma.scoring.networks import Networks, load_networks
from trilemma.scoring.numbers import score_features
from trilemma.scoring.record import ScoreRecord
from trilemma.scoring.resolve import Resolver
from trilemma.scoring.row import Row
from trilemma.scoring.score import Options, Progress, Role, seen
from trilemma.scoring.side import Side

TOLERANCE = 1e-3
"""Largest difference, relative to the recorded value, that another machine's rounding may cost."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """A with one field changed to what it is in B.

    Attributes:
        value: of the number then; None where it cannot be had, and ``reason`` says why.
        move: how far that is from A's value, computed here.
    """

    field: str
    value: float | None
    move: float | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What every field does alone.

    Attributes:
        a, b: both numbers, computed here; ``reproduced`` says whether they are the recorded ones.
        steps: one per field. What they leave of ``b`` - ``a`` is what fields do together.
    """

    a: float | None
    b: float | None
    reproduced: bool
    steps: tuple[Move, ...]


@dataclass(frozen=True, kw_only=True)
class Behind:
    """The two sides that a score was computed of."""

    real: Given
    fake: Given


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the user gave as the images behind the numbers.

    Attributes:
        real, fake: names as ``score`` takes them; the content says which belong to which number.
        root, runs: see :class:`~trilemma.scoring.resolve.Resolver`.
    """

    real: Sequence[str]
    fake: Sequence[str]
    root: Path | None = None
    runs: Path | None = None

    def behind(self, record: ScoreRecord) -> Behind:
        """Returns the sources whose content a score was computed of.

        Raises:
            UserError: one of them is not among those that were given.
        """
        return Behind(real=self._of(record, "real"), fake=self._of(record, "fake"))

    def _of(self, record: ScoreRecord, role: Role) -> Given:
        told, options = record.document[role], record.document["options"]
        wanted = told.get("digest") or told["statistics"]["digest"]
        resolver = Resolver(root=self.root, runs=self.runs, seed=options["seed"], device=options["device"])
        names = self.real if role == "real" else self.fake
        for name in names:
            side = _taken(resolver, name, told)
            if side is not None and _digest(seen(side, options["resize"])) == wanted:
                return Given(digest=_digest(side), count=told.get("images"), source=name, side=side)
        given = ", ".join(names) or "nothing"
        raise UserError(
            f'"{told["name"]}", {wanted[:12]} by content, is not among what was given: {given}.',
            where=f"--{role}",
            hint=f"Give it: --{role} SOURCE; it may be given twice.",
        )


@dataclass
class Recomputing:
    """Computes settings; networks and features that several of them need are made once."""

    options: Options
    cache: Path
    progress: Progress
    _networks: dict[tuple[str, Recipe], Networks] = field(default_factory=dict)

    def moves(self, a: Row, behind_a: Behind, b: Row, behind_b: Behind) -> Moves:
        """Returns what every field in which two numbers differ does alone.

        Raises:
            UserError: a network's weights are missing, or this version cannot compute such a number.
        """
        start = setting(a, behind_a.real, behind_a.fake)
        end = setting(b, behind_b.real, behind_b.fake)
        value_a, value_b = self._value(start), self._value(end)
        return Moves(
            a=value_a,
            b=value_b,
            reproduced=_close(value_a, a.value) and _close(value_b, b.value),
            steps=tuple(self._move(name, changed, value_a) for name, changed in steps(start, end)),
        )

    def _move(self, name: str, changed: Setting, start: float | None) -> Move:
        try:
            row = self._row(changed)
        except UserError as error:
            return Move(field=name, value=None, move=None, reason=str(error))
        if row.value is None or start is None:
            return Move(field=name, value=row.value, move=None, reason=row.reason)
        return Move(field=name, value=row.value, move=row.value - start)

    def _value(self, wanted: Setting) -> float | None:
        return self._row(wanted).value

    def _row(self, wanted: Setting) -> Row:
        preset = Preset(name=wanted.preset, title=wanted.preset, recipe=wanted.recipe, metrics=(wanted.use,))
        networks = self._load(preset)
        real, fake = (seen(given.side, wanted.resize) for given in (wanted.real, wanted.fake))
        check_kinds(real, fake, (preset,), wanted.resize)
        check_sizes(real, fake)
        rows = score_features(
            preset,
            self._features("real", real, preset, networks),
            self._features("fake", fake, preset, networks),
            extractor=networks.identity(preset),
            resize=wanted.resize,
            seed=wanted.seed,
            floor=False,
        )
        return rows[0]

    def _load(self, preset: Preset) -> Networks:
        key = (preset.name, preset.recipe)
        if key not in self._networks:
            device = pick_device(self.options.device).type
            self._networks[key] = load_networks((preset,), device, None, self.options.download)
        return self._networks[key]

    def _features(self, role: Role, side: Side, preset: Preset, networks: Networks) -> FeatureSet:
        sets = feature_sets(
            side,
            (preset,),
            networks,
            batch_size=self.options.batch_size,
            cache=self.cache,
            progress=lambda done, total: self.progress(role, done, total),
        )
        return sets[preset.name]


def _taken(resolver: Resolver, name: str, told: dict[str, Any]) -> Side | None:
    """Returns a source cut to as many images as the score took, or None where it has fewer."""
    try:
        return resolver.side(name, None if told["kind"] == "statistics" else told["images"])
    except UserError:
        whole = resolver.side(name)  # raises, for good, what is wrong with the source itself
        if whole.images is not None and len(whole.images) < told["images"]:
            return None
        raise


def _digest(side: Side) -> str:
    if side.images is not None:
        return side.images.digest()
    if side.stored is not None:
        return side.stored.digest
    assert side.statistics is not None
    return side.statistics.digest


def _close(value: float | None, recorded: float | None) -> bool:
    if value is None or recorded is None:
        return value is recorded
    return abs(value - recorded) <= TOLERANCE * max(abs(recorded), 1.0)
