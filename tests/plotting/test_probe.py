"""Probe pictures: hue is phase, brightness is amplitude, one tile for each mode."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from ptychopinn.plotting import draw_probe
from ptychopinn.plotting.probe import complex_to_rgb

LUMA = np.array([0.2126, 0.7152, 0.0722])


def modes(count: int) -> np.ndarray:
    y, x = np.mgrid[-8:8, -8:8]
    first = np.exp(-(y**2 + x**2) / 20) * np.exp(1j * x / 4)
    return np.stack([first * 0.5**number for number in range(count)])


def test_zero_is_black_and_brightness_grows_with_amplitude() -> None:
    rgb = complex_to_rgb(np.linspace(0, 1, 9) * np.exp(0.7j), 1.0)
    np.testing.assert_allclose(rgb[0], 0, atol=1e-6)
    assert (np.diff(rgb @ LUMA) > 0).all()
    np.testing.assert_allclose(complex_to_rgb(np.array([5j]), 1.0), complex_to_rgb(np.array([1j]), 1.0))


def test_the_hue_is_cyclic_and_all_phases_are_about_equally_bright() -> None:
    phases = np.linspace(-np.pi, np.pi, 73)
    rgb = complex_to_rgb(np.exp(1j * phases), 1.0)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    np.testing.assert_allclose(rgb[0], rgb[-1], atol=1e-6)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert np.ptp(linear @ LUMA) < 0.2
    distances = np.linalg.norm(rgb[:-1, None] - rgb[None, :-1], axis=-1) + np.eye(72)
    assert distances.min() > 0.01, "two phases share a colour"


def test_nothing_at_all_is_black() -> None:
    assert (complex_to_rgb(np.zeros((4, 4), complex), 0.0) == 0).all()
    draw_probe(Figure().add_subplot(), np.zeros((2, 4, 4), complex)).figure.canvas.draw()


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 2, 2), (4, 2, 2), (7, 3, 3)])
def test_one_tile_for_each_mode(count: int, columns: int, rows: int) -> None:
    ax = Figure().add_subplot()
    assert draw_probe(ax, modes(count)) is ax
    assert len(ax.images) == count
    assert ax.get_xlim() == (0, columns * 17 - 1)
    assert ax.get_ylim() == (rows * 17 - 1, 0)
    extents = {tuple(image.get_extent()) for image in ax.images}
    assert len(extents) == count


def test_modes_show_their_share_of_the_photons() -> None:
    ax = draw_probe(Figure().add_subplot(), modes(2))
    assert [text.get_text() for text in ax.texts[:2]] == ["80%", "20%"]
    assert ax.get_title(loc="left") == "Probe, 2 modes"
