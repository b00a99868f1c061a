"""Other precisions, layouts and compilation: each is the plain model, exactly or within the tolerance stated here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trilemma import registry
from trilemma.card import Card, Precision
from trilemma.errors import UserError
from trilemma.families import preparing
from trilemma.generator import Generator
from trilemma.stages import listening

NAMES = ("gan", "vqar", "var", "ldm")
PROMPTS = ["a red star on green dots", "", "blue ring , purple waves", "a white circle"]
SEEDS = [1, 2, 3, 4]
FEW = {"num_inference_steps": 3, "guidance_scale": 2.0}

Trained = Callable[[str], Card]


def at(card: Card, precision: Precision = "fp32", *, compiled: bool = False) -> Generator:
    return registry.load(replace(card, precision=precision, compile=compiled), "cpu")


def knobs(generator: Generator) -> dict[str, float]:
    """Guided and greedy, where there are such knobs: a draw at random multiplies what rounding does."""
    known = {knob.name for knob in generator.info.knobs}
    return {name: value for name, value in (FEW | {"temperature": 0.0}).items() if name in known}


def images(generator: Generator) -> Tensor:
    return generator.generate(PROMPTS, SEEDS, **knobs(generator)).float()


def has_compiler() -> bool:
    try:
        preparing.check_compiler("cpu")
    except UserError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="there is no C++ compiler for torch.compile")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ("bf16", "fp16"))
def test_every_network_of_a_call_has_the_precision(trained: Trained, name: str, precision: Precision) -> None:
    generator = at(trained(name), precision)
    seen: set[torch.dtype] = set()

    def look(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            seen.add(output.dtype)

    with nn.modules.module.register_module_forward_hook(look):
        assert images(generator).isfinite().all()
    short = preparing.DTYPES[precision]
    assert short in seen
    # The small convolutions of the quantiser add up many scales, and stay as they are.
    assert seen <= ({short, torch.float32} if name == "var" else {short})


@pytest.mark.parametrize("name", ("gan", "ldm"))
@pytest.mark.parametrize(("precision", "grey_levels"), (("bf16", 2.0), ("fp16", 0.3)))
def test_short_floats_give_almost_the_same_images(
    trained: Trained, name: str, precision: Precision, grey_levels: float
) -> None:
    plain, short = (images(at(trained(name), chosen)) for chosen in ("fp32", precision))  # type: ignore[arg-type]
    assert 0 < (plain - short).abs().mean() < grey_levels


@torch.no_grad()
@pytest.mark.parametrize(("precision", "error"), (("bf16", 0.03), ("fp16", 0.005)))
def test_short_floats_give_almost_the_same_logits(trained: Trained, precision: Precision, error: float) -> None:
    """Of the networks that draw tokens: one token that falls the other way makes another image."""
    tokens = torch.randint(0, 64, (4, 63), generator=torch.Generator().manual_seed(0))
    plain, short = (
        model.prior(model.text.pooled(PROMPTS), tokens)  # type: ignore[attr-defined]
        for model in (at(trained("vqar")), at(trained("vqar"), precision))
    )
    assert short.dtype == preparing.DTYPES[precision]
    assert 0 < (plain - short.float()).std() < error * plain.std()


@pytest.mark.parametrize("name", ("gan", "vqar", "var"))
@torch.no_grad()
def test_channels_last_computes_the_same(trained: Trained, name: str) -> None:
    network = _convolutional(at(trained(name)), name)
    weights = [part.weight for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    given = _inputs(name)
    torch.testing.assert_close(network(*given), plain(*given), atol=1e-4, rtol=1e-4)


def _convolutional(generator: Any, name: str) -> nn.Module:
    network: nn.Module = generator.network if name == "gan" else generator.tokenizer.decoder
    return network


def _inputs(name: str) -> list[Tensor]:
    shapes = {"gan": [(3, 8), (3, 32)], "vqar": [(3, 8, 8, 8)], "var": [(3, 8, 8, 8)]}[name]
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in shapes]


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_compiled_images_are_within_a_grey_level(trained: Trained, name: str) -> None:
    card = trained(name)
    generator = at(card, compiled=True)
    before = (torch.get_rng_state(), torch.is_grad_enabled(), torch.get_num_threads(), limit())
    graphs = graphs_so_far()
    compiled = images(generator)
    assert graphs_so_far() > graphs
    after = (torch.get_rng_state(), torch.is_grad_enabled(), torch.get_num_threads(), limit())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert (compiled - images(at(card))).abs().max() <= 1
    assert torch.equal(compiled, images(generator))
    counted = generator.evaluations
    images(generator)
    assert generator.evaluations == 3 * counted / 2, "counting is no part of what is compiled"


def limit() -> int:
    import torch._dynamo.config as settings

    return settings.recompile_limit


def graphs_so_far() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def test_a_sweep_of_batch_sizes_stays_compiled() -> None:
    """torch gives up after 8 shapes, and then runs uncompiled without a word."""
    torch._dynamo.reset()
    network = nn.Sequential(nn.Linear(2, 2))
    before = graphs_so_far()
    with compiling_for_nothing():
        preparing.compile_in_place([network])
        for size in range(2, 14):
            network(torch.zeros(size, 2))
    assert graphs_so_far() - before == 12
    assert limit() < 12


@contextmanager
def compiling_for_nothing() -> Iterator[None]:
    """torch.compile that records graphs and runs them as they are: no compiler is needed."""
    whole = torch.compile

    def light(function: Callable[..., Any], **settings: Any) -> Any:
        return whole(function, dynamic=settings.get("dynamic"), backend="eager")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", light)
        patch.setattr(preparing, "check_compiler", lambda device_type: None)
        yield


@pytest.mark.parametrize(("device_type", "wanted"), (("cpu", r"g\+\+|clang\+\+"), ("cuda", "gcc or clang")))
def test_without_a_compiler_there_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, device_type: str, wanted: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(UserError, match=f"needs a compiler that is not here: ({wanted})"):
        preparing.check_compiler(device_type)


def test_what_a_cuda_graph_returns_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = torch.zeros(2)
    forward = preparing._copying(lambda: (kept, {"sample": kept}, None))
    alone, (named, nothing) = forward()[0], forward()[1:]
    kept += 1
    assert torch.equal(alone, torch.zeros(2))
    assert torch.equal(named["sample"], torch.zeros(2))
    assert nothing is None


@pytest.mark.parametrize("name", NAMES)
def test_a_call_passes_its_stages(trained: Trained, name: str) -> None:
    generator = at(trained(name))
    entered: list[str] = []
    open_stages: list[str] = []

    @contextmanager
    def listener(stage: str) -> Iterator[None]:
        assert not open_stages, "stages do not lie in one another"
        entered.append(stage)
        open_stages.append(stage)
        yield
        open_stages.pop()

    with listening(listener):
        images(generator)
    order = list(dict.fromkeys(entered))
    assert order == (["text", "sample"] if name == "gan" else ["text", "sample", "decode"])
