"""A known shift, phase, ramp and scale leave no trace in any score; a wrong flip ruins them all.

The object is a formula, so that a part of a pixel is as exact as a whole one, and it has no symmetry.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptychopinn.metrics import compare, score

SIDE = 128
CHANGES = {
    "nothing": {},
    "phase": {"scale": np.exp(-2.9j)},
    "scale": {"scale": 0.3},
    "ramp": {"ramp": (0.13, -0.21)},
    "whole pixels": {"shift": (3, -2)},
    "half pixels": {"shift": (0.5, -1.5)},
    "parts of pixels": {"shift": (0.37, -0.61)},
    "far": {"shift": (-13.3, 9.8)},
    "everything": {"shift": (5.3, -6.7), "ramp": (0.08, -0.1), "scale": 1.9 * np.exp(2.2j)},
}
FLIPS = {
    "up and down": lambda image: image[::-1],
    "left and right": lambda image: image[:, ::-1],
    "half turn": lambda image: image[::-1, ::-1],
    "quarter turn": np.rot90,
    "transposed": np.transpose,
    "conjugate": np.conj,
    "twin image": lambda image: image[::-1, ::-1].conj(),
}
WHOLE = ("nothing", "phase", "scale", "ramp", "whole pixels")


def changed(
    shift: tuple[float, float] = (0, 0), ramp: tuple[float, float] = (0, 0), scale: complex = 1
) -> NDArray[np.complex128]:
    """150 blobs of 1.3 to 7 px in amplitude and phase, moved, with ramp and scale; (Y, X)."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    parts = np.zeros((2, SIDE, SIDE))
    for cy, cx, size, amplitude, phase in rng.uniform([-20, -20, 1.3, -1, -1], [148, 148, 7, 1, 1], (150, 5)):
        blob = np.exp(-((y - shift[0] - cy) ** 2 + (x - shift[1] - cx) ** 2) / (2 * size**2))
        parts += np.array([amplitude, phase])[:, None, None] * blob
    wedge = np.exp(1j * (ramp[0] * (y - SIDE // 2) + ramp[1] * (x - SIDE // 2)))
    return scale * (0.8 + 0.1 * parts[0]) * np.exp(0.6j * parts[1]) * wedge


@pytest.mark.parametrize("change", CHANGES)
def test_known_changes_leave_the_scores_of_the_perfect_image(change):
    report = compare(changed(**CHANGES[change]), changed())
    least = 250 if change in WHOLE else 90
    for part in ("amplitude", "phase"):
        assert report[f"psnr_{part}"] is None or report[f"psnr_{part}"] > least
        assert report[f"ssim_{part}"] == pytest.approx(1, abs=1e-6)
        assert report[f"ms_ssim_{part}"] == pytest.approx(1, abs=1e-6)
        for band in ("", "_low_rings", "_high_rings"):
            assert report[f"contrast_{part}{band}"] == pytest.approx(1, abs=1e-4)
    for threshold in ("0.5", "1/7", "half_bit"):
        assert report[f"frc_{threshold}_outcome"] == "stays above"
        assert report[f"frc_{threshold}_nyquist"] == 1.0
    assert report["region_covered"] == 1.0


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_removed_is_told(change):
    settings = {"shift": (0, 0), "ramp": (0, 0), "scale": 1} | CHANGES[change]
    report = compare(changed(**settings), changed())
    np.testing.assert_allclose(report["shift_px"], np.negative(settings["shift"]), atol=1e-4)
    np.testing.assert_allclose(report["ramp_rad_per_px"], np.negative(settings["ramp"]), atol=1e-6)
    assert report["scale_abs"] == pytest.approx(1 / abs(settings["scale"]), rel=1e-5)


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("change", ["nothing", "everything"])
def test_a_wrong_flip_stays_an_error(flip, change):
    report = compare(FLIPS[flip](changed(**CHANGES[change])), changed(), region=(14, 114, 14, 114))
    assert report["psnr_phase"] < 35
    assert report["ssim_phase"] < 0.7
    assert report["frc_0.5_nyquist"] < 0.2
    if flip != "conjugate":
        assert report["psnr_amplitude"] < 35
        assert report["ssim_amplitude"] < 0.7


def test_default_region_leaves_out_what_a_far_shift_brings_in():
    far = score(changed(**CHANGES["far"]), changed())
    assert far.report["region"] == list(far.region)
    assert far.region[0] > 13
    assert far.region[3] < SIDE - 9
    given = compare(changed(**CHANGES["far"]), changed(), region=(8, 120, 8, 120))
    assert given["region_rule"] == "given"
    assert given["region_covered"] == pytest.approx(106 * 110 / 112**2)
    assert given["psnr_amplitude"] < 60
