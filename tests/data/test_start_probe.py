"""A scan without a probe gets one from its mean pattern, by a stated rule."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ptychopinn import info, reconstruct, simulate
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.start_probe import rms_diameter_px, start_probe

SMALL = ["simulation.object_size_px=150", "simulation.photons_per_pattern=1e5"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(overrides=SMALL).scan


def test_it_has_the_photons_and_the_far_field_of_the_mean_pattern(scan) -> None:
    probe, note = start_probe(scan.patterns, None, True, scan.positions_px)
    far = np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe), norm="ortho"))) ** 2
    np.testing.assert_allclose(far, scan.patterns.mean(axis=0), atol=1e-2)
    assert "estimate" in note
    assert "--probe FILE" in note


@pytest.mark.parametrize("diameter", [8.0, 16.0, 24.0])
def test_the_defocus_gives_the_beam_its_diameter(diameter) -> None:
    """A smooth disk at the detector becomes a disk of the stated diameter, within diffraction."""
    y, x = np.indices((128, 128)) - 64
    disk = gaussian_filter(np.where(y**2 + x**2 < 40**2, 1000.0, 0.0), 3)[None]
    probe, _ = start_probe(disk, None, True, np.zeros((1, 2)), diameter)
    measured = rms_diameter_px(np.abs(probe.astype(complex)) ** 2) * 2**0.5
    assert measured == pytest.approx(diameter, rel=0.12)


@pytest.mark.parametrize("name", ["scan.npz", "scan.cxi"])
def test_files_without_a_probe_are_read_and_it_is_said(tmp_path, scan, name, caplog) -> None:
    caplog.set_level("INFO")
    path = write_scan(scan, tmp_path / name)
    if name.endswith("npz"):
        with np.load(path) as stored:
            np.savez(path, **{key: stored[key] for key in stored.files if key != "probeGuess"})
    else:
        import h5py

        with h5py.File(path, "r+") as file:
            names = []
            file.visititems(lambda key, item: names.append(key) if "probe" in key or "illumination" in key else None)
            for key in names:
                if key in file:
                    del file[key]
            for image in [key for key in file["entry_1"] if key.startswith("image")]:
                del file["entry_1"][image]
    read = read_scan(path)
    assert read.probe.shape == (1, 64, 64)
    assert "estimate stands in" in caplog.text
    assert any("There is no probe" in sentence for sentence in info(path).problems)
    given = tmp_path / "probe.npy"
    np.save(given, scan.probe)
    np.testing.assert_array_equal(read_scan(path, probe=given).probe, scan.probe)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_side_of_the_focus_follows_from_the_movement_of_the_patterns(scan, mirrored) -> None:
    """A scan seen in a mirror at the detector has the conjugate probe: before the focus becomes behind it."""
    patterns = np.roll(scan.patterns[:, ::-1, ::-1], 1, axis=(1, 2)) if mirrored else scan.patterns
    probe, note = start_probe(patterns, None, True, scan.positions_px)
    assert ("behind its focus" if mirrored else "before its focus") in note
    y, x = np.gradient(probe.astype(complex))
    rows, columns = np.indices(probe.shape) - probe.shape[0] // 2
    divergence = float((probe.conj() * (rows * y + columns * x)).imag.sum())
    assert divergence > 0 if mirrored else divergence < 0


def test_patterns_that_tell_nothing_fall_back_to_the_overlap() -> None:
    rng = np.random.default_rng(0)
    positions = np.stack(np.meshgrid(6.0 * np.arange(7), 6.0 * np.arange(7)), axis=-1).reshape(-1, 2)
    _, note = start_probe(rng.poisson(50, (49, 32, 32)), None, True, positions)
    assert "assumed, for 70 % overlap" in note
    assert "16.0 px across" in note


def test_a_reconstruction_from_the_estimate_fits_as_one_from_the_true_probe(scan) -> None:
    probe, _ = start_probe(scan.patterns, None, True, scan.positions_px)
    started = Scan.create(scan.patterns, scan.positions_px, probe, domain="counts")
    misfits = [reconstruct(one, None, refine=40).metrics["data"]["amplitude_misfit"] for one in (scan, started)]
    assert misfits[1] == pytest.approx(misfits[0], rel=0.05)
