"""`evaluate`: how good is a reconstruction, honestly; or several, on one region."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.api.figure_content import content_of_image, title_of
from ptychopinn.api.references import (
    ImageSource,
    ReferenceSource,
    as_image,
    as_reference,
    name_of,
    on_canvas_of,
    short_names,
)
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.metrics import (
    FRCCurve,
    Misfit,
    Scored,
    align,
    score,
)
from ptychopinn.metrics.alignment import Alignment
from ptychopinn.metrics.verdict import Level
from ptychopinn.notebook import Shown
from ptychopinn.plotting import ReportContent, figure_comparison, figure_frc, figure_reconstruction, save_figure
from ptychopinn.training import History

logger = logging.getLogger("ptychopinn")
Region = tuple[int, int, int, int]
"""First and last row, first and last column (the last ones not included), in the object frame, px."""


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """A comparison with a reference object."""

    report: dict[str, Any]
    """Every figure with its region, alignment, peaks and windows."""
    reference: NDArray[np.complex64]
    """(Y, X) the reference, moved onto the reconstruction."""
    frc: FRCCurve
    """Ring correlation on the region."""
    paths: dict[str, Path]
    """`metrics`, `figure` (also as `picture`) and `frc`; empty when nothing was written."""
    reconstruction: Reconstruction
    """What was scored."""
    reference_note: str = ""
    """How the reference was moved onto the reconstruction."""

    def summary(self) -> str:
        """Scored region; PSNR of phase and amplitude, ring correlation."""
        y0, y1, x0, x1 = self.report["region"]
        parts = (("phase PSNR", "psnr_phase"), ("amplitude PSNR", "psnr_amplitude"))
        scores = [f"{name} {self.report[key]:.2f} dB" for name, key in parts if self.report[key] is not None]
        scores.append(f"FRC 0.5 at {self.report['frc_0.5_nyquist']:.3g} of Nyquist")
        where = f"rows {y0} to {y1 - 1}, columns {x0} to {x1 - 1} of the object frame"
        return f"Evaluation on {where}\n  {', '.join(scores)}"

    def plot(self) -> Any:
        """The reconstruction, the reference and their difference, a `matplotlib.figure.Figure`."""
        compared = Comparison(self.report, self.reference, self.reference_note)
        content = content_of_image(self.reconstruction)
        return compared.figure(self.reconstruction, content, title=title_of(self.reconstruction, "Evaluation"))


@dataclass(frozen=True)
class Evaluations:
    """Several reconstructions against one reference, all on one region."""

    reports: dict[str, dict[str, Any]]
    """By name."""
    images: dict[str, NDArray[np.complex128]]
    """By name: the scored region (Y, X) of each reconstruction, moved onto the reference; its modulus is as it was."""
    reference: NDArray[np.complex64]
    """The same region (Y, X) of the reference."""
    frc: dict[str, FRCCurve]
    """By name: ring correlation on the region."""
    levels: dict[str, Level | None]
    """By name: the verdict that each reconstruction holds."""
    paths: dict[str, Path]
    """`metrics`, `figure` (also as `picture`) and `frc`; empty when nothing was written."""


def evaluate(
    reconstruction: ImageSource,
    reference: ReferenceSource,
    output: str | Path | None = None,
    *,
    region: Region | None = None,
    overrides: Sequence[str] = (),
    pixel_size_m: float | None = None,
) -> Evaluation:
    """Compare a reconstruction with a reference object.

    Translation, global phase, linear phase ramp and scale are removed first: phase retrieval cannot know them. The
    scale is reported as `object_scale`, and the figure shows both moduli as they are.

    Args:
        reconstruction: a `reconstruction.npz`, or what `reconstruct` returned.
        reference: a scan with `objectGuess`, another reconstruction, a ptychodus product or a CXI file with an
            object, as files or as objects, or a complex array whose element (0, 0) is object pixel (0, 0).
        output: folder for `metrics.json`, `evaluation.png` and `frc.png`; nothing is written without it.
        region: rows and columns (first, last, first, last) that are scored; by default the rectangle that the
            scan positions span.
        overrides: `data.key=value` texts that say how a reference scan is read.
        pixel_size_m: object pixel; by default what the reconstruction or else the reference says.

    Raises:
        PtychoPINNError: one of the files cannot be used, or the region lies outside.
    """
    image, truth = as_image(reconstruction), as_reference(reference, overrides)
    names = name_of(reconstruction), name_of(reference)
    scored = _scored_as(names, image, truth, region, pixel_size_m)
    compared = _comparison(image, truth, scored)
    paths: dict[str, Path] = {}
    if output is not None:
        folder = check_output_folder(output)
        paths["metrics"] = _write_json(folder, {"reference": compared.report})
        figure = compared.figure(image, content_of_image(image), title=title_of(image, "Evaluation"))
        paths["figure"] = paths["picture"] = save_figure(figure, folder / "evaluation.png")
        pixel = compared.report["pixel_size_m"]
        paths["frc"] = save_figure(figure_frc({"reconstruction": scored.frc}, pixel_size_m=pixel), folder / "frc.png")
    return Evaluation(compared.report, compared.aligned, scored.frc, paths, image, compared.note)


def evaluate_several(
    reconstructions: Mapping[str, ImageSource] | Sequence[ImageSource],
    reference: ReferenceSource,
    output: str | Path | None = None,
    *,
    region: Region | None = None,
    overrides: Sequence[str] = (),
    pixel_size_m: float | None = None,
) -> Evaluations:
    """Compare several reconstructions with one reference object, each aligned by itself, all on one region.

    Args:
        reconstructions: by name, or in a list, where folders or files name them.
        reference: as for `evaluate`.
        output: folder for `metrics.json`, `evaluation.png` and `frc.png`; nothing is written without it.
        region: rows and columns that are scored; by default the rectangle that all scans span.
        overrides: `data.key=value` texts that say how a reference scan is read.
        pixel_size_m: object pixel; by default what each reconstruction or else the reference says.

    Raises:
        PtychoPINNError: one of the files cannot be used, no reconstruction, a name twice, or a region that one of them
            does not have.
    """
    sources = _named(reconstructions)
    images, truth = {name: as_image(source) for name, source in sources.items()}, as_reference(reference, overrides)
    common = region or _common_region(images)
    all_scored = {
        name: _scored_as((name, name_of(reference)), image, truth, common, pixel_size_m)
        for name, image in images.items()
    }
    first, first_scored = next(iter(images.values())), next(iter(all_scored.values()))
    result = Evaluations(
        {name: _in_object_frame(images[name], scored.report) for name, scored in all_scored.items()},
        {name: _with_own_scale(scored) for name, scored in all_scored.items()},
        on_canvas_of(first, truth)[first_scored.scored_part],
        {name: scored.frc for name, scored in all_scored.items()},
        {name: content_of_image(image).level for name, image in images.items()},
        {},
    )
    if output is not None:
        result.paths.update(_write_several(check_output_folder(output), result))
    return result


@dataclass(frozen=True)
class Comparison:
    """A report, and the reference as the figure shows it."""

    report: dict[str, Any]
    aligned: NDArray[np.complex64]
    """(Y, X) the reference, moved onto the reconstruction; its modulus is as it was."""

    note: str
    """How the reference was moved."""

    def figure(
        self, image: Reconstruction, content: ReportContent, history: History | None = None, title: str | None = None
    ) -> Any:
        """The figure of a reconstruction with reference and error, and the scored region on it."""
        names = {
            "phase PSNR (dB)": "psnr_phase",
            "amplitude PSNR (dB)": "psnr_amplitude",
            "object scale": "object_scale",
        }
        errors = {name: self.report[key] for name, key in names.items() if self.report[key] is not None}
        content = replace(content, region=self.report["region"], region_label="scored region", reference_note=self.note)
        return figure_reconstruction(image, history, self.aligned, errors, title, content)


def compare_with_reference(image: Reconstruction, scan: Scan) -> Comparison | None:
    """The comparison with a scan's object guess; none where it is absent or flat, or the image too small."""
    if scan.object_guess is None or float(np.std(scan.object_guess)) < 1e-6:
        return None
    truth = as_reference(scan)
    try:
        return _comparison(image, truth, _scored(image, truth, None, None))
    except ValueError as error:
        logger.warning("not compared with the object guess: %s", error)
        return None


