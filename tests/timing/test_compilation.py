"""Compilations are seen by the compiler's own count: the real one, with a back end that takes no time."""

from __future__ import annotations

import torch

from trilemma.timing.compilation import compilations, compile_seconds
from trilemma.timing.watch import Watch


def test_a_new_shape_is_a_compilation_and_the_same_shape_is_none() -> None:
    function = torch.compile(lambda x: x.sin() + 1, backend="eager", dynamic=False)
    function(torch.ones(3))
    watch = Watch()
    function(torch.zeros(3))
    assert watch.objection() is None
    before = compilations()
    function(torch.ones(5))
    assert compilations() == before + 1
    assert watch.objection() == "torch.compile ran inside the window: 1 more graph"
    seconds = compile_seconds()
    assert seconds is not None and seconds > 0
