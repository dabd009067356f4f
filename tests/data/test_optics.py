"""The probe of a scan that holds none from the optics: its far field, its size, and the image that it leads to."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import PtychoPINNError, convert, reconstruct, simulate
from ptychopinn.config import DataConfig
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.optics import optics_probe
from ptychopinn.data.start_probe import rms_diameter_px
from ptychopinn.errors import ScanError
from ptychopinn.simulation import record_patterns

GEOMETRY = Geometry(8800.0, 1.9, 75e-6)
SIZE = 64
PIXEL_M = GEOMETRY.far_field_pixel_m(SIZE)[0]
WAVELENGTH_M = GEOMETRY.wavelength_m
ZONE_PLATE = {"optics_aperture_m": 160e-6, "optics_outer_zone_m": 130e-9, "optics_stop_m": 60e-6}
KB = {"optics_aperture_m": (120e-6, 200e-6), "optics_focal_m": (0.2, 0.2)}
KINDS = {
    "zone_plate": ZONE_PLATE | {"optics_defocus_m": 600e-6},
    "rectangular": KB | {"optics_defocus_m": 800e-6},
    "gaussian": {"optics_size_m": 150e-9, "optics_defocus_m": -2e-3},
}


def measured(probe: np.ndarray, seed: int = 3) -> Scan:
    """Counts of a simulated object under a probe, 1e5 photons each, without noise-free values."""
    settings = ("object_size_px=120", f"probe_size_px={SIZE}", "step_px=6", f"seed={seed}")
    drawn = simulate(overrides=[f"simulation.{text}" for text in settings]).scan
    probe = probe * np.sqrt(1e5 / np.square(np.abs(probe)).sum())
    rng = np.random.default_rng(seed)
    patterns = record_patterns(drawn.object_guess, probe[None], drawn.positions_px, None)
    counts = rng.poisson(patterns).astype(np.uint32)
    return replace(drawn, patterns=counts, domain="counts", probe=probe[None], geometry=GEOMETRY, pixel_size_m=PIXEL_M)


def blank() -> Scan:
    """Patterns that only state how many photons there are."""
    counts = np.full((4, SIZE, SIZE), 3, np.uint16)
    positions = np.array([[32.0, 32], [32, 40], [40, 32], [40, 40]])
    return Scan.create(
        counts, positions, np.ones((SIZE, SIZE), complex), domain="counts", geometry=GEOMETRY, pixel_size_m=PIXEL_M
    )


def far_field(probe: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe), norm="ortho"))) ** 2


def test_a_zone_plate_is_a_ring_of_its_numerical_aperture() -> None:
    probe, note = optics_probe(blank(), DataConfig(probe_model="zone_plate", **ZONE_PLATE))
    ring = far_field(probe)
    y, x = np.indices(ring.shape) - SIZE // 2
    radius = np.hypot(y, x) * 75e-6
    focal = 160e-6 * 130e-9 / WAVELENGTH_M
    outer, inner = 80e-6 * 1.9 / focal, 30e-6 * 1.9 / focal
    assert ring[(radius > outer + 1e-4) | (radius < inner - 1e-4)].max() < 1e-3 * ring.max()
    assert ring[(radius < outer - 1e-4) & (radius > inner + 1e-4)].min() > 0.99 * ring.max()
    assert np.square(np.abs(probe)).sum() == pytest.approx(3 * SIZE**2, rel=1e-5)
    assert "zone plate" in note


def test_an_aperture_has_its_sides_on_the_detector() -> None:
    box = far_field(optics_probe(blank(), DataConfig(probe_model="rectangular", **KB))[0])
    rows, columns = (np.flatnonzero(box.max(axis=axis) > 0.5 * box.max()) for axis in (1, 0))
    assert len(rows) * 75e-6 == pytest.approx(120e-6 * 1.9 / 0.2, abs=76e-6)
    assert len(columns) * 75e-6 == pytest.approx(200e-6 * 1.9 / 0.2, abs=76e-6)


def test_a_gaussian_has_its_width_at_the_focus() -> None:
    probe, _ = optics_probe(blank(), DataConfig(probe_model="gaussian", optics_size_m=6 * PIXEL_M))
    profile = np.abs(probe[SIZE // 2]) ** 2
    at = np.interp(0.5, profile[SIZE // 2 :][::-1] / profile.max(), np.arange(SIZE // 2)[::-1])
    assert 2 * at == pytest.approx(6, rel=0.02)


@pytest.mark.parametrize("defocus", [-600e-6, 600e-6])
def test_the_defocus_spreads_the_beam_by_its_angle(defocus) -> None:
    """Behind the focus the beam diverges; its diameter is that of the aperture times defocus over focal length."""
    numbers = {"optics_aperture_m": 100e-6, "optics_focal_m": 0.1, "optics_defocus_m": defocus}
    probe = optics_probe(blank(), DataConfig(probe_model="rectangular", **numbers))[0].astype(complex)
    side = 100e-6 * 600e-6 / 0.1 / PIXEL_M
    assert rms_diameter_px(np.abs(probe) ** 2) == pytest.approx(2 * side / np.sqrt(6), rel=0.3)
    y, x = np.gradient(probe)
    rows, columns = np.indices(probe.shape) - SIZE // 2
    assert np.sign((probe.conj() * (rows * y + columns * x)).imag.sum()) == np.sign(defocus)


@pytest.mark.parametrize("kind", KINDS)
def test_the_solver_reaches_the_image_of_the_true_probe(kind, tmp_path) -> None:
    """From the file alone and the optics with a defocus 10 % wrong: as good an image as from the true probe."""
    numbers = KINDS[kind]
    scan = measured(optics_probe(blank(), DataConfig(probe_model=kind, **numbers))[0])
    path = write_scan(scan, tmp_path / "scan.npz")
    with np.load(path) as stored:
        np.savez(path, **{key: stored[key] for key in stored.files if key != "probeGuess"})
    wrong = numbers | {"optics_defocus_m": 1.1 * numbers["optics_defocus_m"]}
    started = read_scan(path, probe_model=kind, **wrong)
    assert "calculated beam" in started.notes[0]
    true, found = (reconstruct(one, None, refine=25).metrics["reference"]["psnr_phase"] for one in (scan, started))
    assert found > max(38, true - 1)


def test_the_command_line_states_the_optics(tmp_path) -> None:
    from typer.testing import CliRunner

    from ptychopinn.cli import app

    path, made = write_scan(blank(), tmp_path / "scan.npz"), tmp_path / "made.npz"
    words = ["--probe-model", "rectangular", "--optics-aperture", "1.2e-4,2e-4", "--optics-focal", "0.2"]
    done = CliRunner().invoke(app, ["convert", str(path), str(made), *words, "--optics-defocus", "-3e-4"])
    assert done.exit_code == 0, done.output
    expected, _ = optics_probe(blank(), DataConfig(probe_model="rectangular", **KB, optics_defocus_m=-3e-4))
    np.testing.assert_array_equal(read_scan(made).probe[0], expected)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"probe_model": "zone_plate"}, r"needs data.optics_aperture_m; give --optics-aperture"),
        ({}, {"probe_model": "gaussian"}, r"needs data.optics_size_m; give --optics-size"),
        ({"pixel_size_m": None, "geometry": Geometry()}, {"probe_model": "gaussian"}, "needs the object pixel"),
        ({"geometry": Geometry()}, {"probe_model": "rectangular", **KB}, "needs the photon energy"),
        ({}, {"probe_model": "zone_plate", **ZONE_PLATE, "optics_stop_m": 170e-6}, "does not reach any detector pixel"),
    ],
)
def test_what_is_missing_is_named(change, options, words) -> None:
    with pytest.raises(ScanError, match=words):
        optics_probe(replace(blank(), **change), DataConfig(**options))


@pytest.mark.parametrize("value", [-1e-4, (1e-4, 0.0)])
def test_lengths_must_be_positive(value) -> None:
    with pytest.raises(ValueError, match="optics_aperture_m must be positive lengths"):
        DataConfig(optics_aperture_m=value)


def test_a_probe_file_and_optics_contradict_each_other(tmp_path) -> None:
    path = write_scan(blank(), tmp_path / "scan.npz")
    with pytest.raises(PtychoPINNError, match="not both"):
        read_scan(path, probe=path, probe_model="gaussian", optics_size_m=1e-7)


def test_convert_refuses_a_model_without_numbers(tmp_path) -> None:
    path = write_scan(blank(), tmp_path / "scan.npz")
    with pytest.raises(PtychoPINNError, match="--optics-size"):
        convert(path, tmp_path / "made.npz", overrides=["data.probe_model=gaussian"])
