"""How much arithmetic one image takes: counted by torch, the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Kinds of operations that multiply matrices, by their names in torch; "upsample_bilinear2d", "convert" and
# "_thnn_fused_lstm_cell" (what follows the products) do not.
MULTIPLIES = re.compile(
    r"(?<!upsample)(?<!thnn_fused)(?:^|_)(?:\w*mm|matmul|linear|bilinear|mv|addmv|dot|vdot|einsum|conv(?!ert)\w*|\w*attention\w*|rnn|lstm"
    r"|gru|gemm|transformer)(?:_|\d|$)"
)
NOTHING = "torch ran no matrix product, convolution or attention"


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Floating-point operations of a batch, two for each multiply-add.

    Attributes:
        per_image: their sum over the images, divided by their number; None where there were none, and why.
        operations: the sum for each kind of operation that was counted. Others (norms, activations, sums, whatever
            torch does not run) are not, by the convention of torch.utils.flop_counter.
        uncounted: operations that multiply matrices and that torch has no formula for: with any, the sum is too small.
    """

    per_image: float | None
    reason: str | None = None
    batch_size: int
    operations: dict[str, int] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()


def count_flops(work: Callable[[], object], batch_size: int) -> Flops:
    """Runs ``work``, which makes a batch of images, and returns what it took.

    Attention is computed by its plain formula meanwhile: its fused kernels differ from device to device, and not all of
    them are counted. Whatever ``work`` raises is a reason, not an error: a count is worth no failed model.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    seen = operations_seen()
    try:
        # The list is the outer one: it sees what the counter, which takes operations apart, has run in the end.
        with sdpa_kernel(SDPBackend.MATH), seen, FlopCounterMode(display=False) as counter:
            work()
    except Exception as error:
        return Flops(per_image=None, batch_size=batch_size, reason=f"counting failed: {type(error).__name__}: {error}")
    counted = {str(kind): count for kind, count in counter.get_flop_counts().get("Global", {}).items()}
    missed = tuple(sorted(str(kind) for kind in seen.kinds if kind not in flop_registry and multiplies(kind)))
    if not counted:
        return Flops(per_image=None, batch_size=batch_size, reason=NOTHING, uncounted=missed)
    per_image = sum(counted.values()) / batch_size
    return Flops(per_image=per_image, batch_size=batch_size, operations=counted, uncounted=missed)


def attention_kernels(work: Callable[[], object]) -> list[str] | None:
    """Runs ``work``, which must not be compiled, and returns the attention kernels that torch chose for it.

    None where ``work`` cannot be looked into: what was timed before stays.
    """
    try:
        with operations_seen() as seen:
            work()
    except Exception:
        return None
    return sorted(str(kind).partition(".")[2] for kind in seen.kinds if "attention" in str(kind))


def multiplies(kind: object) -> bool:
    """Whether the name of an operation, such as ``aten.addmm``, is that of one that multiplies matrices."""
    return MULTIPLIES.search(str(kind).rpartition(".")[2]) is not None


def operations_seen() -> Any:
    """Returns a context that lists in ``kinds`` every kind of operation that torch runs inside it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Listing(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.kinds: set[Any] = set()

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            with self:  # in inference mode torch hands over operations that are made of others
                parts = func.decompose(*args, **kwargs) if hasattr(func, "decompose") else NotImplemented
            if parts is not NotImplemented:
                return parts
            self.kinds.add(getattr(func, "overloadpacket", func))
            return func(*args, **kwargs)

    return Listing()
