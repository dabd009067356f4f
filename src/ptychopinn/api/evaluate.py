"""`evaluate`: how good is a reconstruction, honestly."""

import json
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.io import check_output_folder, is_hdf5, write_text_atomically
from ptychopinn.errors import ScanError
from ptychopinn.metrics import (
    align,
    amplitude_misfit,
    compare,
    expected_poisson_deviance,
    poisson_deviance_per_pixel,
)
from ptychopinn.models import PatchModel
from ptychopinn.plotting import figure_reconstruction, save_figure
from ptychopinn.reconstruction import Reconstruction, expected_counts
from ptychopinn.training import History

logger = logging.getLogger("ptychopinn")
Region = tuple[int, int, int, int]
"""First and last row, first and last column (the last ones not included), in the object frame, px."""


@dataclass(frozen=True)
class Evaluation:
    """A comparison with a reference object."""

    report: dict[str, Any]
    """Every figure with its region, alignment, peaks and windows."""
    reference: NDArray[np.complex64]
    """(Y, X) the reference, moved onto the reconstruction."""
    paths: dict[str, Path]
    """`metrics` and `picture`; empty when nothing was written."""


def evaluate(
    reconstruction: str | Path | Reconstruction,
    reference: str | Path | Scan | Reconstruction | NDArray[np.complexfloating],
    output: str | Path | None = None,
    *,
    region: Region | None = None,
    overrides: Sequence[str] = (),
) -> Evaluation:
    """Compare a reconstruction with a reference object.

    Translation, global phase, linear phase ramp and complex scale are removed first: phase retrieval cannot
    know them.

    Args:
        reconstruction: a `reconstruction.npz`, or what `reconstruct` returned.
        reference: a scan with `objectGuess`, another reconstruction, a ptychodus product or a CXI file with an
            object, as files or as objects, or a complex array whose element (0, 0) is object pixel (0, 0).
        output: folder for `metrics.json` and `evaluation.png`; nothing is written without it.
        region: rows and columns (first, last, first, last) that are scored; by default the rectangle that the
            scan positions span.
        overrides: `data.key=value` texts that say how a reference scan is read.

    Raises:
        PtychoPINNError: one of the files cannot be used, or the region lies outside.
    """
    image = reconstruction if isinstance(reconstruction, Reconstruction) else Reconstruction.load(reconstruction)
    truth = _reference_object(reference, image, overrides)
    try:
        compared = _compare(image, truth, region)
    except ValueError as error:
        raise ScanError(f"{_name(reconstruction)}: cannot be compared with {_name(reference)}: {error}") from None
    paths: dict[str, Path] = {}
    if output is not None:
        folder = check_output_folder(output)
        text = json.dumps({"reference": compared.report}, indent=2)
        paths["metrics"] = write_text_atomically(folder / "metrics.json", text)
        paths["picture"] = compared.save_picture(folder / "evaluation.png", image)
    return Evaluation(compared.report, compared.aligned, paths)


@dataclass(frozen=True)
class Comparison:
    """A report, and the reference as the picture shows it."""

    report: dict[str, Any]
    aligned: NDArray[np.complex64]
    """(Y, X) the reference, moved onto the reconstruction."""

    def save_picture(self, path: Path, image: Reconstruction, history: History | None = None) -> Path:
        """Write the picture of a reconstruction with reference and error."""
        names = {"phase PSNR (dB)": "psnr_phase", "amplitude PSNR (dB)": "psnr_amplitude"}
        errors = {name: self.report[key] for name, key in names.items() if self.report[key] is not None}
        return save_figure(figure_reconstruction(image, history, self.aligned, errors), path)


def compare_with_reference(image: Reconstruction, scan: Scan) -> Comparison | None:
    """The comparison with a scan's object guess; none where it is absent or flat, or the image too small."""
    if scan.object_guess is None or float(np.std(scan.object_guess)) < 1e-6:
        return None
    try:
        return _compare(image, _in_frame_of(image, scan.object_guess), None)
    except ValueError as error:
        logger.warning("not compared with the object guess: %s", error)
        return None


