"""Objects and probes of one's own, recorded at random positions with a dose that is asked for."""

import numpy as np
import pytest

from ptychopinn.errors import ConfigError
from ptychopinn.simulation import make_object, make_probe, position_bounds, record_at_random, record_scan

OBJECT = make_object("dead_leaves", (40, 56), np.random.default_rng(0))
PROBE = make_probe("disk", 16)


def test_positions_fill_the_object_and_the_seed_fixes_them() -> None:
    scan = record_at_random(OBJECT, PROBE, 300, seed=3, mean_photons=1e4)
    low, high = position_bounds((40, 56), (16, 16))
    assert (scan.positions_px >= low).all()
    assert (scan.positions_px <= high).all()
    assert (np.ptp(scan.positions_px, axis=0) > 0.95 * (high - low)).all()
    again = record_at_random(OBJECT, PROBE, 300, seed=3, mean_photons=1e4)
    assert scan.patterns.tobytes() == again.patterns.tobytes()
    assert not np.array_equal(
        scan.positions_px, record_at_random(OBJECT, PROBE, 300, seed=4, mean_photons=1e4).positions_px
    )


def test_the_mean_count_is_that_asked_for_and_else_that_of_the_probe() -> None:
    positions = np.array([[12.0, 12.0], [20.5, 30.25], [28.0, 40.0]])
    dosed = record_scan(OBJECT, PROBE, positions, mean_photons=5e3, poisson_noise=False)
    assert dosed.patterns.sum((1, 2)).mean() == pytest.approx(5e3, rel=1e-4)
    plain = record_scan(OBJECT, PROBE, positions, poisson_noise=False)
    np.testing.assert_array_equal(plain.probe, PROBE)


def test_an_object_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no room for a patch"):
        record_at_random(OBJECT[:10], PROBE, 3)
