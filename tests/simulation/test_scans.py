"""Positions: inside, sub-pixel, as dense as asked for."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from ptychopinn.errors import ConfigError
from ptychopinn.simulation import SCANS, make_positions, position_bounds
from ptychopinn.simulation.scans import centred, misplaced

KINDS = sorted(SCANS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("object_shape", "patch"), [((90, 120), (32, 32)), ((75, 81), (15, 17)), ((34, 34), (32, 32))])
def test_every_patch_lies_inside_with_a_margin(
    kind: str, object_shape: tuple[int, int], patch: tuple[int, int]
) -> None:
    bounds = position_bounds(object_shape, patch)
    positions = make_positions(kind, bounds, np.random.default_rng(0), step_px=3.3, jitter_px=2.0)
    corner = np.floor(positions + 0.5).astype(int) - np.array(patch) // 2
    assert positions.dtype == np.float64
    assert positions.shape == (len(positions), 2)
    assert len(positions) >= 1
    assert corner.min() >= 1
    assert np.all(corner + patch <= np.array(object_shape) - 1)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"random"}))
def test_density_coverage_and_subpixel_parts(kind: str) -> None:
    bounds = position_bounds((164, 124), (24, 24))
    positions = make_positions(kind, bounds, np.random.default_rng(1), step_px=5.3, jitter_px=1.0)
    area = np.prod(bounds[1] - bounds[0])
    assert len(positions) == pytest.approx(area / 5.3**2, rel=0.12)
    np.testing.assert_allclose(positions.min(axis=0), bounds[0], atol=6)
    np.testing.assert_allclose(positions.max(axis=0), bounds[1], atol=6)
    fraction = positions - np.floor(positions + 0.5)
    assert fraction.std(axis=0).min() > 0.2
    nearest = KDTree(positions).query(positions, k=2)[0][:, 1]
    assert np.median(nearest) == pytest.approx(5.3, rel=0.25)


def test_raster_is_regular_and_goes_row_by_row() -> None:
    bounds = position_bounds((100, 100), (20, 20))
    positions = make_positions("raster", bounds, np.random.default_rng(1), step_px=8.0, jitter_px=3.0)
    steps = np.diff(positions, axis=0)
    np.testing.assert_allclose(steps[:9], [[0.0, 8.0]] * 9)
    assert steps[9, 0] == pytest.approx(8.0)


def test_jitter_is_bounded_and_used() -> None:
    bounds = position_bounds((100, 100), (20, 20))
    still = make_positions("jittered_grid", bounds, np.random.default_rng(1), step_px=8.0)
    moved = make_positions("jittered_grid", bounds, np.random.default_rng(1), step_px=8.0, jitter_px=0.7)
    rows = np.diff(still[:, 0].reshape(-1, round(len(still) ** 0.5)), axis=1)
    np.testing.assert_allclose(rows, 0)
    pitch_error = np.diff(moved[:, 0].reshape(-1, round(len(moved) ** 0.5)), axis=1)
    assert 0.7 < np.abs(pitch_error).max() <= 1.4


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_alone_decides(kind: str) -> None:
    bounds = position_bounds((80, 80), (20, 20))
    draws = [make_positions(kind, bounds, np.random.default_rng(s), step_px=7, jitter_px=1) for s in (4, 4, 5)]
    assert draws[0].tobytes() == draws[1].tobytes()
    assert draws[0].tobytes() != draws[2].tobytes()


def test_object_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="raise object_size_px"):
        position_bounds((33, 40), (32, 32))


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="spiral"):
        make_positions("lissajous", position_bounds((40, 40), (8, 8)), np.random.default_rng(0), step_px=3)


def test_random_positions_are_independent_and_fill_the_bounds() -> None:
    bounds = position_bounds((164, 224), (24, 24))
    positions = make_positions("random", bounds, np.random.default_rng(1), step_px=2.0)
    area = np.prod(bounds[1] - bounds[0])
    assert len(positions) == round(area / 4)
    nearest = KDTree(positions).query(positions, k=2)[0][:, 1]
    assert nearest.mean() == pytest.approx(0.5 * 2.0, rel=0.05)  # of a Poisson process of that density
    np.testing.assert_allclose(positions.mean(axis=0), bounds.mean(axis=0), atol=3)


def test_positions_from_elsewhere_are_moved_together_to_the_middle() -> None:
    bounds = position_bounds((100, 90), (20, 20))
    given = np.array([[-3.25, 2.0], [4.75, 8.5], [0.0, 0.0]])
    moved = centred(given, bounds)
    np.testing.assert_allclose(moved - given, np.broadcast_to(moved[0] - given[0], given.shape))
    np.testing.assert_allclose((moved.min(axis=0) + moved.max(axis=0)) / 2, bounds.mean(axis=0))


def test_positions_that_the_object_has_no_room_for_are_refused_with_what_lacks() -> None:
    with pytest.raises(ConfigError, match="raise object_size_px by 13"):
        centred(np.array([[0.0, 0.0], [30.0, 70.5]]), position_bounds((80, 80), (20, 20)))


def test_position_error_has_the_size_asked_for_and_stays_inside() -> None:
    bounds = position_bounds((400, 400), (20, 20))
    true = make_positions("raster", bounds, np.random.default_rng(0), step_px=4)
    wrong = misplaced(true, 1.5, bounds, np.random.default_rng(1))
    assert np.sqrt(np.square(wrong - true).sum(axis=1).mean()) == pytest.approx(1.5, rel=0.03)
    assert np.all(wrong >= bounds[0])
    assert np.all(wrong <= bounds[1])
    far = misplaced(true, 500.0, bounds, np.random.default_rng(1))
    np.testing.assert_array_equal(far.min(axis=0), bounds[0])
