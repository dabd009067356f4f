"""What the reading settings change: each undoes what was done to a scan, or fits the forward model."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import simulate
from ptychopinn.config import DataConfig
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.adjust import adjusted, finished_scan, mirrored
from ptychopinn.data.geometry import Geometry
from ptychopinn.errors import PtychoPINNError, ScanError

N = 32


@pytest.fixture(scope="module")
def scan() -> Scan:
    made = simulate(overrides=["simulation.object_size_px=96", "simulation.probe_size_px=32"]).scan
    bad = np.zeros((N, N), bool)
    bad[2, 5:9] = True
    known = Geometry(energy_eV=8800, distance_m=1.9, detector_pixel_m=75e-6)
    pixel = known.far_field_pixel_m(N)[0]
    return replace(made, bad_pixels=bad, geometry=known, pixel_size_m=pixel, object_guess=None, truth_patches=None)


def same(one: Scan, other: Scan) -> None:
    for name in ("patterns", "positions_px", "probe", "bad_pixels"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), err_msg=name, rtol=1e-6)


@pytest.mark.parametrize(
    ("setting", "undo"),
    [
        ({"invert_mask": True}, lambda s: replace(s, bad_pixels=~s.bad_pixels)),
        (
            {"flip_patterns": "rows"},
            lambda s: replace(s, patterns=mirrored(s.patterns, -2), bad_pixels=mirrored(s.bad_pixels, -2)),
        ),
        (
            {"flip_patterns": "both"},
            lambda s: replace(
                s,
                patterns=mirrored(mirrored(s.patterns, -2), -1),
                bad_pixels=mirrored(mirrored(s.bad_pixels, -2), -1),
            ),
        ),
        (
            {"transpose_patterns": True},
            lambda s: replace(s, patterns=s.patterns.swapaxes(1, 2), bad_pixels=s.bad_pixels.T),
        ),
        ({"swap_positions": True}, lambda s: replace(s, positions_px=s.positions_px[:, ::-1])),
        ({"reverse_positions": True}, lambda s: replace(s, positions_px=s.positions_px[::-1])),
        ({"conjugate_probe": True}, lambda s: replace(s, probe=s.probe.conj())),
        ({"position_scale": 1e-3}, lambda s: replace(s, positions_px=1e3 * s.positions_px)),
    ],
)
def test_each_setting_undoes_a_mistake_of_the_writer(scan, setting, undo) -> None:
    wrong = undo(scan)
    assert not all(
        np.array_equal(getattr(wrong, name), getattr(scan, name))
        for name in ("patterns", "positions_px", "probe", "bad_pixels")
    )
    same(adjusted(wrong, DataConfig(**setting)), scan)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_axis_of_the_stage(scan, axis) -> None:
    wrong = scan.positions_px.copy()
    wrong[:, axis] *= -1
    right = adjusted(replace(scan, positions_px=wrong), DataConfig(flip_positions="yx"[axis]))
    moved = right.positions_px - scan.positions_px
    assert np.ptp(moved, axis=0).max() < 1e-9


def test_the_zero_frequency_stays_when_patterns_are_flipped(scan) -> None:
    spot = np.zeros((1, N, N))
    spot[0, N // 2, N // 2] = 1
    for axis in (-2, -1):
        np.testing.assert_array_equal(mirrored(spot, axis), spot)


def intensity(probe, patch):
    wave = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe * patch, (-2, -1)), norm="ortho"), (-2, -1))
    return np.square(np.abs(wave))


def test_a_detector_region_keeps_the_model_exact_for_a_smooth_exit_wave(scan) -> None:
    """With an exit wave of few frequencies the region predicts what the whole detector measures there."""
    low = np.zeros((N, N), complex)
    rng = np.random.default_rng(0)
    low[10:22, 10:22] = rng.normal(size=(12, 12)) + 1j * rng.normal(size=(12, 12))
    probe = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(low), norm="ortho"))
    cut = adjusted(replace(scan, probe=probe[None]), DataConfig(detector_region=(8, 24, 8, 24)))
    np.testing.assert_allclose(intensity(cut.probe[0], 1), intensity(probe, 1)[8:24, 8:24], atol=1e-5)
    np.testing.assert_array_equal(cut.patterns, scan.patterns[:, 8:24, 8:24])
    np.testing.assert_allclose(cut.positions_px * cut.pixel_size_m, scan.positions_px * scan.pixel_size_m)
    assert cut.pixel_size_m == pytest.approx(scan.geometry.far_field_pixel_m(16)[0])


def test_binning_keeps_counts_positions_and_pixel(scan) -> None:
    binned = adjusted(scan, DataConfig(detector_binning=2))
    assert binned.patterns.sum() == scan.patterns.sum()
    assert binned.patterns.shape[1:] == (16, 16)
    np.testing.assert_array_equal(binned.positions_px, scan.positions_px)
    assert binned.geometry.far_field_pixel_m(16)[0] == pytest.approx(scan.pixel_size_m)
    assert binned.bad_pixels[1, 2:5].tolist() == [True, True, True]
    assert binned.bad_pixels.sum() == 3


def test_the_binned_model_predicts_the_binned_pattern(scan) -> None:
    """A beam much smaller than the window has a smooth pattern, whose block sums are samples at the block centres."""
    x = np.arange(N) - N // 2
    probe = np.exp(-(x[:, None] ** 2 + x**2) / 2.0 + 0.6j * x)
    fine = intensity(probe, 1)
    binned = adjusted(
        replace(scan, patterns=fine[None], positions_px=np.zeros((1, 2)), probe=probe[None]),
        DataConfig(detector_binning=2),
    )
    error = np.abs(intensity(binned.probe[0], 1) - binned.patterns[0]).max() / binned.patterns.max()
    shifted = np.abs(intensity(probe[8:24, 8:24], 1) - binned.patterns[0]).max() / binned.patterns.max()
    assert error < 0.02 < shifted


def test_amplitudes_are_binned_as_counts(scan) -> None:
    counts = scan.patterns.astype(np.float64)
    amplitude = replace(scan, patterns=np.sqrt(counts), domain="amplitude")
    binned = adjusted(amplitude, DataConfig(detector_binning=4))
    np.testing.assert_allclose(binned.patterns**2, adjusted(scan, DataConfig(detector_binning=4)).patterns, rtol=1e-5)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"detector_region": (0, 40, 0, 40)}, "detector_region must lie within.*--detector-region"),
        ({"detector_binning": 5}, "detector_binning must divide.*--detector-binning"),
    ],
)
def test_settings_that_do_not_fit_are_refused(scan, setting, words) -> None:
    with pytest.raises(ScanError, match=words):
        finished_scan(scan, DataConfig(**setting))


def test_settings_apply_to_files_of_any_format(tmp_path, scan) -> None:
    for name in ("scan.npz", "scan.cxi", "scan.h5"):
        read = read_scan(write_scan(scan, tmp_path / name), swap_positions=True)
        moved = read.positions_px - scan.positions_px[:, ::-1]
        assert np.ptp(moved, axis=0).max() < 1e-3, name


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("mm", 1e-3), ("um", 1e-6), ("nm", 1e-9)])
def test_positions_of_npz_files_in_lengths(tmp_path, scan, unit, metres) -> None:
    write_scan(scan, tmp_path / "scan.npz")
    with np.load(tmp_path / "scan.npz") as stored:
        arrays = dict(stored)
    for name in ("xcoords", "ycoords"):
        arrays[name] = arrays[name] * scan.pixel_size_m / metres
    np.savez(tmp_path / "scan.npz", **arrays)
    read = read_scan(tmp_path / "scan.npz", position_unit=unit)
    np.testing.assert_allclose(read.positions_px, scan.positions_px, rtol=1e-9)


def test_lengths_need_the_object_pixel(tmp_path, scan) -> None:
    write_scan(replace(scan, pixel_size_m=None, geometry=Geometry()), tmp_path / "scan.npz")
    with pytest.raises(ScanError, match="object pixel is not known; add pixel_size_m"):
        read_scan(tmp_path / "scan.npz", position_unit="um")


@pytest.mark.parametrize("region", ["0,16,0,8", [4, 2, 4, 2], "a,b,c,d"])
def test_a_region_that_is_no_square_is_refused(region) -> None:
    with pytest.raises((ValueError, PtychoPINNError), match="detector_region"):
        DataConfig(detector_region=region)


def test_an_inverted_mask_is_recognised_in_each_format(tmp_path, scan) -> None:
    good = np.ones((N, N), bool)
    good[0, :4] = False
    for name in ("scan.npz", "scan.cxi", "scan.h5"):
        path = write_scan(replace(scan, bad_pixels=good), tmp_path / name)
        with pytest.raises(ScanError, match=r"mask .*marked bad, with .*wrong way round.*--invert-mask"):
            read_scan(path)
        assert read_scan(path, invert_mask=True).bad_pixels.sum() == 4


def test_a_mask_of_fill_values_is_not_taken_for_an_inverted_one(scan) -> None:
    bad = np.ones((N, N), bool)
    bad[8:24, 8:24] = False
    filled = np.where(bad, np.uint32(2**32 - 1), scan.patterns.astype(np.uint32))
    assert len(finished_scan(replace(scan, patterns=filled, bad_pixels=bad), DataConfig())) == len(scan)
