"""The network behind reader and extractor: shapes, and how factors are read off its heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trilemma.data import scenes
from trilemma.features import instrument_folder
from trilemma.features.factor_net import FactorNet, Prediction, load_factor_net, read_factors
from trilemma.features.feature_net import FEATURES
from trilemma.training.instruments import factor_losses, held_out_factors


def perfect(known: scenes.Factors) -> Prediction:
    """What a network without error would say."""

    turn = torch.from_numpy(2 * np.pi * known.phase)
    phase = torch.stack([turn.cos(), turn.sin()], 1)[:, None].expand(-1, 8, -1).float()
    captioned = [F.one_hot(torch.from_numpy(getattr(known, name)), 8) for name in ("shape", "color", "background")]
    linear = torch.from_numpy(np.stack([known.x, known.y, known.size, known.tint, known.angle], 1)).float()
    return Prediction(
        logits_BK=50 * torch.cat(captioned, 1).float(), linear_B5=linear, phase_BP2=phase,
        damage_BD=torch.zeros(len(known), 6),
    )  # fmt: skip


def test_shapes() -> None:
    net = FactorNet().eval()
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    assert net.features(images).shape == (3, FEATURES)
    prediction = net(images)
    assert prediction.logits_BK.shape == (3, 24)
    assert prediction.linear_B5.shape == (3, 5)
    assert prediction.phase_BP2.shape == (3, 8, 2)
    assert [part.shape for part in prediction.captioned()] == [(3, 8)] * 3


def test_a_perfect_prediction_reads_the_truth() -> None:
    known = scenes.factors("reference", range(300))
    read = read_factors(perfect(known))
    for name in ("shape", "color", "background"):
        assert np.array_equal(getattr(read, name), getattr(known, name))
    for name in scenes.FREE:
        np.testing.assert_allclose(getattr(read, name), getattr(known, name), atol=1e-5)


def test_a_perfect_prediction_costs_nothing() -> None:
    known = scenes.factors("reference", range(300))
    captioned, free = factor_losses(perfect(known), known)
    assert captioned.item() < 1e-6
    assert free.item() < 1e-6


def test_the_angle_of_round_shapes_costs_nothing() -> None:
    known = scenes.factors("reference", range(300))
    right = perfect(known)
    off = torch.zeros_like(right.linear_B5)
    off[:, 4] = torch.from_numpy(~scenes.has_angle(known.shape))
    assert factor_losses(replace(right, linear_B5=right.linear_B5 + off), known)[1].item() < 1e-6
    off[:, 4] = 1 - off[:, 4]
    # One for every picture whose shape has an angle: the linear factors' squared errors are added up.
    cost = factor_losses(replace(right, linear_B5=right.linear_B5 + off), known)[1].item()
    assert cost == pytest.approx(scenes.has_angle(known.shape).mean(), rel=1e-4)


def test_a_phase_is_as_far_from_one_as_from_zero() -> None:
    known = scenes.factors("reference", range(300))
    late = replace(known, phase=np.full(300, 0.99))
    costs = [factor_losses(perfect(replace(known, phase=np.full(300, p))), late)[1].item() for p in (0.98, 0.0, 0.49)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-3)
    assert costs[2] > 100 * costs[0]


@torch.no_grad()
def test_readings_lie_in_their_ranges() -> None:
    torch.manual_seed(0)
    prediction = FactorNet().eval()(10 * torch.randn(16, 3, 32, 32))
    read = read_factors(prediction)
    for name in scenes.FREE:
        assert (getattr(read, name) >= 0).all()
        assert (getattr(read, name) <= 1).all()


def test_the_shipped_reader_reads() -> None:
    net = load_factor_net(instrument_folder("scenes-reader"))
    held_out = held_out_factors(net, torch.device("cpu"), images=512)
    assert held_out["all_captioned"] >= 0.98
    assert min(held_out[f"r2_{name}"] for name in ("x", "y", "size")) >= 0.95
    assert min(held_out[f"r2_{name}"] for name in ("angle", "tint", "phase")) >= 0.9
