"""Contrast of one image, and the noise that counting alone gives."""

import numpy as np
import pytest

from ptychopinn.metrics.collapse import counting_misfit, reference_warnings
from ptychopinn.metrics.contrast import image_contrast, split_object


def scene() -> np.ndarray:
    y, x = np.mgrid[:40, :48]
    return (1 + 0.2 * np.sin(2 * np.pi * x / 12)) * np.exp(0.3j * np.cos(2 * np.pi * (y + 0.5) / 10))


def test_contrast_of_waves_is_their_deviation() -> None:
    amplitude, phase = image_contrast(scene(), np.ones((40, 48)))
    assert amplitude == pytest.approx(0.2 / np.sqrt(2), rel=1e-6)
    assert phase == pytest.approx(0.3 / np.sqrt(2), rel=1e-3)


def test_scale_global_phase_and_ramp_are_no_contrast() -> None:
    y, x = np.mgrid[:40, :48]
    moved = 0.3 * scene() * np.exp(1j * (2 + 0.4 * y - 0.7 * x))
    np.testing.assert_allclose(
        image_contrast(moved, np.ones((40, 48))), image_contrast(scene(), np.ones((40, 48))), rtol=1e-3
    )


def test_pixels_without_weight_do_not_count() -> None:
    image, weight = scene(), np.ones((40, 48))
    weight[:, :10] = 0
    spoiled = image.copy()
    spoiled[:, :10] = 50j
    np.testing.assert_allclose(image_contrast(spoiled, weight), image_contrast(image, weight), rtol=1e-9)


def test_a_part_is_taken_out_and_nothing_else() -> None:
    image, weight = scene() * np.exp(0.1j * np.arange(48)), np.ones((40, 48))
    split = split_object(image, weight)
    np.testing.assert_allclose(split.amplitude * np.exp(1j * split.phase) * split.ramp, image, atol=1e-12)
    amplitude, phase = image_contrast(image, weight)
    np.testing.assert_allclose(image_contrast(split.without("phase"), weight), (amplitude, 0), atol=1e-6)
    np.testing.assert_allclose(image_contrast(split.without("amplitude"), weight), (0, phase), atol=1e-6)
    with pytest.raises(ValueError, match="'amplitude' or 'phase'"):
        split.without("colour")


@pytest.mark.parametrize(("object_", "weight", "message"), [(1, 0, "weight is zero"), (0, 1, "object_ is zero")])
def test_nothing_to_measure_is_refused(object_: int, weight: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_contrast(np.full((4, 4), object_), np.full((4, 4), weight))


@pytest.mark.parametrize("mean", [0.02, 0.5, 3.0, 29.0, 31.0, 1e4])
def test_counting_noise_is_that_of_drawn_counts(mean: float) -> None:
    counts = np.random.default_rng(0).poisson(mean, 400_000)
    drawn = 2 * (np.sqrt(counts + 0.375) - np.sqrt(mean + 0.375)) ** 2
    assert counting_misfit(np.array([mean])) == pytest.approx(drawn.mean(), rel=0.01)


def test_a_reference_warns_outside_its_range_only() -> None:
    assert reference_warnings(None) == []
    assert reference_warnings({"contrast_amplitude": None, "contrast_phase": 0.6}) == []
    assert len(reference_warnings({"contrast_amplitude": 2.1, "contrast_phase": 0.4})) == 2
