"""Ring correlation of two halves: what it says of the truth, and what it does not depend on."""

import numpy as np
import pytest

from ptychopinn.metrics.frc import fourier_ring_correlation
from ptychopinn.metrics.halves import correlate_halves
from ptychopinn.metrics.translation import translate

SHAPE = (120, 96)
COVERED = np.ones(SHAPE, bool)


def smooth_noise(rng: np.random.Generator, power: float) -> np.ndarray:
    """Complex noise whose spectrum falls with the frequency."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SHAPE[0]), np.fft.fftfreq(SHAPE[1]), indexing="ij"))
    noise = np.fft.fft2(rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)) / (0.03 + frequency) ** power
    drawn = np.fft.ifft2(noise)
    return drawn / drawn.std()


def images(sigma: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An object, and two images of it with independent noise of standard deviation `sigma`."""
    rng = np.random.default_rng(seed)
    truth = 1 + 0.2 * smooth_noise(rng, 2.0)
    noise = [sigma * (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)) for _ in range(2)]
    return truth, truth + noise[0], truth + noise[1]


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_halves_predict_the_correlation_with_the_truth(sigma: float) -> None:
    """The mean of both halves has the correlation sqrt(2 C / (1 + C)) with the truth, on rings that hold a signal."""
    truth, first, second = images(sigma)
    halves = correlate_halves(first, second, COVERED, (0, 120, 0, 96)).frc.correlation
    known = fourier_ring_correlation((first + second) / 2, truth).correlation
    predicted = np.sqrt(np.clip(2 * halves / (1 + halves), 0, None))
    clear = known > 0.5
    assert clear.sum() > 10
    assert np.sqrt(np.mean((predicted - known)[clear] ** 2)) < 0.08
    assert np.mean((predicted - known)[clear]) == pytest.approx(0, abs=0.03)
    assert np.mean((halves - known)[clear]) < -0.03, "the correlation of the halves itself is lower"


def test_more_noise_is_a_worse_resolution() -> None:
    at = [correlate_halves(*images(sigma)[1:], COVERED).frc.crossing("half_bit") for sigma in (0.02, 0.08, 0.3)]
    assert at[0] > 1.3 * at[1] > 1.69 * at[2]


def test_independent_noise_has_no_resolution() -> None:
    rng = np.random.default_rng(5)
    first, second = (smooth_noise(rng, 1.0) for _ in range(2))
    assert correlate_halves(first, second, COVERED).frc.outcome("one_bit") == "never above"


def test_shift_ramp_phase_and_scale_of_a_half_do_not_count() -> None:
    _, first, second = images(0.05)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    moved = 1.3 * translate(second, (1.3, -2.6)) * np.exp(1j * (0.4 + 0.01 * y - 0.02 * x))
    plain, found = (correlate_halves(first, one, COVERED) for one in (second, moved))
    assert found.alignment.shift_px == pytest.approx((-1.3, 2.6), abs=0.1)
    assert abs(found.alignment.scale) == pytest.approx(1 / 1.3, rel=0.02)
    assert found.frc.crossing("half_bit") == pytest.approx(plain.frc.crossing("half_bit"), rel=0.1)
    unaligned = fourier_ring_correlation(first, moved)
    assert unaligned.crossing("half_bit") < 0.8 * plain.frc.crossing("half_bit"), "the test can tell"


def test_the_region_is_covered_and_as_wide_as_it_can_be() -> None:
    _, first, second = images(0.05)
    holes = COVERED.copy()
    holes[:20] = False
    assert correlate_halves(first, second, COVERED, (10, 60, 20, 80)).region == (10, 60, 20, 80)
    y0, y1, x0, x1 = correlate_halves(first, second, holes, (10, 60, 20, 80)).region
    assert (y0 >= 20, y1 <= 60, x0 >= 20, x1 <= 80) == (True,) * 4
    assert correlate_halves(first, second, COVERED, (10, 11, 20, 80)).region == (8, 112, 8, 88), "a line scan"
    thin = np.zeros(SHAPE, bool)
    thin[40:50] = True
    fringes = np.zeros(SHAPE, bool)
    fringes[30:70] = fringes[20] = fringes[24] = True
    assert correlate_halves(first, second, fringes, (50, 51, 0, 96)).region == (35, 65, 5, 91), "without the stripes"
    with pytest.raises(ValueError, match="16 px"):
        correlate_halves(first, second, thin, (40, 41, 0, 96))


def test_single_open_pixels_do_not_make_the_halves_agree() -> None:
    """Both images are 1 there; of noise without anything in common this must not become a correlation."""
    rng = np.random.default_rng(6)
    holes = rng.uniform(size=SHAPE) > 0.04
    first, second = (np.where(holes, 8 + smooth_noise(rng, 0.5), 1) for _ in range(2))
    found = correlate_halves(first, second, holes, (0, 120, 0, 96))
    assert found.region == (0, 120, 0, 96)
    assert abs(found.frc.correlation[19:].mean()) < 0.05
    assert fourier_ring_correlation(first, second).correlation[19:].mean() > 0.2, "the test can tell"


def test_entries_state_every_threshold() -> None:
    _, first, second = images(0.2)
    found = correlate_halves(first, second, COVERED)
    entries = found.entries(5e-9)
    for name, threshold in (("half_bit", "half_bit"), ("1/7", 1 / 7), ("one_bit", "one_bit")):
        at = found.frc.crossing(threshold)
        assert entries[f"frc_{name}_cycles_per_px"] == at
        assert entries[f"frc_{name}_half_period_nm"] == pytest.approx(2.5 / at)
    assert "frc_half_bit_half_period_nm" not in found.entries(None)
