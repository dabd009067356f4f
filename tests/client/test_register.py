"""A longer run on a simulated scan with known truth: the client's image is in register with it.

Prints the figures of merit (`pytest -s -m slow`) and writes truth beside image as a picture into the test's folder.
"""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptychopinn.metrics import align, compare

pytestmark = [pytest.mark.client, pytest.mark.slow, pytest.mark.shared_data]

EPOCHS = 20
SETTINGS = {
    "PtychoPINNTraining": {"NumEpochs": EPOCHS},
    "PtychoPINNTorchTraining": {"epochs": EPOCHS},
    "PtychoPINNTorchData": {"model_size": 64},
}
INNER = slice(40, 260)
"""Rows and columns of the true object that the scan covers."""
MOVES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "flipped up-down": np.flipud,
    "flipped left-right": np.fliplr,
    "turned by 180 degrees": lambda image: image[::-1, ::-1],
    "transposed": np.transpose,
    "transposed about the other diagonal": lambda image: image[::-1, ::-1].T,
}


@pytest.mark.parametrize(
    ("algorithm", "knows_truth"),
    [
        ("ptychopinn_pinn", False),
        ("ptychopinn_supervised", True),
        ("ptychopinn-torch_unsupervised", False),
        ("ptychopinn-torch_supervised", True),
    ],
)
def test_image_is_in_register_with_the_truth(
    algorithm: str, knows_truth: bool, tmp_path: Path, shared_dir: Path, scene: ModuleType, drive: Callable[..., Any]
) -> None:
    from ptychodus.api.io import load_product

    truth, scored = _convert(scene, shared_dir / "data" / "synth_dev_1e6.npz", tmp_path, knows_truth)
    done = drive(tmp_path, "run", {algorithm: ["export", "train", "reconstruct"]}, SETTINGS, timeout=7200)
    done.value(algorithm, "reconstruct")
    image = load_product(tmp_path / algorithm / "trained.h5").object_.get_array()[0]
    assert image.shape == truth.shape

    found = compare(image, truth, region=scored)
    names = ("psnr_amplitude", "psnr_phase", "frc_0.5_nyquist", "shift_px")
    print(f"\n{algorithm}, {EPOCHS} epochs: { ({name: found[name] for name in names}) }; {tmp_path / 'beside.png'}")
    _picture(image, truth, tmp_path / "beside.png")
    assert math.hypot(*found["shift_px"]) < 0.25

    square = _square(scored)
    upright = align(image[square], truth[square]).residual
    for name, move in MOVES.items():
        assert upright < 0.8 * align(move(image[square]), truth[square]).residual, name


def _convert(
    scene: ModuleType, source: Path, folder: Path, knows_truth: bool
) -> tuple[NDArray[np.complex64], tuple[int, int, int, int]]:
    """Write the scan as `diffraction.h5` and `product.h5`; the truth in the product's frame, and the scored region.

    The positions of the file belong to the element N/2 of a pattern, ptychodus' to (N-1)/2: half a pixel less. The
    frame is the client's usual one, as large as the scan and one pattern, cut out of the true object at whole pixels.
    """
    with np.load(source) as data:
        counts, probe, full = data["counts"], data["probeGuess"], data["objectGuess"]
        x, y = data["xcoords"] - 0.5, data["ycoords"] - 0.5
    (y0, height), (x0, width) = (_frame(along, counts.shape[1]) for along in (y, x))
    truth = full[y0 : y0 + height, x0 : x0 + width]
    center = scene.ObjectCenter(
        x_m=(width - 1) / 2 * scene.PIXEL.width_m,
        y_m=(height - 1) / 2 * scene.PIXEL.height_m,
    )
    shown = truth if knows_truth else np.ones_like(truth)
    probes = scene.ProbeSequence(probe, None, scene.PIXEL)
    scene.save_product(
        folder / "product.h5", scene.product_of(shown, scene.positions_at(x - x0, y - y0), probes, center)
    )
    patterns = scene.AssembledDiffractionData(
        np.arange(len(counts)), counts, scene.PixelGeometry(75e-6, 75e-6), np.zeros(counts.shape[1:], bool)
    )
    scene.save_diffraction_data(folder / "diffraction.h5", patterns)
    return truth, (INNER.start - y0, INNER.stop - y0, INNER.start - x0, INNER.stop - x0)


def _frame(along: NDArray[np.float64], pattern_px: int) -> tuple[int, int]:
    """First pixel and size of the client's canvas along one axis."""
    start = math.floor(along.min() - (pattern_px - 1) / 2)
    return start, round(along.min() + along.max() - 2 * start) + 1


def _square(region: tuple[int, int, int, int]) -> tuple[slice, slice]:
    return slice(region[0], region[1]), slice(region[2], region[3])


def _picture(image: NDArray[np.complexfloating], truth: NDArray[np.complexfloating], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 10), layout="constrained")
    shown = (("truth", truth), ("ptychodus", image * np.exp(-1j * np.angle(np.vdot(truth, image)))))
    for row, (name, picture) in zip(figure.subplots(2, 2), shown, strict=True):
        for axes, part, label in zip(row, (np.abs, np.angle), ("amplitude", "phase"), strict=True):
            axes.set_title(f"{name}, {label}")
            axes.imshow(part(picture), vmin=None if label == "phase" else 0.4, vmax=None if label == "phase" else 1.1)
    figure.savefig(path)
