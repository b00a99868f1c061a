"""What papers report: one table per benchmark, read from ``results/published/NAME.toml``.

A published number means something only beside its source and its protocol, so a row without either cannot be read. What
the source does not say is absent, never filled in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from trilemma.card import check_name
from trilemma.errors import UserError, suggest
from trilemma.strict_toml import check_references, key_in_file, read

Family = Literal[
    "gan", "vq-ar", "pixel-ar", "masked", "coarse-to-fine-ar", "diffusion", "latent-diffusion", "diffusion-gan", "flow",
    "consistency", "distilled-diffusion", "vae", "energy-based", "real",
]  # fmt: skip


def _bounds(low: float, high: float = math.inf, key: str | None = None) -> dict[str, Any]:
    return {"bounds": (low, high), **(key_in_file(key) if key else {})}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where rows were read.

    Attributes:
        verified: how: "repository": in the official repository; "copy": a paper's table, in a public copy of it or in
            notes on it, not in the paper itself; "issue": in a thread of the official repository.
        arxiv: several where rows were merged, and it is not known which paper a cell is from.
        table: of the paper, such as "Tab. 1", or the repository's file.
    """

    title: str
    verified: Literal["repository", "copy", "issue"]
    arxiv: tuple[str, ...] = ()
    table: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishedProtocol:
    """How the source measured, as far as it is known; numbers of two of these are not to be compared.

    Attributes:
        samples: how many images were drawn.
        reference: the real images that they were compared with.
        evaluator: the program, or the network, that measured.
    """

    summary: str
    samples: int | None = field(default=None, metadata=_bounds(1))
    reference: str = ""
    evaluator: str = ""

    def __post_init__(self) -> None:
        _check_bounds(self)


@dataclass(frozen=True, kw_only=True)
class PublishedSampler:
    """The settings of a row, in the source's own scales.

    Attributes:
        steps: of a denoiser; next-token, next-scale or unmasking steps of the others.
        inner_steps: denoising steps within each of them.
        truncation: 1 is none.
        rejection: whether a classifier chose among the samples.
    """

    steps: int | None = field(default=None, metadata=_bounds(1))
    inner_steps: int | None = field(default=None, metadata=_bounds(1))
    solver: str = ""
    eta: float | None = field(default=None, metadata=_bounds(0))
    guidance: float | None = field(default=None, metadata=_bounds(0))
    guidance_kind: Literal["none", "classifier-free", "classifier"] | None = None
    truncation: float | None = field(default=None, metadata=_bounds(0))
    rejection: bool | None = None

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.guidance is not None and self.guidance_kind in (None, "none"):
            raise UserError('"guidance" needs a "guidance_kind" other than "none".')


@dataclass(frozen=True, kw_only=True)
class PublishedMetrics:
    """A row's numbers of quality and diversity.

    Attributes:
        inception_score: "is" in the file.
        inception_score_spread: what the source prints behind ±.
        clip_score: mean cosine.
        diversity: mean perceptual distance between samples of one prompt.
        bits_per_dimension: negative log-likelihood.
        modes, divergence: modes covered, and the KL divergence from their true distribution, in nats.
    """

    fid: float | None = field(default=None, metadata=_bounds(0))
    sfid: float | None = field(default=None, metadata=_bounds(0))
    patch_fid: float | None = field(default=None, metadata=_bounds(0))
    inception_score: float | None = field(default=None, metadata=_bounds(1, key="is"))
    inception_score_spread: float | None = field(default=None, metadata=_bounds(0, key="is_spread"))
    precision: float | None = field(default=None, metadata=_bounds(0, 1))
    recall: float | None = field(default=None, metadata=_bounds(0, 1))
    clip_score: float | None = field(default=None, metadata=_bounds(-1, 1))
    diversity: float | None = field(default=None, metadata=_bounds(0))
    bits_per_dimension: float | None = field(default=None, metadata=_bounds(0))
    modes: int | None = field(default=None, metadata=_bounds(0))
    divergence: float | None = field(default=None, metadata=_bounds(0))

    def __post_init__(self) -> None:
        _check_bounds(self)


