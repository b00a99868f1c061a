"""The official sampler's ``more_smooth``: in place of one code, a mixture of codes. For looks; no score is of it.

Source: https://github.com/FoundationVision/VAR, ``autoregressive_infer_cfg`` in ``models/var.py``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trilemma.generator import Knob

SMOOTH = Knob(
    name="smooth", kind="int", default=0, minimum=0, maximum=1,
    description="1: the official more_smooth, mixtures of codes; for looks, no published score is of it",
)  # fmt: skip


def mixed_codes(probability_NV: Tensor, uniform_NV: Tensor, codebook_VC: Tensor, ratio: float) -> Tensor:
    """Returns a Gumbel-softmax mixture of codes for each token, ``(N, C)``.

    Args:
        probability_NV: of the codes, after guidance and what was cut off.
        uniform_NV: float64 in [0, 1).
        codebook_VC: the codes.
        ratio: how far the picture is: 0 at the first scale, 1 at the last. Both sharpness and temperature go with it.
    """
    temperature = max(0.27 * (1 - 0.95 * ratio), 0.005)
    tiny = torch.finfo(uniform_NV.dtype).tiny
    gumbel_NV = -(-uniform_NV.clamp(min=tiny).log()).clamp(min=tiny).log()
    weights_NV = ((probability_NV.log() * (1 + ratio) + gumbel_NV) / temperature).softmax(-1)
    return weights_NV.to(codebook_VC.dtype) @ codebook_VC
