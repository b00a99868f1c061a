"""``calibrate-metrics``: which metric sees which distortion of real images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Device, Json, Quiet, Root, people, print_json
from trilemma.cli.scoring import BatchSize, Download, DType, NoCache, bars, options_of
from trilemma.cli.text_table import text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trilemma.scoring.calibration import Calibration
    from trilemma.scoring.calibration_truth import Agreement
    from trilemma.scoring.score import Options


def calibrate_metrics(
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="Real images: scenes, or a folder, .npz, .npy, zip or tar.")
    ] = "scenes",
    preset: Annotated[str, typer.Option(metavar="NAME", help="Whose metrics are tried.")] = "scenes",
    samples: Annotated[int, typer.Option(metavar="N", help="Images in the reference, and in every set.")] = 2048,
    levels: Annotated[int, typer.Option(metavar="L", help="Strengths of each distortion.")] = 4,
    distortions: Annotated[
        str | None, typer.Option(metavar="A,B", help="Such as blur,grain [all].", show_default=False)
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Also rank a finished run's models, against the truth.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Deals images, modes, noise and copies.")] = 0,
    batch_size: BatchSize = None,
    device: Device = "auto",
    dtype: DType = None,
    download: Download = False,
    no_cache: NoCache = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write calibration.md, .png and .json there.", show_default=False),
    ] = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Distorts real images by degrees and prints which metric saw what; a failure that nobody expected is exit code 1.

    Example: trilemma calibrate-metrics scenes --out calibration --run latest
    """
    options = options_of(None, batch_size, device, dtype, download, seed, no_cache)
    agreements = _agreements(run, root)
    with bars(quiet=quiet) as told:
        found = _calibrate(source, preset, samples, levels, distortions, options, told)
    _write(found, agreements, out)
    _tell(found, agreements, json=json)
    if found.unexpected:
        raise typer.Exit(1)


def _agreements(run: str | None, root: Path | None) -> list[Agreement]:
    from trilemma.scoring.calibration_truth import agreements
    from trilemma.store.run import Run, find_run
    from trilemma.workspace import find_workspace

    return [] if run is None else agreements(Run(find_run(run, find_workspace(root).runs)))


def _calibrate(
    source: str,
    preset: str,
    samples: int,
    levels: int,
    distortions: str | None,
    options: Options,
    told: Callable[[str, int, int], None],
) -> Calibration:
    from trilemma.features.presets import preset as find_preset
    from trilemma.runner.devices import pick_device
    from trilemma.scoring.calibration import calibrate
    from trilemma.scoring.calibration_instrument import Bench
    from trilemma.scoring.calibration_material import material
    from trilemma.scoring.distortions import named_distortions
    from trilemma.scoring.networks import load_networks
    from trilemma.scoring.score import cache_of

    chosen, known, images = named_distortions(distortions), find_preset(preset), material(source, samples, options.seed)
    networks = load_networks((known,), pick_device(options.device).type, options.dtype, options.download)
    with cache_of(options) as cache:
        bench = Bench(
            preset=known,
            extractor=networks.of(known),
            seed=options.seed,
            batch_size=options.batch_size,
            cache=cache,
            progress=told,
        )
        return calibrate(images, chosen, levels, bench)


def _write(found: Calibration, agreements: Sequence[Agreement], out: Path | None) -> None:
    from trilemma.report.calibration import heat_map, markdown
    from trilemma.report.drawing import png
    from trilemma.scoring.calibration_record import as_document
    from trilemma.store.atomic import write_bytes, write_json, write_text

    if out is None:
        return
    folder = out.expanduser()
    write_text(folder / "calibration.md", markdown(found, agreements))
    write_bytes(folder / "calibration.png", png(heat_map(found)))
    write_json(folder / "calibration.json", as_document(found, agreements))


def _tell(found: Calibration, agreements: Sequence[Agreement], *, json: bool) -> None:
    from trilemma.report.calibration import agreement_rows, explanations, gaps, matrix, surprises, truths
    from trilemma.scoring.calibration_record import as_document

    if json:
        print_json(as_document(found, agreements))
    console = people()
    console.print(text_table("What the metrics see", ["distortion", *found.metrics], matrix(found)))
    for title, lines in (
        ("Unexpected failures", surprises(found)),
        ("* Expected failures", explanations(found)),
        ("Not measured", gaps(found)),
    ):
        if lines:
            console.print(f"{title}:", *(f"  {line}" for line in lines), sep="\n", markup=False)
    if agreements:
        header = ["metric", *truths(agreements)]
        console.print(text_table("Kendall's tau with the truth", header, agreement_rows(agreements)))
