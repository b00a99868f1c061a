"""By how much each metric must change to matter, and how it is compared.

A protocol may replace a margin; a calibration widens it to three standard deviations of what identical versions differ
by. An absolute margin of 2 ms on times is left out on purpose: with it, a call of 3 ms could take 60 % longer, unseen.
The jitter of short calls is noise, and noise is for calibration to measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trilemma.errors import UserError, suggest
from trilemma.statistics.margins import Margin

Scale = Literal["difference", "log_ratio", "counter"]


@dataclass(frozen=True, kw_only=True)
class Gating:
    """How a metric is judged.

    Attributes:
        scale: "difference" of values with their errors; "log_ratio" of positive times, whose replicates are processes
            or sessions; "counter", equal or not, with the margin's relative part as tolerance.
        margin: the default margin. because: why this much.
    """

    scale: Scale
    margin: Margin
    because: str


def gating(metric: str) -> Gating:
    """Returns how this metric is judged; raises UserError with a suggestion when it cannot be gated."""
    if metric not in GATING:
        raise UserError(f'The metric "{metric}" cannot be gated.', hint=suggest(metric, GATING))
    return GATING[metric]


_DISTANCE = "1 % of a Fréchet distance is less than other seeds move it; near real images, where 1 % is nothing, 0.1"
_SHARE = "1 of 100 images"
_SPREAD = "1 % of what real images show"
_SCORE = "the last digit that tables show"
_TIME = "3 %: less is seldom worth a look, and clocks and memory layout move a time by as much"
_ONCE = "measured once in a process, with the state of the disk's cache in it: 10 %"
_TAIL = "the slowest calls are few, and the machine's own doing: 5 %, 10 % for one of a hundred"
_STAGE = "a part of a call scatters more than the whole: 5 %"
_EXACT = "a property of the model, not a measurement: any change was made by someone"

# fmt: off
_ROWS: tuple[tuple[str, Scale, float, float, str], ...] = (
    # metric, scale, relative, absolute, because
    ("score_quality",           "difference", 0.0,   0.1,   _SCORE),
    ("score_diversity",         "difference", 0.0,   0.1,   _SCORE),
    ("score_speed",             "difference", 0.0,   0.05,  "3 % of the time per image are 0.04 of its scale"),
    ("score_speed_batch1",      "difference", 0.0,   0.05,  "3 % of the time per image are 0.04 of its scale"),
    ("fd_scenes",               "difference", 0.01,  0.1,   _DISTANCE),
    ("fd",                      "difference", 0.01,  0.1,   _DISTANCE),
    ("fd_dinov2",               "difference", 0.01,  0.1,   _DISTANCE),
    ("clip_fid",                "difference", 0.01,  0.1,   _DISTANCE),
    ("kid",                     "difference", 0.01,  1e-4,  "1 % as of a Fréchet distance; 1e-4 for values about 0"),
    ("inception_score",         "difference", 0.01,  0.0,   "1 %, as of a Fréchet distance"),
    ("precision",               "difference", 0.0,   0.01,  _SHARE),
    ("density",                 "difference", 0.0,   0.01,  "1 % of what real images show"),
    ("clip_score",              "difference", 0.002, 0.0,   "a mean over many prompts moves little: 0.2 %"),
    ("prompt_accuracy",         "difference", 0.0,   0.005, "1 of 200 images: good models err in 1 of 70"),
    ("residual",                "difference", 0.01,  0.0,   "1 %, as of a Fréchet distance"),
    ("off_manifold",            "difference", 0.0,   0.01,  _SHARE),
    ("precision_within_prompts", "difference", 0.0,  0.01,  _SHARE),
    ("fid",                     "difference", 0.01,  0.1,   _DISTANCE),
    ("is_inception",            "difference", 0.01,  0.0,   "1 %, as of a Fréchet distance"),
    ("recall",                  "difference", 0.0,   0.01,  _SHARE),
    ("coverage",                "difference", 0.0,   0.01,  _SHARE),
    ("coverage_unconditional",  "difference", 0.0,   0.01,  _SHARE),
    ("coverage_within_prompts", "difference", 0.0,   0.01,  _SHARE),
    ("modes",                   "difference", 0.0,   5.0,   "5 of 512 modes, 1 %"),
    ("mode_tv",                 "difference", 0.0,   0.01,  _SHARE),
    ("mode_kl",                 "difference", 0.01,  0.01,  "1 %; 0.01 nats for values about 0"),
    ("spread_x",                "difference", 0.0,   0.01,  _SPREAD),
    ("spread_y",                "difference", 0.0,   0.01,  _SPREAD),
    ("spread_size",             "difference", 0.0,   0.01,  _SPREAD),
    ("spread_angle",            "difference", 0.0,   0.01,  _SPREAD),
    ("spread_tint",             "difference", 0.0,   0.01,  _SPREAD),
    ("spread_phase",            "difference", 0.0,   0.01,  _SPREAD),
    ("within_prompt_spread",    "difference", 0.0,   0.01,  _SPREAD),
    ("copy_rate",               "difference", 0.0,   0.005, "half of what held-out real images show by construction"),
    ("images_per_second",       "log_ratio",  0.03,  0.0,   _TIME),
    ("latency_batch1",          "log_ratio",  0.03,  0.0,   _TIME),
    ("latency_p90",             "log_ratio",  0.05,  0.0,   _TAIL),
    ("latency_p99",             "log_ratio",  0.10,  0.0,   _TAIL),
    ("load_seconds",            "log_ratio",  0.10,  0.0,   _ONCE),
    ("first_call_seconds",      "log_ratio",  0.10,  0.0,   _ONCE),
    ("compile_seconds",         "log_ratio",  0.10,  0.0,   _ONCE),
    ("seconds_text",            "log_ratio",  0.05,  0.0,   _STAGE),
    ("seconds_sample",          "log_ratio",  0.05,  0.0,   _STAGE),
    ("seconds_decode",          "log_ratio",  0.05,  0.0,   _STAGE),
    ("peak_memory",             "counter",    0.01,  0.0,   "what torch allocates repeats; resident memory does not"),
    ("peak_memory_reserved",    "counter",    0.10,  0.0,   "the allocator's history moves it by as much"),
    ("mfu",                     "log_ratio",  0.03,  0.0,   _TIME),
    ("joules_per_image",        "log_ratio",  0.05,  0.0,   "power sensors look a quarter of the time: 5 %"),
    ("evaluations_per_image",   "counter",    0.0,   0.0,   _EXACT),
    ("flops_per_image",         "counter",    0.0,   0.0,   _EXACT),
    ("parameters",              "counter",    0.0,   0.0,   _EXACT),
)
# fmt: on

GATING: dict[str, Gating] = {
    name: Gating(scale=scale, margin=Margin(relative=relative, absolute=absolute), because=because)
    for name, scale, relative, absolute, because in _ROWS
}
"""All metrics of the catalogue."""
