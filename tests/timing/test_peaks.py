"""The table of peaks, and which of a device's peaks a model's arithmetic has."""

from __future__ import annotations

import pytest

from trilemma.errors import UserError
from trilemma.timing.peaks import FILE, arithmetic, peak_flops, peaks

PRODUCTS, CONVOLUTIONS = {"aten.addmm": 5, "aten.bmm": 7}, {"aten.convolution": 3}


def flags(products: str, convolutions: str) -> dict[str, str]:
    return {"cuda_matmul_float32": products, "cudnn_convolution_float32": convolutions}


def test_every_row_has_a_source_and_dense_peaks() -> None:
    for device, peak in peaks().items():
        assert peak.source and device
        known = [peak.fp32, peak.tf32, peak.bf16, peak.fp16]
        assert all(number is None or 5 < number < 3_000 for number in known), device
        if peak.tf32 is not None and peak.bf16 is not None:  # a number with sparsity would break this
            assert 1.9 < peak.bf16 / peak.tf32 < 2.1, device
    assert FILE.read_text().count("source = ") == FILE.read_text().count("[[peaks]]")


def test_a_peak_is_that_of_the_device_and_the_arithmetic() -> None:
    assert peak_flops("NVIDIA H200", "bf16") == 989.5e12
    assert peak_flops("NVIDIA A100-SXM4-80GB", "tf32") == 156e12


@pytest.mark.parametrize(
    ("device", "kind"), [("nvidia h200", "bf16"), ("NVIDIA H200 MIG 1g.18gb", "bf16"), ("Tesla T4", "bf16")]
)
def test_nothing_is_guessed(device: str, kind: str) -> None:
    with pytest.raises(UserError, match=f"has no {kind} of {device}"):
        peak_flops(device, kind)


@pytest.mark.parametrize("device", ["NVIDIA H200", "a GPU that nobody knows"])
def test_float32_may_be_multiplied_as_tf32(device: str) -> None:
    assert arithmetic("bf16", flags("none", "tf32"), PRODUCTS | CONVOLUTIONS, device) == "bf16"
    assert arithmetic("fp32", flags("none", "tf32"), PRODUCTS, device) == "fp32"
    assert arithmetic("fp32", flags("none", "tf32"), CONVOLUTIONS, device) == "tf32"
    assert arithmetic("fp32", flags("tf32", "tf32"), PRODUCTS | CONVOLUTIONS, device) == "tf32"
    with pytest.raises(UserError, match="no one peak"):
        arithmetic("fp32", flags("none", "tf32"), PRODUCTS | CONVOLUTIONS, device)


@pytest.mark.parametrize("device", ["Tesla T4", "Tesla V100-SXM2-16GB"])
def test_a_device_without_tf32_multiplies_float32_whatever_the_switches_say(device: str) -> None:
    for products, convolutions in (("none", "tf32"), ("tf32", "tf32")):
        kind = arithmetic("fp32", flags(products, convolutions), PRODUCTS | CONVOLUTIONS, device)
        assert kind == "fp32" and peak_flops(device, kind) > 5e12
    assert arithmetic("fp16", flags("tf32", "tf32"), PRODUCTS, device) == "fp16"
