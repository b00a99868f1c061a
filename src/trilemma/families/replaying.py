"""A whole sampling loop as one CUDA graph: its thousands of small kernels are launched by one call."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

Work = Callable[[], Tensor]
Replay = Callable[[], None]
WARM_UP_CALLS = 2


def capture(work: Work) -> tuple[Tensor, Replay]:
    """Runs ``work`` and records it as a CUDA graph.

    Returns:
        the tensor that every replay fills, and what replays.
    """
    # What compiles or sets itself up at first use must not be recorded, nor run on the default stream before recording.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_CALLS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = work()
    return output, graph.replay


class Replayed:
    """A function of tensors and constants whose kernels are recorded once and replayed on new inputs.

    Nothing in the function may depend on the tensors' values but through kernels. Other shapes or constants are
    recorded anew; the recording before them is dropped, for each holds its own memory.
    """

    def __init__(
        self, function: Callable[..., Tensor], record: Callable[[Work], tuple[Tensor, Replay]] = capture
    ) -> None:
        self.function, self.record = function, record
        self.key: Hashable = None
        self.inputs: tuple[Tensor, ...] = ()
        self.output: Tensor | None = None
        self.replay: Replay | None = None

    def __call__(self, *tensors: Tensor, **constants: Hashable) -> Tensor:
        """Returns ``function(*tensors, **constants)``."""
        key = (tuple((tensor.shape, tensor.dtype) for tensor in tensors), tuple(sorted(constants.items())))
        if key != self.key:
            self._begin(tensors, constants)
            self.key = key
        assert self.replay is not None and self.output is not None
        for mine, given in zip(self.inputs, tensors, strict=True):
            mine.copy_(given)
        self.replay()
        return self.output.clone()

    def _begin(self, tensors: tuple[Tensor, ...], constants: dict[str, Hashable]) -> None:
        self.key = self.output = self.replay = None
        with torch.inference_mode(False), torch.no_grad():  # or no later call outside of it could write to the inputs
            self.inputs = inputs = tuple(tensor.clone() for tensor in tensors)
            self.output, self.replay = self.record(lambda: self.function(*inputs, **constants))
