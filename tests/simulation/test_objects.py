"""Samples: contrast as configured, no global randomness, and textures that deserve their names."""

import numpy as np
import pytest

from ptychopinn.errors import ConfigError
from ptychopinn.simulation import OBJECTS, make_object
from ptychopinn.simulation.fields import to_unit
from ptychopinn.simulation.leaves import _paint
from ptychopinn.simulation.lettering import GLYPHS, written
from ptychopinn.simulation.textures import diagonals, points, siemens_star, text

KINDS = sorted(OBJECTS)


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_is_the_configured_one(kind: str) -> None:
    sample = make_object(kind, (70, 60), np.random.default_rng(3), amplitude_min=0.4, phase_range_rad=2.0)
    amplitude, phase = np.abs(sample), np.angle(sample)
    assert sample.shape == (70, 60)
    assert sample.dtype == np.complex64
    assert amplitude.min() == pytest.approx(0.4, abs=1e-5)
    assert amplitude.max() == pytest.approx(1.0, abs=1e-5)
    assert np.ptp(phase) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_amplitude_and_phase_are_correlated_but_not_identical(kind: str) -> None:
    sample = make_object(kind, (128, 128), np.random.default_rng(0))
    correlation = np.corrcoef(np.abs(sample).ravel(), np.angle(sample).ravel())[0, 1]
    assert 0.25 < correlation < 0.998


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_alone_decides(kind: str) -> None:
    first = make_object(kind, (48, 48), np.random.default_rng(5))
    np.random.default_rng().random(7)
    again = make_object(kind, (48, 48), np.random.default_rng(5))
    other = make_object(kind, (48, 48), np.random.default_rng(6))
    assert first.tobytes() == again.tobytes()
    assert not np.allclose(first, other, atol=0.05)


def test_flat_contrast_gives_a_constant_sample() -> None:
    sample = make_object("composite", (40, 40), np.random.default_rng(0), amplitude_min=1.0, phase_range_rad=0.0)
    np.testing.assert_allclose(sample, 1.0)


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="dead_leaves"):
        make_object("lena", (40, 40), np.random.default_rng(0))


def test_star_has_sixteen_spokes() -> None:
    star = siemens_star((200, 200), np.random.default_rng(1)).absorption
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    radius = 0.47 * 200 * 0.85
    ring = star[np.rint(99.5 + radius * np.sin(angle)).astype(int), np.rint(99.5 + radius * np.cos(angle)).astype(int)]
    dark = ring > 0.5
    assert np.count_nonzero(dark & ~np.roll(dark, 1)) == 16


def test_field_has_a_falling_spectrum_and_leaves_have_edges() -> None:
    field = np.abs(make_object("gaussian_field", (128, 128), np.random.default_rng(2)))
    leaves = np.abs(make_object("dead_leaves", (128, 128), np.random.default_rng(2)))

    def edges(image: np.ndarray) -> float:
        """Fourth moment of the gradient over its squared variance: 3 for Gaussian, more with edges."""
        step = np.diff(image, axis=0)
        return float((step**4).mean() / (step**2).mean() ** 2)

    assert edges(field) < 4 < 6 < edges(leaves)
    power = np.abs(np.fft.fft2(field - field.mean())) ** 2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    low, high = power[(k > 0.02) & (k < 0.04)].mean(), power[(k > 0.16) & (k < 0.32)].mean()
    assert np.log(low / high) / np.log(8) == pytest.approx(3.0, abs=0.6)


