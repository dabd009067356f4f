"""The arrays of an image as the page shows them: cut to what is covered, binned where they are large."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.phase import estimate_phase_ramp, remove_global_phase
from ptychopinn.plotting.maps import (
    WELL_COVERED,
    Limits,
    amplitude_limits,
    covered_window,
    phase_colours,
    phase_limits,
    robust_limits,
)
from ptychopinn.plotting.probe import complex_to_rgb

LEAST_RAD = 0.2
"""Least range of colours of a phase without its ramp: a flat image must not look like structure."""


Window = tuple[float, float, float, float]
"""Left, top, width, height, object-frame px."""


@dataclass(frozen=True)
class Colours:
    """A colour map by name, and its limits."""

    name: str
    limits: Limits


@dataclass(frozen=True, eq=False)
class Maps:
    """Arrays (Y, X) of a part of the canvas, NaN where nothing was measured."""

    left: float
    top: float
    """Object-frame coordinates of the outer edges of the first column and row, px; centres are at whole numbers."""
    step: int
    """Pixels of the canvas for each element along a side: 1 shows the pixels of the file."""
    arrays: Mapping[str, NDArray[np.float32]]
    """`amplitude`, `phase` (rad, as in the file), `flat` (rad, unwrapped, without its ramp), `coverage`; further
    `amplitude_error`, `phase_error`, `prior_correction` where there are any."""
    colour: NDArray[np.uint32]
    """(Y, X): the complex object as RGBA, hue by phase and brightness by amplitude."""
    plane: tuple[float, float, float]
    """Phase of the ramp at the first element, rad, and its slopes down and right, rad per element."""
    colours: Mapping[str, Colours]
    """Of `amplitude`, of the phase (`phase`, `phase_unwrapped`, `flat`, `flat_unwrapped`), and of the other arrays."""

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X)."""
        rows, columns = self.colour.shape
        return rows, columns

    @property
    def window(self) -> Window:
        """Left, top, width and height."""
        return self.left, self.top, self.width, self.height

    @property
    def width(self) -> float:
        """px."""
        return float(self.shape[1] * self.step)

    @property
    def height(self) -> float:
        """px."""
        return float(self.shape[0] * self.step)

    def shown_phase(self, name: str) -> NDArray[np.float32]:
        """(Y, X), rad: `phase`, `phase_unwrapped`, `flat` or `flat_unwrapped`; the script computes it in the page."""
        if name == "phase":
            return self.arrays["phase"].copy()
        flat = self.arrays["flat"]
        if name == "phase_unwrapped":
            return _float32(flat + plane_of(self.shape, self.plane))
        return flat.copy() if name == "flat_unwrapped" else _float32(np.angle(np.exp(1j * flat)))


