"""Signed distances: the sign, the scale, the tilt, the period."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.data import scenes, shapes

GRID = (np.arange(128, dtype=np.float32) + 0.5) / 128 - 0.5


def distance(name: str, radius: float = 0.3, angle: float = 0.5, turn: float = 0.0) -> NDArray[np.float32]:
    y, x = np.meshgrid(GRID, GRID, indexing="ij")
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return shapes.signed_distance(name, cos * x - sin * y, sin * x + cos * y, np.float32(radius), np.float32(angle))


@pytest.mark.parametrize("angle", (0.0, 0.5, 1.0))
@pytest.mark.parametrize("name", scenes.SHAPES)
def test_a_shape_reaches_as_far_as_its_radius(name: str, angle: float) -> None:
    y, x = np.meshgrid(GRID, GRID, indexing="ij")
    inside = distance(name, angle=angle) < 0
    # A little short of it where no pixel's centre lies in a corner; those of the cross are 0.25 % beyond.
    assert 0.96 * 0.3 < np.hypot(x, y)[inside].max() < 1.0025 * 0.3


@pytest.mark.parametrize("name", scenes.SHAPES)
def test_distances_near_the_edge_are_distances(name: str) -> None:
    """The slope across an edge is 1 in most places (corners and the crescent's tips have another)."""
    values = distance(name)
    slope = np.hypot(*np.gradient(values, 1 / 128))
    near = np.abs(values) < 0.02
    assert abs(np.median(slope[near]) - 1) < 0.1


@pytest.mark.parametrize("degrees", (-15, -6, 0, 15))
@pytest.mark.parametrize("name", scenes.SHAPES)
def test_the_angle_tilts_by_up_to_fifteen_degrees(name: str, degrees: float) -> None:
    tilted = distance(name, angle=0.5 + degrees / 30)
    np.testing.assert_allclose(tilted, distance(name, turn=-np.radians(degrees)), atol=1e-5)


@pytest.mark.parametrize("name", ("square", "triangle", "star", "heart", "cross", "crescent"))
def test_every_angle_looks_different(name: str) -> None:
    """Else the reader could not tell which it is: no shape's symmetry lies within the range."""
    tilts = [distance(name, angle=angle) for angle in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for one, other in itertools.combinations(tilts, 2):
        assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("name", scenes.SHAPES)
def test_the_middle_of_the_angles_is_upright(name: str) -> None:
    """The crescent, which opens to the right, mirrors top to bottom, the others left to right."""
    values = distance(name)
    mirrored = values[::-1] if name == "crescent" else values[:, ::-1]
    np.testing.assert_allclose(values, mirrored, atol=1e-6)


@pytest.mark.parametrize("name", ("circle", "ring"))
def test_round_shapes_have_no_angle(name: str) -> None:
    np.testing.assert_allclose(distance(name, angle=0.3), distance(name, angle=0.8), atol=1e-6)


@pytest.mark.parametrize("name", scenes.PATTERNS)
def test_patterns_are_light_on_a_fair_share_and_move_with_the_phase(name: str) -> None:
    y, x = np.meshgrid(GRID + 0.5, GRID + 0.5, indexing="ij")
    still, moved, round_trip = (shapes.pattern_distance(name, x, y, np.float32(phase)) for phase in (0.0, 0.5, 1.0))
    assert 0.2 < (still < 0).mean() < 0.6
    assert np.abs(still - moved).max() > 0.1
    np.testing.assert_allclose(still, round_trip, atol=1e-5)


@pytest.mark.parametrize("name", scenes.PATTERNS)
def test_patterns_repeat_twice_over_the_picture(name: str) -> None:
    """Half a picture is one period, in both directions; a quarter is none."""
    y, x = np.meshgrid(GRID + 0.5, GRID + 0.5, indexing="ij")
    values = shapes.pattern_distance(name, x, y, np.float32(0.3))
    for axis in (0, 1):
        np.testing.assert_allclose(values, np.roll(values, 64, axis), atol=1e-5)
        assert np.abs(values - np.roll(values, 32, axis)).max() > 0.05
    quarter = shapes.pattern_distance(name, x, y, np.float32(0.3 + 0.5))
    np.testing.assert_allclose(quarter, np.roll(values, 32, 1), atol=1e-5)
