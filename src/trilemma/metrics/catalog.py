"""Every metric's name, meaning and direction in one table that imports nothing heavy: for lists and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from trilemma.errors import UserError, suggest
from trilemma.protocol import Protocol

Axis = Literal["quality", "diversity", "speed", "score", "about"]
Direction = Literal["lower", "higher", "none"]
Extractor = Literal["features", "factors", "clip", "inception", "pixels"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a metric is.

    Attributes:
        name: as in the record. title: for people.
        direction: which way is better. unit: "" for a pure number.
        axis: the corner it belongs to; "score" for the scores from 0 to 10, "about" for facts, neither good nor bad.
        description: one sentence.
        set: the sample set that it is measured on, or None when it is not about one.
        extractor: the role of the reader that it needs, or None.
        version: raised when the same images would give another number.
    """

    name: str
    title: str
    direction: Direction
    unit: str
    axis: Axis
    description: str
    set: str | None = None
    extractor: Extractor | None = None
    version: int = 1


COUNTERS = ("parameters", "evaluations_per_image", "flops_per_image")
"""Metrics that are counted: on every machine the same, without error."""

BY_SPEED_ALONE = (
    "latency_p90", "latency_p99", "compile_seconds", "seconds_text", "seconds_sample", "seconds_decode",
    "peak_memory_reserved", "mfu", "joules_per_image",
)  # fmt: skip
"""Metrics that the verb ``speed`` measures, and a protocol does not."""


OF_SCENES = (
    "fd_scenes", "residual", "off_manifold", "modes", "mode_tv", "mode_kl", "spread_x", "spread_y", "spread_size",
    "spread_angle", "spread_tint", "spread_phase", "within_prompt_spread",
)  # fmt: skip
"""Metrics that need the known truth of Scenes."""
DISTANCES = ("fd_scenes", "fd", "fd_dinov2", "clip_fid", "fid")
"""The Fréchet distance, by the features that it is taken in: of a run that holds several, the first is its own."""
OF_OTHER_DATA = ("fd", "fd_dinov2", "clip_fid")
"""Metrics that Scenes have others for."""


def metric(name: str) -> Metric:
    """Returns the metric of this name; raises UserError with a suggestion when there is none."""
    if name not in METRICS:
        raise UserError(f'There is no metric "{name}".', hint=suggest(name, METRICS))
    return METRICS[name]


def check_names(protocol: Protocol) -> None:
    """Raises UserError, naming the key, where a protocol names a metric that there is none of, or none for its data."""
    from trilemma.metrics.plugin import brought

    for name in protocol.metrics:
        brought(name)
    _check_data(protocol)
    gate = protocol.gate
    for key, names in (("metrics", protocol.metrics), ("gate.metrics", gate.metrics), ("gate.margins", gate.margins)):
        for name in names:
            if name not in METRICS:
                where = f"{protocol.name}: {key}"
                raise UserError(f'There is no metric "{name}".', where=where, hint=suggest(name, METRICS))


def _check_data(protocol: Protocol) -> None:
    wrong = OF_OTHER_DATA if protocol.knows_truth else OF_SCENES
    for name in protocol.metrics:
        if name in wrong:
            why = "Scenes have their own distance" if protocol.knows_truth else "it needs the known truth of Scenes"
            where = f"{protocol.name}: metrics"
            raise UserError(f'"{name}" cannot be measured over "{protocol.data}": {why}.', where=where)


