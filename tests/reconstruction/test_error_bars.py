"""Error bars: against the truth, over the dose, with lost detail, and the parts they are made of."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics import align
from ptychopinn.physics import DiffractionModel
from ptychopinn.reconstruction.error_bars import (
    ErrorBars,
    LostDetail,
    Rings,
    error_bars,
    parts_of_difference,
    redrawn,
    scanned,
)
from ptychopinn.simulation import simulate
from ptychopinn.solver import flat_start, refine

SETTINGS = RefineConfig(iterations=20)
MODEL = DiffractionModel()


def scan_of(photons: float, **more: Any) -> Scan:
    return simulate(
        SimulationConfig(
            object_kind="dead_leaves",
            object_size_px=80,
            probe_size_px=32,
            step_px=4,
            photons_per_pattern=photons,
            seed=8100,
            **more,
        )
    )


def solver_of(scan: Scan, settings: RefineConfig) -> Callable[[Scan, int], Reconstruction]:
    start = flat_start(scan, torch.from_numpy(scan.probe))
    return lambda other, number: refine(start, ScanTensors(other), settings).reconstruction


def made(scan: Scan, replicas: int = 2, settings: RefineConfig = SETTINGS) -> tuple[Reconstruction, ErrorBars]:
    solve = solver_of(scan, settings)
    image = solve(scan, 0)
    return image, error_bars(image, ScanTensors(scan), solve, MODEL, replicas=replicas, seed=1)


def ratios(scan: Scan, image: Reconstruction, bars: ErrorBars) -> list[NDArray[np.float64]]:
    """Errors of amplitude and phase over their bars."""
    truth = scan.object_guess
    assert truth is not None
    mask = scanned(image)
    aligned = align(image.object_, truth, mask=mask, support=image.covered, scale=False).object_
    amplitude, across = parts_of_difference(aligned, truth)
    return [(amplitude / bars.amplitude)[mask], (across / np.abs(truth) / bars.phase)[mask]]


@pytest.fixture(scope="module")
def usual() -> tuple[Scan, Reconstruction, ErrorBars]:
    scan = scan_of(1e4)
    return scan, *made(scan)


def test_the_bands_hold_the_truth(usual: tuple[Scan, Reconstruction, ErrorBars]) -> None:
    """Within wide limits on one small scan; benchmarks/error_bars.py has many."""
    for part in ratios(*usual):
        assert 0.55 < (np.abs(part) < 1).mean() < 0.82
        assert 0.85 < (np.abs(part) < 1.96).mean() < 0.995


def test_the_bars_halve_where_photons_quadruple() -> None:
    """Without a penalty, with a known probe and a faint object, so that counting noise is all that there is."""
    plain = RefineConfig(iterations=20, smoothness=0, probe=False)
    found = []
    for photons in (2.5e4, 1e5):
        image, bars = made(scan_of(photons, amplitude_min=0.95, phase_range_rad=0.1), settings=plain)
        found.append([np.median(values[scanned(image)]) for values in (bars.amplitude, bars.phase)])
    np.testing.assert_allclose(np.divide(*found), 2, rtol=0.15)


def test_the_same_seed_gives_the_same_bars() -> None:
    scan = scan_of(1e3)
    first, second = (made(scan, replicas=1)[1] for _ in range(2))
    np.testing.assert_array_equal(first.phase, second.phase)


def test_there_are_no_bars_where_nothing_was_measured(usual: tuple[Scan, Reconstruction, ErrorBars]) -> None:
    _, image, bars = usual
    for values in (bars.amplitude, bars.phase):
        assert np.isnan(values[~image.covered]).all()
        assert (values[image.covered] > 0).all()


def test_replicas_are_drawn_from_the_image(usual: tuple[Scan, Reconstruction, ErrorBars]) -> None:
    scan, image, _ = usual
    tensors = ScanTensors(scan)
    counts = redrawn(image, tensors, MODEL, np.random.default_rng(3))
    assert counts.shape == scan.patterns.shape
    np.testing.assert_array_equal(counts, np.rint(counts))
    assert not np.array_equal(counts, redrawn(image, tensors, MODEL, np.random.default_rng(4)))
    rings = Rings.of(image, ScanTensors(replace(scan, patterns=counts, domain="counts")), MODEL)
    assert abs(rings.excess.sum()) < 5 * np.sqrt(rings.counted.sum())


def test_bad_pixels_do_not_change_the_size_of_a_ring(usual: tuple[Scan, Reconstruction, ErrorBars]) -> None:
    """A ring of which a half was not measured counts as a whole one."""
    scan, image, _ = usual
    bad = np.zeros(scan.patterns.shape[1:], bool)
    bad[:, : bad.shape[1] // 2] = True
    rings = [Rings.of(image, ScanTensors(one), MODEL) for one in (scan, replace(scan, bad_pixels=bad))]
    for ring in range(1, 6):
        whole, half = (one.expected[:, ring].sum() for one in rings)
        assert half == pytest.approx(whole, rel=0.3)


def test_lost_detail_is_seen_by_the_light_it_scatters(usual: tuple[Scan, Reconstruction, ErrorBars]) -> None:
    """An image whose fine detail is removed has lost as much as was removed from it."""
    from scipy.ndimage import gaussian_filter

    scan, image, _ = usual
    truth = scan.object_guess
    assert truth is not None
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.05, truth.shape)
    detail = noise - gaussian_filter(noise, 1)
    exact = replace(image, object_=truth, coverage=np.ones(truth.shape), origin_px=np.zeros(2), probe=scan.probe)
    exact = replace(exact, positions_px=scan.positions_px)
    rough = replace(exact, object_=truth * np.exp(1j * detail))
    tensors = ScanTensors(scan)
    counts = [redrawn(one, tensors, MODEL, np.random.default_rng(6)) for one in (rough, exact)]
    measured, simulated = (
        Rings.of(exact, ScanTensors(replace(scan, patterns=one, domain="counts")), MODEL) for one in counts
    )
    found = LostDetail.of(measured, [simulated], exact, MODEL)
    expected = float(np.square(np.abs(rough.object_ - exact.object_))[scanned(image)].mean())
    assert 0.5 * expected < found.mean + 3 * found.error < 1.2 * expected
    assert found.by_pattern.mean() == pytest.approx(found.mean)
    nothing = LostDetail.of(simulated, [simulated], exact, MODEL)
    assert nothing.mean == 0
    assert not nothing.by_pattern.any()


def test_lost_detail_is_in_units_of_all_photons_of_a_probe_that_varies(
    usual: tuple[Scan, Reconstruction, ErrorBars],
) -> None:
    """The same photons, half of them in a mode by which the probe varies, are the same beam."""
    image = usual[1]
    half = np.float32(0.5**0.5)
    weights = np.resize([1.0, -1.0], (len(image.positions_px), 1))
    varying = replace(
        image, probe=half * image.probe, relaxation_modes=half * image.probe[None], relaxation_weights=weights
    )
    size = image.probe.shape[-1]
    counted = np.full((len(image.positions_px), size), 50.0)
    measured, simulated = Rings(counted, 0.1 * counted, 1.0), Rings(0.2 * counted, 0.1 * counted, 1.0)
    steady, other = (LostDetail.of(measured, [simulated], one, MODEL) for one in (image, varying))
    assert steady.mean > 0
    assert other.mean == pytest.approx(steady.mean, rel=1e-5)
    assert other.error == pytest.approx(steady.error, rel=1e-5)


def test_an_image_without_covered_pixels_has_none(usual: tuple[Scan, Reconstruction, ErrorBars]) -> None:
    image = usual[1]
    with pytest.raises(ValueError, match="no covered pixel"):
        scanned(replace(image, coverage=np.zeros_like(image.coverage)))