def amplitude_phase_correlation(sample: np.ndarray) -> float:
    return float(np.corrcoef(np.abs(sample).ravel(), np.angle(sample).ravel())[0, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_correlation_of_amplitude_and_phase_is_the_one_asked_for(kind: str, correlation: float) -> None:
    sample = make_object(kind, (128, 128), np.random.default_rng(0), correlation=correlation)
    assert amplitude_phase_correlation(sample) == pytest.approx(correlation, abs=0.05)


def test_correlation_leaves_the_amplitude_alone() -> None:
    first, second = (make_object("dead_leaves", (64, 64), np.random.default_rng(3), correlation=c) for c in (None, 0.0))
    np.testing.assert_allclose(np.abs(first), np.abs(second), rtol=1e-6)
    assert not np.allclose(np.angle(first), np.angle(second), atol=0.1)


def test_diagonals_run_along_both_diagonals_only() -> None:
    picture = diagonals((256, 256), np.random.default_rng(0)).absorption
    window = np.hanning(256)
    power = np.abs(np.fft.fftshift(np.fft.fft2((picture - picture.mean()) * window[:, None] * window))) ** 2
    y, x = np.indices(power.shape) - 128
    far = np.hypot(y, x) > 6
    angle = np.arctan2(np.abs(y), np.abs(x))
    near = far & (np.abs(angle - np.pi / 4) < 0.15)
    assert power[near].sum() > 0.9 * power[far].sum()
    assert power[near & (x * y > 0)].sum() > 0.1 * power[near].sum()
    assert power[near & (x * y < 0)].sum() > 0.1 * power[near].sum()


def test_points_are_small_many_and_leave_most_of_the_ground_clear() -> None:
    picture = points((200, 150), np.random.default_rng(0)).absorption
    peaks = picture[1:-1, 1:-1] > np.maximum.reduce(
        [np.roll(picture, shift, (0, 1))[1:-1, 1:-1] for shift in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    )
    dense = picture[1:-1, 1:-1] > 0.2
    assert np.count_nonzero(peaks & dense) == pytest.approx(200 * 150 / 60, rel=0.25)
    assert np.mean(picture < 0.05) > 0.5


def test_points_at_the_edges_are_cut_and_not_wrapped() -> None:
    for seed in range(20):
        picture = points((24, 24), np.random.default_rng(seed)).absorption
        assert picture.shape == (24, 24)
        assert np.isfinite(picture).all()


def test_text_reads_as_written() -> None:
    """At a whole number of pixels per dot the picture is the glyphs themselves."""
    page = written("hi\n4", (16 * 5, 11 * 5))
    dot = 0.88 * 5
    rows, columns = (
        np.rint(side / 2 + dot * (np.arange(n) + 0.5 - n / 2)).astype(int) for side, n in ((80, 16), (55, 11))
    )
    read = page[np.ix_(rows, columns)] > 0.5
    np.testing.assert_array_equal(read[:7, :5], GLYPHS["H"] > 0)
    np.testing.assert_array_equal(read[:7, 6:], GLYPHS["I"] > 0)
    np.testing.assert_array_equal(read[9:, 3:8], GLYPHS["4"] > 0)
    assert not read[7:9].any()


def test_words_of_one_line_are_broken_to_fill_the_picture() -> None:
    np.testing.assert_array_equal(written("PHASE FROM COUNTS", (64, 64)), written("PHASE\nFROM\nCOUNTS", (64, 64)))
    np.testing.assert_array_equal(written("A B", (20, 60)), written("A B\n", (20, 60)))
    np.testing.assert_array_equal(written("A B", (60, 20)), written("A\nB", (60, 20)))


def test_text_covers_as_much_as_its_dots() -> None:
    page = written("A", (61, 47))
    assert page.sum() == pytest.approx(GLYPHS["A"].sum() * (0.88 * min(61 / 7, 47 / 5)) ** 2, rel=1e-9)
    assert page.min() == 0
    assert page.max() == pytest.approx(1)


def test_text_decides_the_picture() -> None:
    first, second = (text((64, 64), np.random.default_rng(0), words).absorption for words in ("ONE", "TWO"))
    assert np.abs(first - second).max() > 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [("naïve", "holds Ï"), ("  \n ", "is blank"), ("long " * 90, "raise object_size_px")],
)
def test_text_that_cannot_be_drawn_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        written(words, (64, 64))


def test_every_sign_of_the_font_is_different() -> None:
    assert len({picture.tobytes() for picture in GLYPHS.values()}) == len(GLYPHS) == 51
    assert all(picture.shape == (7, 5) for picture in GLYPHS.values())


def test_a_constant_field_stretches_to_zero() -> None:
    np.testing.assert_array_equal(to_unit(np.full((4, 4), 3.0)), 0)


def test_leaves_lie_where_they_are_put_and_later_ones_hide_earlier_ones() -> None:
    """Two ellipses of axes 12 and 6 px, the first one lying along x, the second one cut by the corner."""
    layers = np.zeros((2, 60, 80))
    forms = np.array([[20.5, 40.25, 12.0, 0.5, np.pi / 2], [59.0, 79.0, 12.0, 1.0, 0.0], [20.5, 46.0, 3.0, 1.0, 0.0]])
    _paint(layers, forms[:2], np.array([[1.0, 0.5], [1.0, 0.5]]))
    y, x = np.indices((60, 80))
    first = layers[0] * (y + x < 90)
    assert first.sum() == pytest.approx(np.pi * 12 * 6, rel=0.01)
    assert (first * y).sum() / first.sum() == pytest.approx(20.5, abs=0.05)
    assert (first * x).sum() / first.sum() == pytest.approx(40.25, abs=0.05)
    assert (first * (x - 40.25) ** 2).sum() / first.sum() == pytest.approx(36, rel=0.03)
    np.testing.assert_allclose(layers[1], layers[0] / 2)
    assert layers[0, 59, 79] == 1
    _paint(layers, forms[2:], np.array([[0.2, 0.7]]))
    np.testing.assert_allclose(layers[:, 20, 46], [0.2, 0.7])
