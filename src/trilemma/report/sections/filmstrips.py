"""Filmstrips: how each family makes a picture, the intermediate images of the same prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.errors import UserError
from trilemma.report.inlined import Tiled, tiled
from trilemma.report.numbers import count, with_error
from trilemma.store.strips import Strip, read_strips

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "filmstrips"
TITLE = "How a picture is made"
STYLES = ("pictures.css",)
WAYS = {
    "gan": "one pass, from noise to the picture",
    "vqar": "patch after patch, row by row from the upper left",
    "var": "coarse scales first, then finer ones",
    "diffusers": "noise becomes a picture, step by step",
}
OTHER_WAY = "its intermediate images"
SPACES = {
    "latents": "to the latents of the autoencoder, and every frame is decoded",
    "pixels": "to the pixels, for there is no encoder",
}


@dataclass(frozen=True, kw_only=True)
class Film:
    """One strip as the page shows it.

    Attributes:
        under: what stands under each frame.
        facts: of the caption, one after the other.
    """

    model: str
    strip: Strip
    picture: Tiled
    under: tuple[str, ...]
    facts: tuple[str, ...]


def content(run: Run) -> dict[str, Any] | None:
    """Returns the strips by prompt, those of one model together; None where the run kept none."""
    films: list[Film] = []
    problems: list[str] = []
    for number, model in enumerate(run.models):
        try:
            films += _films(run, model, number, problems)
        except UserError as error:
            problems.append(f"{model}: {error}")
    if not films and not problems:
        return None
    keys = dict.fromkeys((film.strip.key, film.strip.prompt) for film in films)
    prompts = [(prompt, [film for film in films if film.strip.key == key]) for key, prompt in keys]
    return {"prompts": prompts, "problems": problems}


def _films(run: Run, model: str, number: int, problems: list[str]) -> list[Film]:
    found = read_strips(run.folder.strips(model))
    if found is None:
        return []
    about, frames = found
    problems += [f"{model}: {problem}" for problem in about.problems]
    return [
        Film(
            model=model,
            strip=strip,
            picture=tiled(f"film-{number}-{place}", pixels, len(pixels)),
            under=tuple(_under(strip)),
            facts=tuple(_facts(run, model, strip)),
        )
        for place, (strip, pixels) in enumerate(zip(about.strips, frames, strict=True))
    ]


def _under(strip: Strip) -> list[str]:
    """Network evaluations up to each frame: they are evenly spaced, that is what a trace promises."""
    if strip.kind == "noising":
        return ["the picture" if frame == 1 else f"{frame - 1} of {strip.length - 1}" for frame in strip.frames]
    if strip.evaluations is None or strip.evaluations % strip.length:
        return [f"{frame} of {strip.length}" for frame in strip.frames]
    each = strip.evaluations // strip.length
    return [count(each * frame) for frame in strip.frames]


def _facts(run: Run, model: str, strip: Strip) -> list[str]:
    if strip.kind == "noising":
        assert strip.space is not None
        return [
            f"the way back: the same picture becomes noise. Noise is added {SPACES[strip.space]}, as much as there "
            "is at each of the sampler's own times; the denoiser takes no part",
            *_left_out(strip),
        ]
    way = WAYS.get(str(run.info(model).get("family")), OTHER_WAY)
    return [way, *_evaluations(strip), *_time(run, model, strip), *_left_out(strip)]


def _evaluations(strip: Strip) -> list[str]:
    if strip.evaluations is None:
        return []
    return [f"{count(strip.evaluations)} network evaluation{'' if strip.evaluations == 1 else 's'}"]


def _time(run: Run, model: str, strip: Strip) -> list[str]:
    """The latency that the run timed, else the one traced call, which does more than a usual one."""
    row = run.find(model, "latency_batch1")
    if row is not None and row.value is not None:
        return [f"{with_error(1000 * row.value, None if row.se is None else 1000 * row.se)} ms at batch 1"]
    return [] if strip.wall_ms is None else [f"{with_error(strip.wall_ms)} ms, one traced call, tracing included"]


def _left_out(strip: Strip) -> list[str]:
    shown = len(strip.frames)
    return [] if shown == strip.length else [f"{shown} of {count(strip.length)} frames are shown"]