@dataclass(frozen=True, kw_only=True)
class PublishedCost:
    """A row's numbers of speed.

    Attributes:
        nfe: network evaluations per image.
        seconds, images: so long for so many images.
        relative_time, relative_to: wall time, in those of another model.
        device: what it was measured on; "" where it is not known: then only ratios within the source mean anything.
    """

    nfe: int | None = field(default=None, metadata=_bounds(1))
    seconds: float | None = field(default=None, metadata=_bounds(0))
    images: int | None = field(default=None, metadata=_bounds(1))
    images_per_second: float | None = field(default=None, metadata=_bounds(0))
    relative_time: float | None = field(default=None, metadata=_bounds(0))
    relative_to: str = ""
    memory_gb: float | None = field(default=None, metadata=_bounds(0))
    device: str = ""

    def __post_init__(self) -> None:
        _check_bounds(self)
        if (self.seconds is None) != (self.images is None):
            raise UserError('"seconds" and "images" belong together.')
        if (self.relative_time is None) != (self.relative_to == ""):
            raise UserError('"relative_time" and "relative_to" belong together.')

    @property
    def seconds_per_image(self) -> float | None:
        """``seconds`` over ``images``; None where the source gives neither."""
        return None if self.seconds is None or self.images is None else self.seconds / self.images


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One model at one setting, in one source.

    Attributes:
        variant: what else tells the row from others of its model and source: a setting, or which copy of the source.
        source, protocol: names of the table's sources and protocols.
        measured_by: "authors": the source's own model; "source": the source measured others' models itself;
            "unknown": the source prints another's model, copied or measured anew.
        imagenet_discriminator: trained against a network that knows ImageNet, which flatters FID.
        note: doubts included.
    """

    model: str
    family: Family
    source: str
    protocol: str
    measured_by: Literal["authors", "source", "unknown"]
    variant: str = ""
    parameters: int | None = field(default=None, metadata=_bounds(1))
    resolution: int | None = field(default=None, metadata=_bounds(1))
    conditional: bool | None = None
    imagenet_discriminator: bool = False
    sampler: PublishedSampler = field(default_factory=PublishedSampler)
    metrics: PublishedMetrics = field(default_factory=PublishedMetrics)
    cost: PublishedCost = field(default_factory=PublishedCost)
    note: str = ""

    def __post_init__(self) -> None:
        _check_bounds(self)
        if not self.model:
            raise UserError("must not be empty.", where="model")
        if self.metrics == PublishedMetrics() and self.cost == PublishedCost():
            raise UserError("this row holds no number.", where=self.model)

    @property
    def identity(self) -> tuple[object, ...]:
        """What no other row of the table shares."""
        return self.model, self.variant, self.source, self.protocol, self.sampler, self.cost.nfe


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """All that was read of one benchmark.

    Attributes:
        resolution: of the benchmark's images, where it has one; a row's own is that of the model's output.
        sources, protocols: by the names that rows call them.
    """

    name: str
    title: str
    resolution: int | None = field(default=None, metadata=_bounds(1))
    sources: dict[str, Source]
    protocols: dict[str, PublishedProtocol]
    rows: tuple[PublishedRow, ...]

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_bounds(self)
        for kind, known in (("source", self.sources), ("protocol", self.protocols)):
            used = [(f"rows[{number}]", getattr(row, kind)) for number, row in enumerate(self.rows)]
            check_references(kind, known, used)
        seen: set[tuple[object, ...]] = set()
        for number, row in enumerate(self.rows):
            if row.identity in seen:
                raise UserError(
                    f"{row.model!r} stands here twice; tell them apart by variant.", where=f"rows[{number}]"
                )
            seen.add(row.identity)


def published_home() -> Path:
    """Returns the folder of the tables that the suite brings along: the checkout's, or what the wheel carries."""
    package = Path(__file__).resolve().parent
    checkout = package.parents[1] / "results" / "published"
    return checkout if checkout.is_dir() else package / "_content" / "results" / "published"


def load_published(folder: Path) -> tuple[PublishedTable, ...]:
    """Returns the tables of a folder, by name.

    Raises:
        UserError: anything wrong in a file, naming file and key; a table that has not its file's name.
    """
    return tuple(_load_table(path) for path in sorted(folder.glob("*.toml")))


def check_published(table: str, protocol: str) -> None:
    """Raises UserError unless the suite brings along a table of this name with a protocol of this one."""
    known = [path.stem for path in published_home().glob("*.toml")]
    if table not in known:
        raise UserError(f'there is no table "{table}".', where="table", hint=suggest(table, known))
    protocols = _load_table(published_home() / f"{table}.toml").protocols
    if protocol not in protocols:
        raise UserError(f'"{table}" has no protocol "{protocol}".', where="protocol", hint=suggest(protocol, protocols))


def _load_table(path: Path) -> PublishedTable:
    table = read(path, PublishedTable)
    if table.name != path.stem:
        raise UserError(f"must be that of the file, {path.stem!r}, got {table.name!r}.", where=f"{path}: name")
    return table


def _check_bounds(holder: Any) -> None:
    for entry in fields(holder):
        value = getattr(holder, entry.name)
        if value is None or "bounds" not in entry.metadata:
            continue
        low, high = entry.metadata["bounds"]
        if not (math.isfinite(value) and low <= value <= high):
            limit = f"{low} or more" if high == math.inf else f"{low} to {high}"
            raise UserError(f"must be {limit}, got {value}.", where=entry.metadata.get("key", entry.name))
