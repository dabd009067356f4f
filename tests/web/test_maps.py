"""The maps of the page hold the pixels of the file, and the phase with and without its ramp."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.web.maps import maps_of


def image_of(phase: Any, **more: Any) -> Reconstruction:
    object_ = (1 - 0.1 * np.cos(phase)) * np.exp(1j * phase)
    coverage = np.ones(phase.shape)
    coverage[:3] = 0
    return Reconstruction(object_, coverage, (10, 20), np.zeros((1, 2)), np.ones((1, 8, 8)), **more)


@pytest.fixture
def hill() -> Any:
    """A phase of more than one turn, and a ramp."""
    y, x = np.mgrid[:60, :80]
    return 7 * np.exp(-((y - 30) ** 2 + (x - 40) ** 2) / 300.0), 0.31 * y - 0.17 * x


def test_pixels_are_those_of_the_file_where_it_was_measured(hill: Any) -> None:
    image = image_of(hill[0], amplitude_error=np.full((60, 80), 0.5), phase_error=np.full((60, 80), 0.25))
    maps = maps_of(image, 10**6)

    assert (maps.left, maps.top, maps.step, maps.shape) == (19.5, 12.5, 1, (57, 80))
    np.testing.assert_array_equal(maps.arrays["amplitude"], image.amplitude[3:])
    np.testing.assert_array_equal(maps.arrays["phase"], image.phase[3:])
    np.testing.assert_array_equal(maps.shown_phase("phase"), image.phase[3:])
    assert np.all(maps.arrays["phase_error"] == 0.25)
    assert maps.colour.dtype == np.uint32


def test_a_hole_is_not_a_number(hill: Any) -> None:
    image = image_of(hill[0])
    coverage = image.coverage.copy()
    coverage[30, 40] = 0
    maps = maps_of(replace(image, coverage=coverage), 10**6)
    assert all(np.isnan(values[27, 40]) for values in maps.arrays.values())
    assert maps.colour[27, 40] == 0 or maps.colour[27, 40] >> 24 == 0


def test_the_ramp_is_removed_and_the_phase_unwrapped(hill: Any) -> None:
    bump, ramp = hill
    maps = maps_of(image_of(bump + ramp), 10**6)
    flat = maps.shown_phase("flat_unwrapped")
    assert np.nanmax(flat) - np.nanmin(flat) == pytest.approx(7, abs=0.6)
    whole = maps.shown_phase("phase_unwrapped")
    expected = (bump + ramp)[3:]
    difference = whole - expected
    np.testing.assert_allclose(difference, np.round(difference[0, 0] / (2 * np.pi)) * 2 * np.pi, atol=1e-3)
    wrapped = maps.shown_phase("flat")
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * flat), atol=1e-5)
    assert np.nanmax(np.abs(wrapped)) <= np.pi + 1e-6


def test_a_phase_without_jumps_is_not_unwrapped(hill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bump, ramp = hill
    calls: list[int] = []
    monkeypatch.setattr("skimage.restoration.unwrap_phase", lambda *_: calls.append(1))
    maps = maps_of(image_of(0.2 * bump + ramp), 10**6)
    assert not calls
    flat = maps.shown_phase("flat_unwrapped")
    np.testing.assert_allclose(flat - flat[0, 0], 0.2 * (bump[3:] - bump[3, 0]), atol=0.1)  # but for the ramp


def test_a_large_image_is_binned(hill: Any) -> None:
    image = image_of(hill[0])
    maps = maps_of(image, 1200)
    assert maps.step == 2
    assert maps.shape == (29, 40)
    assert (maps.width, maps.height) == (80, 58)
    assert maps.arrays["amplitude"][10, 10] == pytest.approx(abs(image.object_[23:25, 20:22].mean()), rel=1e-5)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_an_image_without_structure_or_numbers_is_drawn(value: float) -> None:
    object_ = np.full((20, 20), value, complex)
    maps = maps_of(Reconstruction(object_, np.ones((20, 20)), (0, 0), np.zeros((1, 2)), np.ones((1, 8, 8))), 10**6)
    low, high = maps.colours["phase"].limits
    assert low < high


def test_an_image_of_which_nothing_was_measured_is_drawn() -> None:
    maps = maps_of(Reconstruction(np.ones((9, 9)), np.zeros((9, 9)), (0, 0), np.zeros((1, 2)), np.ones((1, 8, 8))), 99)
    assert np.isnan(maps.arrays["amplitude"]).all()