def misfit_of(expected: Iterable[tuple[slice, Tensor]], tensors: ScanTensors) -> Misfit:
    """How well expected photons explain the measured patterns, over measured pixels; see `Misfit`.

    Args:
        expected: photons (B, H, W), a batch of patterns at a time, with the patterns they belong to.
        tensors: the measured patterns.
    """
    misfit = Misfit()
    for part, photons in expected:
        misfit.add(tensors.counts_of(part), photons, tensors.measured_of(part))
    return misfit


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


def _scored(image: Reconstruction, truth: Reconstruction, region: Region | None, pixel_size_m: float | None) -> Scored:
    """Scores on the canvas of the image, of a region in the object frame."""
    y, x = (int(value) for value in image.origin_px)
    on_canvas = scanned_region(image)
    if region is not None:
        on_canvas = (region[0] - y, region[1] - y, region[2] - x, region[3] - x)
    sizes = [size for size in (pixel_size_m, image.pixel_size_m, truth.pixel_size_m) if size is not None]
    reference = on_canvas_of(image, truth)
    pixel = sizes[0] if sizes else None
    return score(image.object_, reference, mask=image.covered, region=on_canvas, pixel_size_m=pixel)


def _scored_as(
    names: tuple[str, str],
    image: Reconstruction,
    truth: Reconstruction,
    region: Region | None,
    pixel_size_m: float | None,
) -> Scored:
    """The same, with the names of both in messages."""
    try:
        return _scored(image, truth, region, pixel_size_m)
    except ValueError as error:
        raise ScanError(f"{names[0]}: cannot be compared with {names[1]}: {error}") from None


