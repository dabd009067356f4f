"""Whole pictures have the right panels and become files of the right size."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import OutputError
from ptychopinn.plotting import figure_history, figure_reconstruction, save_figure

HISTORY = {
    "epoch": [1, 2, 3],
    "train_loss": [3.0, 2.0, 1.5],
    "val_loss": [3.1, 2.2, 1.9],
    "learning_rate": [1e-3, 5e-4, 1e-4],
}


def example(shape: tuple[int, int] = (40, 50), modes: int = 2, pixel_size_m: float | None = None) -> Reconstruction:
    rng = np.random.default_rng(0)
    coverage = np.zeros(shape)
    coverage[4:-4, 4:-4] = 1
    object_ = rng.uniform(0.8, 1, shape) * np.exp(1j * rng.uniform(-0.4, 0.4, shape))
    return Reconstruction(
        object_=np.where(coverage > 0, object_, 1),
        coverage=coverage,
        origin_px=(-3, 5),
        positions_px=rng.uniform(4, 36, (20, 2)),
        probe=rng.normal(size=(modes, 16, 16)) + 1j,
        pixel_size_m=pixel_size_m,
    )


def titles(figure: Figure) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes]


def panel(figure: Figure, title: str) -> Axes:
    return figure.axes[titles(figure).index(title)]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_panels_without_and_with_a_history() -> None:
    assert titles(figure_reconstruction(example())) == ["Amplitude", "Phase", "Coverage", "Probe, 2 modes"]
    assert titles(figure_reconstruction(example(), HISTORY))[-1] == "Loss"
    assert len(figure_reconstruction(example(), {"epoch": [], "train_loss": []}).axes) == 4


def test_the_object_panels_are_the_largest() -> None:
    figure = figure_reconstruction(example(), HISTORY)
    areas = {
        title: ax.get_position().width * ax.get_position().height
        for title, ax in zip(titles(figure), figure.axes, strict=True)
    }
    assert min(areas["Amplitude"], areas["Phase"]) > 2 * max(areas["Coverage"], areas["Probe, 2 modes"])


def test_headline_and_facts() -> None:
    figure = figure_reconstruction(example(pixel_size_m=26e-9), title="Siemens star")
    assert words(figure)[0] == "Siemens star"
    assert words(figure)[1] == "40 × 50 px   ·   20 patterns of 16 px   ·   pixel 26 nm"


def test_a_reference_adds_a_row_on_the_same_scale() -> None:
    source = example()
    reference = 1.3 * source.object_ * np.exp(2.5j)
    figure = figure_reconstruction(source, HISTORY, reference, {"amplitude MAE": 0.0123456})
    assert titles(figure) == [
        *("Amplitude", "Phase", "Reference amplitude", "Reference phase"),
        *("Coverage", "Probe, 2 modes", "Loss", "Error  |object − reference|"),
    ]
    for part in ("amplitude", "phase"):
        own = panel(figure, part.capitalize()).images[0]
        other = panel(figure, f"Reference {part}").images[0]
        assert own.get_clim() == other.get_clim()
        assert own.get_cmap().name == other.get_cmap().name
    np.testing.assert_allclose(
        panel(figure, "Reference phase").images[0].get_array(),
        panel(figure, "Phase").images[0].get_array(),
        atol=1e-5,
    )
    error = panel(figure, "Error  |object − reference|").images[0].get_array()
    np.testing.assert_allclose(error.compressed(), 0.3 * source.amplitude[4:-4, 4:-4].ravel(), rtol=1e-4)
    assert "amplitude MAE 0.01235" in words(figure)


@pytest.mark.parametrize("shape", [(20, 200), (200, 20), (12, 12)])
@pytest.mark.parametrize("history", [None, HISTORY])
def test_panels_never_overlap_or_leave_the_page(shape: tuple[int, int], history: dict | None) -> None:
    source = example(shape, modes=3)
    figure = figure_reconstruction(source, history, source.object_)
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 1 or along <= 1


def test_nothing_covered_is_still_a_picture(tmp_path: Path) -> None:
    source = example()
    empty = Reconstruction(
        np.ones_like(source.object_), 0 * source.coverage, (0, 0), np.zeros((0, 2)), 0 * source.probe
    )
    assert save_figure(figure_reconstruction(empty), tmp_path / "a.png", dpi=40).stat().st_size > 2000


def test_history_has_a_learning_rate_where_it_is_known() -> None:
    assert titles(figure_history(HISTORY)) == ["Loss", "Learning rate"]
    figure = figure_history({"epoch": [1, 2], "train_loss": [2.0, 1.0]}, title="Run 7")
    assert titles(figure) == ["Loss"]
    assert words(figure) == ["Run 7", "2 epochs"]
    assert titles(figure_history({})) == ["Loss"]


def test_saved_pictures_are_png_of_the_right_size(tmp_path: Path) -> None:
    figure = figure_history(HISTORY)
    target = save_figure(figure, tmp_path / "history.png", dpi=50)
    with Image.open(target) as picture:
        assert picture.format == "PNG"
        assert picture.size == tuple(int(length * 50) for length in figure.get_size_inches())
        assert len(picture.convert("RGB").getcolors(10**6)) > 10
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_save_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "history.png"
    target.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError):
        save_figure(figure_history(HISTORY), target, dpi=20)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys; from ptychopinn.plotting import figure_history; "
        "figure_history({'epoch': [1], 'train_loss': [1.0]}).canvas.draw(); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
