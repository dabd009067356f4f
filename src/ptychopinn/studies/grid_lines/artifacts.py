"""Images of the grid-lines study: cut to the truth, kept in files, scored and drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io import check_output_folder
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import open_npz
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError
from ptychopinn.metrics.report import Scored, score
from ptychopinn.plotting import figure_comparison, figure_frc, save_figure
from ptychopinn.studies.grid_lines.data import GridLinesSplit
from ptychopinn.studies.trial import has_contrast

TRUTH = "gt"
"""Label of the known object among the images."""
RECON_NAME = "recon.npz"
MARGIN_PX = 8
"""Of the image around the truth, kept so that nothing is missing at the edges once a shift is taken out."""


def cut_to_truth(image: Reconstruction, test: GridLinesSplit) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """The part of a reconstruction that the truth covers, in its units, and where it was measured.

    Both are (Y + 16, X + 16), since `MARGIN_PX` around the truth come along.

    Args:
        image: of the first test object, in the frame of its scan.
        test: the test part; its norm multiplies the image.
    """
    rows, columns = test.scene.layout.truth_region
    shape = rows.stop - rows.start + 2 * MARGIN_PX, columns.stop - columns.start + 2 * MARGIN_PX
    object_, coverage = image.in_frame((rows.start - MARGIN_PX, columns.start - MARGIN_PX), shape)
    return (np.float32(test.norm) * object_).astype(np.complex64), coverage > 0


def score_on_truth(
    recon: NDArray[Any], truth: NDArray[Any], covered: NDArray[np.bool_] | None = None, name: str = "reconstruction"
) -> Scored:
    """Compare an image with the truth, every pixel of it; shift, phase ramp and complex scale are removed before.

    Args:
        recon: complex (Y, X), or with a margin, the same on all sides, that only fills in what a shift moves out.
        truth: complex (Y, X).
        covered: boolean, of the shape of the image, what was measured; everything by default.
        name: what messages call the image.

    Raises:
        ScanError: the two cannot be compared.
    """
    margin = max(0, recon.shape[0] - truth.shape[0]) // 2
    region = (margin, margin + truth.shape[0], margin, margin + truth.shape[1])
    try:
        return score(recon, np.pad(truth, margin, mode="edge"), mask=covered, region=region)
    except ValueError as error:
        raise ScanError(f"{name}: cannot be compared with the ground truth: {error}") from None


def save_recon_artifact(
    output_dir: str | Path,
    label: str,
    recon: NDArray[Any],
    covered: NDArray[np.bool_] | None = None,
    *,
    margin_px: int = 0,
) -> Path:
    """Write `recons/<label>/recon.npz` in a folder; returns its path.

    The file holds `YY_pred` complex64, `amp` and `phase` (rad) float32, all (Y, X) as the truth, and with the margin
    `with_margin` complex64 and `covered` boolean.

    Args:
        output_dir: folder of the study.
        label: of the image, as in `pinn_cnn`; `gt` is the truth.
        recon: complex (Y, X), or with further axes of length 1.
        covered: boolean, of the shape of the image, what was measured; everything by default.
        margin_px: rows and columns of the image on each side that the truth does not have.

    Raises:
        ScanError: not one complex image.
        OutputError: the file cannot be written.
    """
    image = np.squeeze(np.asarray(recon))
    if image.ndim != 2 or not np.iscomplexobj(image):
        raise ScanError(f"{label}: {image.dtype} {np.shape(recon)} is no image; must be one complex array (Y, X)")
    image = image.astype(np.complex64)
    known = np.ones(image.shape, dtype=bool) if covered is None else covered
    inner = image[margin_px : image.shape[0] - margin_px, margin_px : image.shape[1] - margin_px]
    arrays = {"YY_pred": inner, "amp": np.abs(inner), "phase": np.angle(inner), "with_margin": image, "covered": known}
    path = check_output_folder(Path(output_dir) / "recons" / label) / RECON_NAME
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return path


def has_artifact(output_dir: str | Path, label: str) -> bool:
    """Whether `save_recon_artifact` wrote that image."""
    return (Path(output_dir) / "recons" / label / RECON_NAME).is_file()


def load_recon_artifact(output_dir: str | Path, label: str) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """An image that `save_recon_artifact` wrote, with its margin, and where it was measured.

    Raises:
        ScanError: no such file, or damaged.
    """
    path = Path(output_dir) / "recons" / label / RECON_NAME
    with open_npz(path) as archive:
        missing = {"with_margin", "covered"} - set(archive.files)
        if missing:
            raise ScanError(f"{path}: lacks {', '.join(sorted(missing))}; write it with save_recon_artifact")
        return archive["with_margin"], archive["covered"]


def render_grid_lines_visuals(output_dir: str | Path, order: Sequence[str] | None = None) -> dict[str, Path]:
    """Draw images of a study beside the truth, and their ring correlations.

    Every image is aligned first; one whose contrast is not that of the truth is titled as no result.

    Args:
        output_dir: folder that holds `recons/<label>/recon.npz`, the truth as `gt`.
        order: labels of what is drawn; by default all that are there, by name.

    Returns:
        `compare`, the path of `visuals/compare_amp_phase.png`, and `frc`, that of `visuals/frc.png`.

    Raises:
        ScanError: the truth or an image is missing, or they do not fit.
        OutputError: a figure cannot be written.
    """
    found = sorted(path.parent.name for path in Path(output_dir).glob(f"recons/*/{RECON_NAME}"))
    labels = [label for label in (found if order is None else order) if label != TRUTH]
    if not labels:
        raise ScanError(f"{output_dir}: holds no image to draw; write one with save_recon_artifact")
    truth, _ = load_recon_artifact(output_dir, TRUTH)
    scored = {}
    for label in labels:
        one = score_on_truth(*_pair(output_dir, label, truth), name=label)
        scored[label if has_contrast(one.report) else f"{label} (no result)"] = one
    folder = check_output_folder(Path(output_dir) / "visuals")
    images = {name: one.alignment.object_[one.scored_part] for name, one in scored.items()}
    figure = figure_comparison(images, truth, reports={name: one.report for name, one in scored.items()})
    curves = figure_frc({name: one.frc for name, one in scored.items()})
    return {
        "compare": save_figure(figure, folder / "compare_amp_phase.png"),
        "frc": save_figure(curves, folder / "frc.png"),
    }


def _pair(
    output_dir: str | Path, label: str, truth: NDArray[np.complex64]
) -> tuple[NDArray[np.complex64], NDArray[np.complex64], NDArray[np.bool_]]:
    recon, covered = load_recon_artifact(output_dir, label)
    return recon, truth, covered