def data_misfit(model: PatchModel, tensors: ScanTensors, image: Reconstruction) -> dict[str, float]:
    """How well the stitched object explains the measured patterns, over measured pixels.

    `amplitude_misfit` is the sum of absolute differences of the amplitudes over the sum of the measured ones.
    The Poisson deviance per pixel stands beside its expectation for a perfect model.
    """
    expected = expected_counts(model, tensors, image).numpy()
    scan = tensors.scan
    measured = None if scan.bad_pixels is None else np.broadcast_to(~scan.bad_pixels, expected.shape)
    return {
        "amplitude_misfit": amplitude_misfit(scan.amplitudes(), np.sqrt(expected), measured),
        "poisson_deviance_per_pixel": poisson_deviance_per_pixel(scan.counts(), expected, measured),
        "poisson_deviance_of_a_perfect_model": expected_poisson_deviance(expected, measured),
    }


def scanned_region(image: Reconstruction) -> Region:
    """The rectangle that the scan positions span, on the canvas of the reconstruction."""
    low = np.ceil(image.positions_px.min(axis=0)).astype(int) - image.origin_px
    high = np.floor(image.positions_px.max(axis=0)).astype(int) + 1 - image.origin_px
    rows, columns = image.object_.shape
    return (
        int(np.clip(low[0], 0, rows)),
        int(np.clip(high[0], 0, rows)),
        int(np.clip(low[1], 0, columns)),
        int(np.clip(high[1], 0, columns)),
    )


def _compare(image: Reconstruction, truth: NDArray[np.complex64], region: Region | None) -> Comparison:
    y, x = (int(value) for value in image.origin_px)
    on_canvas = scanned_region(image)
    if region is not None:
        on_canvas = (region[0] - y, region[1] - y, region[2] - x, region[3] - x)
    report = compare(image.object_, truth, mask=image.covered, region=on_canvas, pixel_size_m=image.pixel_size_m)
    y0, y1, x0, x1 = report["region"]
    scored = np.zeros_like(image.covered)
    scored[y0:y1, x0:x1] = image.covered[y0:y1, x0:x1]
    aligned = align(truth, image.object_, mask=scored).object_.astype(np.complex64)
    return Comparison(
        {**report, "region": [y0 + y, y1 + y, x0 + x, x1 + x], "region_frame": "object frame, px"}, aligned
    )


def _in_frame_of(image: Reconstruction, object_: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """A reference whose element (0, 0) is object pixel (0, 0), on the canvas of a reconstruction."""
    reference = Reconstruction(
        object_=object_.astype(np.complex64),
        coverage=np.ones(object_.shape, dtype=np.float32),
        origin_px=np.zeros(2, dtype=np.int64),
        positions_px=image.positions_px,
        probe=image.probe,
    )
    rows, columns = image.object_.shape
    return reference.in_frame((int(image.origin_px[0]), int(image.origin_px[1])), (rows, columns))[0]


def _reference_object(
    reference: str | Path | Scan | Reconstruction | NDArray[np.complexfloating],
    image: Reconstruction,
    overrides: Sequence[str],
) -> NDArray[np.complex64]:
    if isinstance(reference, np.ndarray):
        return _in_frame_of(image, reference)
    if not isinstance(reference, Scan | Reconstruction):
        reference = _read_reference(Path(reference), overrides)
    if isinstance(reference, Reconstruction):
        rows, columns = image.object_.shape
        return reference.in_frame((int(image.origin_px[0]), int(image.origin_px[1])), (rows, columns))[0]
    if reference.object_guess is None:
        raise ScanError(
            f"{reference.source}: holds no objectGuess to compare with; give a scan that has one, or another "
            "reconstruction, to --reference"
        )
    return _in_frame_of(image, reference.object_guess)


def _read_reference(path: Path, overrides: Sequence[str]) -> Scan | Reconstruction:
    """A scan or a reconstruction, told apart by what the file holds; of HDF5 files the object."""
    if path.is_dir() or is_hdf5(path) or (zipfile.is_zipfile(path) and _holds(path, "object.npy")):
        return Reconstruction.load(path)
    return read_scan(path, Recipe().with_overrides(overrides).data)


def _holds(path: Path, member: str) -> bool:
    with zipfile.ZipFile(path) as archive:
        return member in archive.namelist()


def _name(source: object) -> str:
    return str(source) if isinstance(source, str | Path) else getattr(source, "source", "the object in memory")
