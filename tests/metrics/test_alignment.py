"""What phase retrieval cannot know is removed to the last digit; what is wrong stays wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from ptychopinn.metrics import align, remove_global_phase, remove_phase_ramp
from ptychopinn.metrics.pose import moved_mask

INNER = np.zeros((128, 128), dtype=bool)
INNER[14:-14, 14:-14] = True
SHIFT, RAMP, SCALE = (5.3, -6.7), (0.08, -0.1), 0.7 * np.exp(2.2j)


def _relative_error(image, truth, mask=INNER):
    return np.linalg.norm((image - truth)[mask]) / np.linalg.norm(truth[mask])


def _shift_error(alignment, shift):
    return np.max(np.abs(np.add(alignment.shift_px, shift)))


@pytest.mark.parametrize("seed", range(5))
def test_random_shift_ramp_and_scale_are_removed(wide_object, crop, perturbed, seed):
    rng = np.random.default_rng(seed)
    shift, ramp = rng.uniform(-8, 8, 2), rng.uniform(-0.1, 0.1, 2)
    scale = rng.uniform(0.2, 3) * np.exp(1j * rng.uniform(-np.pi, np.pi))
    wide = wide_object(seed=seed)
    found = align(perturbed(wide, shift, ramp, scale), crop(wide), mask=INNER)
    assert _shift_error(found, shift) < 1e-3
    np.testing.assert_allclose(found.ramp_rad_per_px, -ramp, atol=1e-5)
    assert abs(found.scale) == pytest.approx(1 / abs(scale), rel=1e-3)
    assert _relative_error(found.object_, crop(wide)) < 5e-3
    assert found.residual < 5e-3


@pytest.mark.parametrize(
    ("contrast", "phase_range"),
    [(0.01, 0.02), (0.5, 0.0), (0.0, 1.5), (0.4, 4.0), (0.4, 9.0)],
    ids=["low contrast", "amplitude only", "phase only", "phase over pi", "phase over 2 pi"],
)
def test_kinds_of_objects(wide_object, crop, perturbed, contrast, phase_range):
    wide = wide_object(contrast, phase_range)
    found = align(perturbed(wide, SHIFT, RAMP, SCALE), crop(wide), mask=INNER)
    assert _shift_error(found, SHIFT) < 2e-3
    assert found.residual < 2e-2


def test_phase_noise_of_half_a_radian(wide_object, crop, perturbed):
    rng = np.random.default_rng(0)
    wide = wide_object()
    noisy = perturbed(wide, SHIFT, RAMP, SCALE) * np.exp(0.5j * rng.normal(size=INNER.shape))
    found = align(noisy, crop(wide), mask=INNER)
    assert _shift_error(found, SHIFT) < 0.15
    np.testing.assert_allclose(found.ramp_rad_per_px, np.negative(RAMP), atol=1e-3)


def test_reconstruction_with_wrong_amplitude_still_registers(wide_object, crop, perturbed):
    wide = wide_object()
    found = align(perturbed(wide / np.abs(wide), SHIFT, RAMP, SCALE), crop(wide), mask=INNER)
    assert _shift_error(found, SHIFT) < 0.02


def test_masks_that_are_not_rectangles(wide_object, crop, perturbed):
    y, x = np.mgrid[:128, :128]
    ring = (np.hypot(y - 60, x - 66) < 50) & (np.hypot(y - 50, x - 60) > 12)
    speckle = INNER & (np.random.default_rng(0).random(INNER.shape) < 0.5)
    wide = wide_object()
    for mask in (ring, speckle):
        found = align(perturbed(wide, SHIFT, RAMP, SCALE), crop(wide), mask=mask)
        assert _shift_error(found, SHIFT) < 5e-3
        assert _relative_error(found.object_, crop(wide), mask & INNER) < 1e-2


def test_only_the_masked_part_counts(wide_object, crop, perturbed):
    wide = wide_object()
    broken = perturbed(wide, SHIFT, RAMP, SCALE)
    broken[:50] = perturbed(wide_object(seed=11), (0, 0))[:50]
    mask = INNER.copy()
    mask[:70] = False
    assert _shift_error(align(broken, crop(wide), mask=mask), SHIFT) < 0.02


def test_canvas_that_is_partly_filled_with_one(wide_object, crop, perturbed):
    y, x = np.mgrid[:128, :128]
    support = (y > 10) & (x > 6) & (y < 118) & (x + y > 40)
    wide, shift = wide_object(), (2.4, -3.3)
    canvas = np.where(support, perturbed(wide, shift, (0.02, -0.03), SCALE), 1)
    found = align(canvas, crop(wide), support=support)
    assert _shift_error(found, shift) < 0.01
    assert np.all(found.object_[:6] == 1)
    assert _relative_error(found.object_, crop(wide), INNER & (x + y > 60)) < 0.02


def test_wrong_symmetries_stay(wide_object, crop):
    truth = crop(wide_object())
    for wrong in (truth[::-1], truth.T, truth.conj()):
        assert align(wrong, truth, mask=INNER).residual > 0.1


def test_switches_leave_their_parameter_alone(wide_object, crop, perturbed):
    wide = wide_object()
    moved = perturbed(wide, (0.8, -0.6), (0.01, 0.02), 0.7)
    assert align(moved, crop(wide), mask=INNER, shift=False).shift_px == (0.0, 0.0)
    assert align(moved, crop(wide), mask=INNER, ramp=False).ramp_rad_per_px == (0.0, 0.0)
    turned = align(1.5j * crop(wide), crop(wide), mask=INNER, scale=False)
    assert abs(turned.scale) == pytest.approx(1, abs=1e-12)
    assert turned.scale == pytest.approx(-1j, abs=1e-3)


def test_stated_parameters_give_the_stated_object(wide_object, crop, perturbed):
    """object_ = scale T[rec exp(i ramp.(x - x0))], written out with numpy on the whole frame."""
    wide = wide_object()
    moved = perturbed(wide, (1.25, -2.5), (0.03, 0.01), SCALE)
    found = align(moved, crop(wide), mask=INNER)
    y, x = np.mgrid[:128, :128] - 64
    flat = moved * np.exp(1j * (found.ramp_rad_per_px[0] * y + found.ramp_rad_per_px[1] * x))
    again = found.scale * np.fft.ifft2(fourier_shift(np.fft.fft2(flat), found.shift_px))
    middle = np.zeros_like(INNER)
    middle[40:-40, 40:-40] = True
    assert _relative_error(again, found.object_, middle) < 5e-3


def test_featureless_images_end_in_numbers():
    flat = np.ones((40, 40), dtype=complex)
    noise = np.random.default_rng(0).normal(size=(40, 40)) + 1j
    for first, second in ((flat, flat), (2j * flat, noise), (0 * flat, noise), (noise, 0 * flat)):
        found = align(first, second)
        assert np.isfinite(found.object_).all()
        assert np.isfinite([*found.shift_px, *found.ramp_rad_per_px, abs(found.scale), found.residual]).all()
    assert np.allclose(align(2j * flat, flat).object_, 1)


def test_global_phase_and_ramp_alone(wide_object, crop, perturbed):
    wide = wide_object(phase_range=5.0)
    truth = crop(wide)
    np.testing.assert_allclose(remove_global_phase(truth * np.exp(2.9j), truth), truth, atol=1e-12)
    np.testing.assert_allclose(
        remove_phase_ramp(perturbed(wide, ramp=(0.31, -0.07), scale=1j), truth), truth, atol=1e-6
    )
    assert abs(np.angle(remove_global_phase(truth).mean())) < 1e-12


def test_ramp_of_the_unmasked_part_is_ignored():
    y = np.mgrid[:64, :64][0]
    image = np.exp(0.2j * y)
    image[:20] = np.exp(-1.3j * y[:20])
    mask = y >= 20
    flat = remove_phase_ramp(image, mask=mask)
    assert np.ptp(np.angle(flat[mask])) < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reconstruction": np.ones((8, 9), complex)}, "crop or pad"),
        ({"reconstruction": np.full((8, 8), np.nan + 0j)}, "64 values that are not finite"),
        ({"reconstruction": np.ones((2, 8, 8), complex)}, "one image"),
        ({"mask": np.zeros((8, 8), bool)}, "selects no pixel"),
        ({"mask": np.ones((8, 8))}, "boolean"),
        ({"mask": np.ones((4, 8), bool)}, "shape"),
        ({"support": np.zeros((8, 8), bool)}, "support selects no pixel"),
    ],
)
def test_unusable_input_is_refused(change, message):
    arguments = {"reconstruction": np.ones((8, 8), complex), "reference": np.ones((8, 8), complex)} | change
    with pytest.raises(ValueError, match=message):
        align(**arguments)


@pytest.mark.shared_data
def test_simulated_truth_of_the_test_data(shared_dir):
    with np.load(shared_dir / "data" / "synth_dev_1e6.npz") as archive:
        truth = archive["objectGuess"].astype(complex)
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:300, :300]
    mask = np.zeros(truth.shape, dtype=bool)
    mask[40:260, 40:260] = True
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(truth), (7.4, -3.6))) * np.exp(1j * (0.09 * y - 0.05 * x))
    noise = 0.05 * (rng.normal(size=truth.shape) + 1j * rng.normal(size=truth.shape))
    clean, noisy = align(1.3j * moved, truth, mask=mask), align(moved + noise, truth, mask=mask)
    assert _shift_error(clean, (7.4, -3.6)) < 1e-3
    assert clean.residual < 3e-3
    assert _shift_error(noisy, (7.4, -3.6)) < 0.02
    assert noisy.residual == pytest.approx(0.05 * np.sqrt(2) / np.sqrt(np.mean(np.abs(truth[mask]) ** 2)), rel=0.02)


@pytest.mark.parametrize("seed", [3, 5, 8, 10])
def test_a_collapsed_image_is_not_moved_out_of_the_region(wide_object, crop, seed):
    """Fewer pixels would be easier to match, so those that a pose loses count as well."""
    truth = crop(wide_object(seed=seed))[40:92, 40:92]
    mask = np.zeros(truth.shape, dtype=bool)
    mask[6:-6, 6:-6] = True
    noise = 0.002 * np.random.default_rng(seed).normal(size=truth.shape)
    found = align(1 + noise, truth, mask=mask, support=np.ones(truth.shape, dtype=bool))
    assert moved_mask(np.ones_like(mask), found.shift_px)[mask].all()


def test_an_alignment_is_taken_back_from_its_opposite(wide_object, crop, perturbed) -> None:
    """The same place as a search of its own finds, to a hundredth of a pixel, in noise that both must bear."""
    wide = wide_object(seed=4)
    rng = np.random.default_rng(4)
    truth = crop(wide)
    moved = perturbed(wide, (3.4, -2.2), (0.05, -0.03), 1.7j) + 0.02 * rng.normal(size=truth.shape)
    forth = align(moved, truth, mask=INNER)
    searched = align(truth, moved, mask=INNER, scale=False)
    back = align(truth, moved, mask=INNER, scale=False, opposite=forth)
    np.testing.assert_allclose(back.shift_px, searched.shift_px, atol=0.01)
    np.testing.assert_allclose(back.ramp_rad_per_px, searched.ramp_rad_per_px, atol=1e-4)
    assert back.residual == pytest.approx(searched.residual, rel=1e-4)
    assert _relative_error(back.object_, searched.object_) < 1e-2


def test_an_opposite_of_another_pair_is_not_taken_as_the_answer(wide_object, crop, perturbed) -> None:
    """It is where the fit begins, not its result: a start half a pixel away ends in the same place."""
    wide = wide_object(seed=6)
    moved = perturbed(wide, (1.3, 0.8), (0.0, 0.0), 1.0)
    forth = align(moved, crop(wide), mask=INNER)
    beside = replace(forth, shift_px=(forth.shift_px[0] + 0.5, forth.shift_px[1] - 0.5))
    back = align(crop(wide), moved, mask=INNER, opposite=beside)
    np.testing.assert_allclose(back.shift_px, [-one for one in forth.shift_px], atol=1e-3)
