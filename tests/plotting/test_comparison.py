"""Several reconstructions beside the truth: right panels, one scale, nothing over another."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ptychopinn.plotting import figure_comparison, save_figure
from ptychopinn.plotting.heading import COLOURS


@pytest.fixture
def truth() -> NDArray[np.complex128]:
    rng = np.random.default_rng(0)
    return rng.uniform(0.7, 1, (40, 50)) * np.exp(1j * rng.uniform(-0.4, 0.4, (40, 50)))


def panels(figure: Figure) -> dict:
    return {ax.get_title(loc="left"): ax.images[0] for ax in figure.axes if ax.images and ax.get_title(loc="left")}


def test_amplitude_and_phase_of_each_beside_the_reference(truth: NDArray) -> None:
    shown = panels(figure_comparison({"cnn": 1.1 * truth, "flat": np.ones_like(truth)}, truth))
    names = ("reference", "cnn", "flat")
    assert sorted(shown) == sorted(f"{part}, {name}" for part in ("Amplitude", "Phase") for name in names)
    np.testing.assert_allclose(shown["Amplitude, cnn"].get_array(), 1.1 * np.abs(truth))
    np.testing.assert_allclose(shown["Amplitude, flat"].get_array(), 1)


def test_all_colours_are_those_of_the_truth(truth: NDArray) -> None:
    wild = truth * np.random.default_rng(1).uniform(0, 9, truth.shape)
    alone, beside = panels(figure_comparison({}, truth)), panels(figure_comparison({"wild": wild}, truth))
    for part in ("Amplitude", "Phase"):
        assert beside[f"{part}, wild"].get_clim() == alone[f"{part}, reference"].get_clim()
        assert beside[f"{part}, wild"].get_cmap().name == alone[f"{part}, reference"].get_cmap().name


def test_a_global_phase_does_not_show(truth: NDArray) -> None:
    shown = panels(figure_comparison({"turned": truth * np.exp(2.8j)}, truth * np.exp(-1j)))
    np.testing.assert_allclose(shown["Phase, turned"].get_array(), shown["Phase, reference"].get_array(), atol=1e-9)
    assert np.abs(shown["Phase, reference"].get_array()).max() < 0.5


def test_scores_stand_below_their_image(truth: NDArray) -> None:
    report = {"psnr_amplitude": 31.24, "ssim_amplitude": 0.9567, "contrast_amplitude": 0.98, "psnr_phase": None}
    figure = figure_comparison({"cnn": truth}, truth, reports={"cnn": report})
    words = [text.get_text() for text in figure.texts]
    assert "31.2 dB  SSIM 0.957  contrast 0.98" in words


def test_the_verdict_stands_on_the_amplitude_of_its_image(truth: NDArray) -> None:
    images = {"good": truth, "bad": truth, "unknown": truth}
    figure = figure_comparison(images, truth, levels={"good": "fits", "bad": "does not fit", "unknown": None})
    bands = {
        ax.get_title(loc="left"): (text.get_text(), text.get_bbox_patch().get_facecolor())
        for ax in figure.axes
        for text in ax.texts
        if text.get_gid() == "verdict"
    }
    expected = {"Amplitude, good": "fits", "Amplitude, bad": "does not fit"}
    assert bands == {name: (level.upper(), to_rgba(COLOURS[level][0])) for name, level in expected.items()}


def test_what_is_not_covered_is_not_shown(truth: NDArray) -> None:
    covered = np.zeros(truth.shape, bool)
    covered[5:30, 10:40] = True
    shown = panels(figure_comparison({"cnn": truth}, truth, covered=covered))
    assert shown["Phase, cnn"].get_array().shape == (25, 30)


@pytest.mark.parametrize("count", [1, 5, 8])
@pytest.mark.parametrize("shape", [(40, 40), (20, 200), (200, 20)])
def test_many_or_long_images_never_overlap(truth: NDArray, count: int, shape: tuple[int, int]) -> None:
    object_ = np.resize(truth, shape)
    images = {f"a reconstruction with a very long name {i}": object_ for i in range(count)}
    scores = {f"{name}_{part}": 0.98765 for name in ("ssim", "contrast") for part in ("amplitude", "phase")}
    scores |= {"psnr_amplitude": 31.24, "psnr_phase": 41.24, "object_scale": 0.99876}
    figure = figure_comparison(images, object_, reports=dict.fromkeys(images, scores))
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    for number, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height
        for other in boxes[:number]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 1 or along <= 1


def test_images_of_another_frame_are_refused(truth: NDArray) -> None:
    with pytest.raises(ValueError, match=r"small.*\(30, 50\).*\(40, 50\)"):
        figure_comparison({"good": truth, "small": truth[:30]}, truth)


def test_picture_is_written(truth: NDArray, tmp_path: Path) -> None:
    assert save_figure(figure_comparison({"cnn": truth}, truth), tmp_path / "a.png", dpi=40).stat().st_size > 2000