def maps_of(image: Reconstruction, most_pixels: int) -> Maps:
    """The arrays of an image, of at most so many elements: averages of squares where it is larger."""
    rows, columns = covered_window(image.coverage)
    step = 1
    while -(-(rows.stop - rows.start) // step) * -(-(columns.stop - columns.start) // step) > most_pixels:
        step += 1
    object_, coverage = (_binned(one[rows, columns], step) for one in (image.object_, image.coverage))
    arrays = {"amplitude": np.abs(object_), "phase": np.angle(object_), "coverage": coverage}
    plane, arrays["flat"] = _flat_phase(object_, coverage)
    further = {**image.error_bars}
    if image.prior_correction is not None:
        further["prior_correction"] = np.abs(image.prior_correction)
    arrays |= {name: _binned(values[rows, columns], step) for name, values in further.items()}
    covered = coverage > 0
    return Maps(
        left=float(image.origin_px[1]) + columns.start - 0.5,
        top=float(image.origin_px[0]) + rows.start - 0.5,
        step=step,
        arrays={name: _float32(np.where(covered, values, np.nan)) for name, values in arrays.items()},
        colour=packed_colours(object_, amplitude_limits(object_, coverage)[1], covered),
        plane=plane,
        colours=_colours(object_, coverage, arrays, plane),
    )


def plane_of(shape: tuple[int, int], plane: tuple[float, float, float]) -> NDArray[np.float64]:
    """(Y, X): a phase at the first element and its slopes down and right, rad."""
    constant, down, right = plane
    return constant + down * np.arange(shape[0])[:, None] + right * np.arange(shape[1])[None, :]


def _flat_phase(
    object_: NDArray[Any], coverage: NDArray[Any]
) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
    """The ramp of the phase, weighted by the well covered part, and the unwrapped phase without it."""
    well = coverage > WELL_COVERED * max(float(coverage.max(initial=0)), 1e-30)
    well &= np.isfinite(object_)
    if not well.any() or not np.abs(object_[well]).max() > 0:
        return (0.0, 0.0, 0.0), np.angle(object_).astype(float)
    down, right = estimate_phase_ramp(np.where(well, object_, 0).astype(np.complex128))
    turned = object_ * np.exp(-1j * plane_of(object_.shape, (0.0, down, right)))
    level = remove_global_phase(np.where(well, turned, 0), mask=well)
    constant = float(np.angle(np.sum(np.where(well, turned, 0) * level.conj())))
    wrapped = np.angle(turned * np.exp(-1j * constant))
    covered = (coverage > 0) & np.isfinite(wrapped)
    flat = _unwrapped(wrapped, covered)
    middle = float(np.median(flat[well]))
    flat -= 2 * np.pi * round(middle / (2 * np.pi))
    return (constant, down, right), flat


def _unwrapped(wrapped: NDArray[Any], covered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(Y, X), rad, 0 where not covered; a phase without jumps between neighbours is left as it is, in no time."""
    jumps = (
        np.abs(np.diff(wrapped, axis=axis)) * (covered.take(range(1, size), axis) & covered.take(range(size - 1), axis))
        for axis, size in enumerate(wrapped.shape)
    )
    if all(one.max(initial=0.0) <= np.pi for one in jumps):
        return np.where(covered, wrapped, 0.0)

    from skimage.restoration import unwrap_phase

    return np.asarray(unwrap_phase(np.ma.masked_array(wrapped, ~covered)).filled(0), float)


def _colours(
    object_: NDArray[Any],
    coverage: NDArray[Any],
    arrays: Mapping[str, NDArray[Any]],
    plane: tuple[float, float, float],
) -> dict[str, Colours]:
    found = {"amplitude": Colours("gray", amplitude_limits(object_, coverage))}
    flat = arrays["flat"]
    raw = robust_limits(arrays["phase"], coverage, LEAST_RAD)
    is_whole = raw[1] - raw[0] <= phase_limits(object_, coverage)[1] - phase_limits(object_, coverage)[0] + 1e-3
    found["phase"] = Colours(*phase_colours(raw)) if is_whole else Colours("twilight", (-np.pi, np.pi))
    turned = np.angle(np.exp(1j * flat))
    found["flat"] = Colours(*phase_colours(robust_limits(turned, coverage, LEAST_RAD)))
    found["flat_unwrapped"] = Colours("viridis", robust_limits(flat, coverage, LEAST_RAD))
    slanted = flat + plane_of((flat.shape[0], flat.shape[1]), plane)
    found["phase_unwrapped"] = Colours("viridis", robust_limits(slanted, coverage, LEAST_RAD))
    found["coverage"] = Colours("cividis", (0.0, 1.0))
    for name in ("amplitude_error", "phase_error", "prior_correction"):
        if name in arrays:
            found[name] = Colours("magma", (0.0, max(robust_limits(arrays[name], coverage)[1], 1e-3)))
    return found


def _binned(values: NDArray[Any], step: int) -> NDArray[Any]:
    """Means of squares; the last ones may be cut."""
    if step == 1:
        return values
    rows, columns = (-(-size // step) * step for size in values.shape)
    padded = np.pad(values, ((0, rows - values.shape[0]), (0, columns - values.shape[1])), mode="edge")
    return padded.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))


def packed_colours(values: NDArray[Any], largest: float, shown: NDArray[np.bool_] | None = None) -> NDArray[np.uint32]:
    """(Y, X): red, green, blue and opacity of complex values in the four bytes of a number, as Bokeh draws them.

    Args:
        values: (Y, X); hue is the phase, brightness the amplitude. What is not finite is black.
        largest: amplitude of full brightness.
        shown: (Y, X); other elements are transparent.
    """
    finite = np.isfinite(values) if shown is None else shown & np.isfinite(values)
    rgb = np.rint(255 * complex_to_rgb(np.where(finite, values, 0), largest)).astype(np.uint8)
    opacity = np.full(values.shape, 255) if shown is None else np.where(shown, 255, 0)
    return np.ascontiguousarray(np.dstack([rgb, opacity.astype(np.uint8)])).view(np.uint32)[:, :, 0]


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