def _comparison(image: Reconstruction, truth: Reconstruction, scored: Scored) -> Comparison:
    counts = np.zeros_like(image.covered)
    counts[scored.scored_part] = image.covered[scored.scored_part]
    reference = on_canvas_of(image, truth)
    moved = align(reference, image.object_, mask=counts, scale=False, opposite=scored.alignment)
    return Comparison(_in_object_frame(image, scored.report), moved.object_.astype(np.complex64), _note(moved))


def _note(moved: Alignment) -> str:
    """How the reference was moved onto an image; its modulus is never changed."""
    y, x = (round(value, 2) + 0.0 for value in moved.shift_px)
    ramp = ", ".join(f"{value:.2g}" for value in moved.ramp_rad_per_px)
    return (
        f"reference: modulus as it is; moved by ({y:.2f}, {x:.2f}) px; global phase and a phase ramp of ({ramp}) "
        "rad/px removed"
    )


def _with_own_scale(scored: Scored) -> NDArray[np.complex128]:
    """The scored region without the fit of the modulus."""
    return scored.alignment.object_[scored.scored_part] / max(abs(scored.alignment.scale), np.finfo(float).tiny)


def _in_object_frame(image: Reconstruction, report: dict[str, Any]) -> dict[str, Any]:
    y, x = (int(value) for value in image.origin_px)
    y0, y1, x0, x1 = report["region"]
    return {**report, "region": [y0 + y, y1 + y, x0 + x, x1 + x], "region_frame": "object frame, px"}


def _named(sources: Mapping[str, ImageSource] | Sequence[ImageSource]) -> dict[str, ImageSource]:
    named = dict(sources) if isinstance(sources, Mapping) else dict(zip(short_names(sources), sources, strict=True))
    if not named:
        raise ConfigError("no reconstruction was given; name one at least")
    return named


def _common_region(images: Mapping[str, Reconstruction]) -> Region:
    """The rectangle of the object frame that the positions of every scan span."""
    spans = []
    for image in images.values():
        y, x = (int(value) for value in image.origin_px)
        y0, y1, x0, x1 = scanned_region(image)
        spans.append((y0 + y, y1 + y, x0 + x, x1 + x))
    y0s, y1s, x0s, x1s = zip(*spans, strict=True)
    common = max(y0s), min(y1s), max(x0s), min(x1s)
    if common[0] >= common[1] or common[2] >= common[3]:
        raise ScanError(f"{', '.join(images)}: the scans span no common rectangle; evaluate them one by one")
    return common


def _write_several(folder: Path, result: Evaluations) -> dict[str, Path]:
    sizes = [report["pixel_size_m"] for report in result.reports.values() if report["pixel_size_m"] is not None]
    pixel = sizes[0] if sizes else None
    figure = figure_comparison(
        result.images, result.reference, reports=result.reports, pixel_size_m=pixel, levels=result.levels
    )
    saved = save_figure(figure, folder / "evaluation.png")
    return {
        "metrics": _write_json(folder, {"reconstructions": result.reports}),
        "figure": saved,
        "picture": saved,
        "frc": save_figure(figure_frc(result.frc, pixel_size_m=pixel), folder / "frc.png"),
    }


def _write_json(folder: Path, tree: Mapping[str, Any]) -> Path:
    return write_text_atomically(folder / "metrics.json", json.dumps(tree, indent=2))