# fmt: off
_ROWS: tuple[tuple[Any, ...], ...] = (
    # the columns of _COLUMNS
    ("score_quality", "Quality", "score", "higher", "of 10", None, None,
     "Fréchet distance on a log scale: 10 for real images, 0 for the control `reduced`."),
    ("score_diversity", "Diversity", "score", "higher", "of 10", None, None,
     "Evenness over modes and spread within prompts, or coverage where no truth is known: 10 for real images."),
    ("score_speed", "Speed", "score", "higher", "of 10", None, None,
     "Time per image at the best batch: 10 for one pass of the reference decoder, 0 for a thousand."),
    ("score_speed_batch1", "Speed at batch 1", "score", "higher", "of 10", None, None,
     "The speed score with one image at a time."),
    ("fd_scenes", "FD-Scenes", "quality", "lower", "", "prompted", "features",
     "Fréchet distance to real images in the features of Scenes' extractor."),
    ("fd", "Fréchet distance", "quality", "lower", "", "prompted", "features",
     "Fréchet distance to real images in the features of the data set's own extractor."),
    ("fd_dinov2", "FD-DINOv2", "quality", "lower", "", "prompted", "features",
     "Fréchet distance to real images in the features of DINOv2."),
    ("clip_fid", "CLIP-FID", "quality", "lower", "", "prompted", "features",
     "Fréchet distance to real images in the features of CLIP."),
    ("kid", "Kernel distance", "quality", "lower", "", "prompted", "features",
     "Unbiased squared discrepancy from real images under a cubic kernel; may be below 0."),
    ("inception_score", "Inception score", "quality", "higher", "", "prompted", "features",
     "How sure and how varied the class posteriors of the images are."),
    ("precision", "Precision", "quality", "higher", "", "prompted", "features",
     "Share of images that lie among the nearest neighbours of real ones."),
    ("density", "Density", "quality", "higher", "", "prompted", "features",
     "Number of real neighbourhoods around an image, relative to k; 1 for real images."),
    ("clip_score", "CLIP score", "quality", "higher", "100·cos", "prompted", "clip",
     "Mean cosine between the CLIP embeddings of image and prompt."),
    ("prompt_accuracy", "Prompt accuracy", "quality", "higher", "", "prompted", "factors",
     "Share of images in which all is read that the prompt asked for."),
    ("residual", "Residual", "quality", "lower", "grey levels", "prompted", "factors",
     "RMS difference between an image and the re-rendering of what was read from it."),
    ("off_manifold", "Off manifold", "quality", "lower", "", "unconditional", "factors",
     "Share of images whose residual exceeds the 99th percentile of real images'."),
    ("precision_within_prompts", "Precision within prompts", "quality", "higher", "", "within_prompt", "features",
     "Share of images among the nearest neighbours of real ones of the same prompt, for each of a few prompts."),
    ("fid", "FID", "quality", "lower", "", "prompted", "inception",
     "Fréchet distance in Inception features, where its weights are at hand."),
    ("is_inception", "Inception score (Inception)", "quality", "higher", "", "prompted", "inception",
     "Inception score with Inception's own classes, where its weights are at hand."),
    ("recall", "Recall", "diversity", "higher", "", "prompted", "features",
     "Share of real images that lie among the nearest neighbours of generated ones."),
    ("coverage", "Coverage", "diversity", "higher", "", "prompted", "features",
     "Share of real neighbourhoods that hold a generated image."),
    ("coverage_unconditional", "Coverage without prompts", "diversity", "higher", "", "unconditional", "features",
     "Coverage of real images by images drawn with the empty prompt."),
    ("coverage_within_prompts", "Coverage within prompts", "diversity", "higher", "", "within_prompt", "features",
     "Coverage of real images by several images for each of a few prompts."),
    ("modes", "Modes covered", "diversity", "higher", "of 512", "unconditional", "factors",
     "Number of the 512 modes that are drawn at least once without a prompt."),
    ("mode_tv", "Mode total variation", "diversity", "lower", "", "unconditional", "factors",
     "Total variation between the modes drawn without a prompt and the truth, off the manifold counted as one bin."),
    ("mode_kl", "Mode divergence", "diversity", "lower", "nats", "unconditional", "factors",
     "KL divergence of the modes drawn without a prompt from uniform, images off the manifold left out."),
    ("spread_x", "Spread of x", "diversity", "higher", "", "within_prompt", "factors",
     "How much x varies inside one prompt: 1 as in real images, 0 for one value throughout."),
    ("spread_y", "Spread of y", "diversity", "higher", "", "within_prompt", "factors",
     "How much y varies inside one prompt: 1 as in real images, 0 for one value throughout."),
    ("spread_size", "Spread of size", "diversity", "higher", "", "within_prompt", "factors",
     "How much size varies inside one prompt: 1 as in real images, 0 for one value throughout."),
    ("spread_angle", "Spread of angle", "diversity", "higher", "", "within_prompt", "factors",
     "How much angle varies inside one prompt: 1 as in real images, 0 for one value throughout."),
    ("spread_tint", "Spread of tint", "diversity", "higher", "", "within_prompt", "factors",
     "How much tint varies inside one prompt: 1 as in real images, 0 for one value throughout."),
    ("spread_phase", "Spread of phase", "diversity", "higher", "", "within_prompt", "factors",
     "How much phase varies inside one prompt: 1 as in real images, 0 for one value throughout."),
    ("within_prompt_spread", "Spread within prompts", "diversity", "higher", "", "within_prompt", "factors",
     "Mean over the free factors of their spread inside one prompt: 1 as in real images, 0 for one value."),
    ("copy_rate", "Copy rate", "diversity", "lower", "", "prompted", "pixels",
     "Share of images nearer to a training image than 99 % of held-out real images are."),
    ("images_per_second", "Images per second", "speed", "higher", "images/s", None, None,
     "Throughput at the best batch size, decoding and transfer included."),
    ("latency_batch1", "Latency at batch 1", "speed", "lower", "s", None, None,
     "Median time from prompt to image, one at a time."),
    ("latency_p90", "90th percentile of latency", "speed", "lower", "s", None, None,
     "Empirical percentile: nine of ten of the timed calls at batch 1 took no longer; needs 44 calls."),
    ("latency_p99", "99th percentile of latency", "speed", "lower", "s", None, None,
     "Empirical percentile: 99 of a hundred of the timed calls at batch 1 took no longer; needs 459 calls."),
    ("load_seconds", "Load", "speed", "lower", "s", None, None,
     "Time to load the model from disk."),
    ("first_call_seconds", "First call", "speed", "lower", "s", None, None,
     "Time of the first call in a fresh process."),
    ("compile_seconds", "Compile", "speed", "lower", "s", None, None,
     "What torch.compile takes of the first call in a fresh process with an empty cache."),
    ("seconds_text", "Text encoding", "speed", "lower", "s", None, None,
     "Time for one image that prompts take to be encoded, at the best batch."),
    ("seconds_sample", "Sampling", "speed", "lower", "s", None, None,
     "Time for one image that sampling takes, at the best batch."),
    ("seconds_decode", "Decoding", "speed", "lower", "s", None, None,
     "Time for one image that decoding to pixels takes, at the best batch."),
    ("peak_memory", "Peak memory", "speed", "lower", "bytes", None, None,
     "Largest memory in use while images are drawn, warm-up included."),
    ("peak_memory_reserved", "Peak memory, reserved", "speed", "lower", "bytes", None, None,
     "Largest memory that torch had taken from the GPU, used or not; it depends on what ran before."),
    ("mfu", "MFU", "speed", "higher", "", None, None,
     "Share of the device's dense peak that the counted operations make use of at the best batch."),
    ("joules_per_image", "Energy", "speed", "lower", "J", None, None,
     "Energy of the GPU for one image at the best batch, by its own counter over ten seconds or more."),
    ("evaluations_per_image", "Evaluations per image", "speed", "lower", "evaluations", None, None,
     "Passes through the network for one image, guidance included."),
    ("flops_per_image", "Operations per image", "speed", "lower", "FLOPs", None, None,
     "Floating-point operations of matrix products, convolutions and attention for one image, two per multiply-add."),
    ("parameters", "Parameters", "about", "none", "parameters", None, None,
     "Parameters of all that draws an image."),
)
# fmt: on

_COLUMNS = ("name", "title", "axis", "direction", "unit", "set", "extractor", "description")

METRICS: dict[str, Metric] = {row[0]: Metric(**dict(zip(_COLUMNS, row, strict=True))) for row in _ROWS}
"""All metrics by name, in the order in which tables show them; those of plug-ins come last, once they are named."""

OWN = frozenset(METRICS)
"""The names of the suite's own."""
