"""How much arithmetic one image takes: counted by torch, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

NOTHING = "torch ran no matrix product, convolution or attention"


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Floating-point operations of a batch, two for each multiply-add.

    Attributes:
        per_image: their sum over the images, divided by their number; None where there were none, and why.
        operations: the sum for each kind of operation that was counted. Others (norms, activations, sums, whatever
            torch does not run) are not, by the convention of torch.utils.flop_counter.
    """

    per_image: float | None
    reason: str | None = None
    batch_size: int
    operations: dict[str, int] = field(default_factory=dict)


def count_flops(work: Callable[[], object], batch_size: int) -> Flops:
    """Runs ``work``, which makes a batch of images, and returns what it took.

    Attention is computed by its plain formula meanwhile: its fused kernels differ from device to device, and not all of
    them are counted. Whatever ``work`` raises is a reason, not an error: a count is worth no failed model.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            work()
    except Exception as error:
        return Flops(per_image=None, batch_size=batch_size, reason=f"counting failed: {type(error).__name__}: {error}")
    counted = {str(kind): count for kind, count in counter.get_flop_counts().get("Global", {}).items()}
    if not counted:
        return Flops(per_image=None, batch_size=batch_size, reason=NOTHING)
    return Flops(per_image=sum(counted.values()) / batch_size, batch_size=batch_size, operations=counted)
