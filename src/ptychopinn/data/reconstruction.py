"""The result of a reconstruction: an object on its canvas, and where it is covered."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.frame import Frame
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.io.formats import format_for, format_of
from ptychopinn.data.scan import Scan
from ptychopinn.errors import OutputError, ScanError
from ptychopinn.notebook import Shown

logger = logging.getLogger("ptychopinn")

Background = float | NDArray[np.float32] | None
"""Photons of every pixel, or of each pixel (H, W); None for none."""

RESULT_NAME, LIVE_NAME = "reconstruction.npz", "live.npz"
"""What a reconstruction is called inside a run's output folder."""

METHOD, VERDICT = "method", "verdict"
"""Entries of the metadata: what made the image, and its verdict (`level`, `message`)."""

CARRIED = ("object_pixel_m", "frame_origin_m", "title")
"""Metadata of a scan that its reconstruction keeps, so that it can be written in formats that ask for them."""


def metadata_of(scan: Scan, backend: str = "pytorch") -> dict[str, Any]:
    """What the image of a scan says of where it comes from, beside the geometry; the backend computed it."""
    return {
        **{name: scan.metadata[name] for name in CARRIED if name in scan.metadata},
        "source": scan.source,
        "domain": scan.domain,
        "backend": backend,
    }


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruction(Shown):
    """An object on its canvas; the arrays are brought to the types below.

    Raises:
        ScanError: an array whose shape does not fit the others.
    """

    object_: NDArray[np.complex64]
    """(Y, X): transmission, 1 where not covered."""
    coverage: NDArray[np.float32]
    """(Y, X): total weight relative to its maximum, 0 where not covered."""
    origin_px: NDArray[np.int64]
    """(2,), (y, x): object-frame coordinate of element (0, 0)."""
    positions_px: NDArray[np.float64]
    """(N, 2), (y, x): the positions that were stitched."""
    probe: NDArray[np.complex64]
    """(M, H, W), sqrt(photons)."""
    pixel_size_m: float | None = None
    """Object pixel, where known."""
    geometry: Geometry = field(default_factory=Geometry)
    """Of the scan."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Origin, backend, history; plain JSON values."""
    prior_correction: NDArray[np.complex64] | None = None
    """(Y, X): what a trained prior added to the object; None where it added nothing."""
    background: Background = None
    """Photons per pixel that the solver fitted beside the beam, or of each pixel (H, W); None where it fitted none."""
    blur_px: float | None = None
    """Standard deviation of the point spread of the detector that the solver fitted; None where it fitted none."""
    amplitude_error: NDArray[np.float32] | None = None
    """(Y, X): standard deviation of the amplitude, NaN where not covered; None without error bars."""
    phase_error: NDArray[np.float32] | None = None
    """(Y, X): standard deviation of the phase, rad, NaN where not covered; None without error bars."""
    intensities: NDArray[np.float64] | None = None
    """(N,): photons of the beam in each pattern, in units of the probe's; None where the solver fitted none."""
    relaxation_modes: NDArray[np.complex64] | None = None
    """(K, M, H, W), sqrt(photons): modes by which the probe varies from pattern to pattern; None where it does not."""
    relaxation_weights: NDArray[np.float64] | None = None
    """(N, K): weights of these modes in each pattern, of mean 0 and mean square 1."""

    def __post_init__(self) -> None:
        for name, kind in _TYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        maps = {name: getattr(self, name) for name in _MAPS if getattr(self, name) is not None}
        for name, values in maps.items():
            object.__setattr__(self, name, np.asarray(values, dtype=_MAPS[name]))
        if self.intensities is not None:
            object.__setattr__(self, "intensities", np.asarray(self.intensities, dtype=np.float64))
        varying, weights = self._checked_relaxation()
        level: NDArray[Any] = self.probe[0]
        if self.background is not None and np.ndim(self.background) > 0:
            level = np.asarray(self.background, dtype=np.float32)
            object.__setattr__(self, "background", level)
        shape = self.object_.shape
        factors = np.ones(len(self.positions_px)) if self.intensities is None else self.intensities
        rules = (
            ("object", self.object_, self.object_.ndim == 2, "(Y, X)"),
            ("coverage", self.coverage, self.coverage.shape == shape, f"{shape}, that of the object"),
            ("origin_px", self.origin_px, self.origin_px.shape == (2,), "(2,)"),
            ("positions_px", self.positions_px, self.positions_px.shape[1:] == (2,), "(N, 2)"),
            ("probe", self.probe, self.probe.ndim == 3, "(M, H, W)"),
            ("intensities", factors, factors.shape == self.positions_px.shape[:1], "(N,), one for each position"),
            ("background", level, np.shape(level) == self.probe.shape[1:], "one number, or (H, W), as the probe"),
            ("relaxation_modes", varying, varying.shape[1:] == self.probe.shape, "(K, M, H, W), as the probe"),
            (
                "relaxation_weights",
                weights,
                weights.shape == (len(self.positions_px), len(varying)),
                "(N, K), one for each position and each of relaxation_modes",
            ),
            *((name, one, np.shape(one) == shape, f"{shape}, that of the object") for name, one in maps.items()),
        )
        for name, array, fits, rule in rules:
            if not fits:
                raise ScanError(f"reconstruction: {name} has shape {np.shape(array)}; must be {rule}")

    def summary(self) -> str:
        """Size and coverage of the object, method; patterns, probe, pixel size, error bars, verdict."""
        rows, columns = self.object_.shape
        modes, height, width = self.probe.shape
        facts = [
            f"{len(self.positions_px)} patterns",
            f"{modes} probe mode{'s' * (modes > 1)} of {height} x {width} px",
        ]
        if self.pixel_size_m is not None:
            facts.append(f"object pixel {self.pixel_size_m * 1e9:.4g} nm")
        if self.error_bars:
            facts.append("with error bars")
        verdict = self.metadata.get(VERDICT)
        if isinstance(verdict, Mapping):
            facts.append(f"verdict: {verdict.get('level')}")
        method = f", by {self.metadata[METHOD]}" if self.metadata.get(METHOD) else ""
        covered = f"{self.covered.mean():.0%} covered" if self.covered.size else "empty"
        return f"Reconstruction: object of {rows} x {columns} px, {covered}{method}\n  {', '.join(facts)}"

    def at_positions(self, index: NDArray[np.int64]) -> "Reconstruction":
        """The same object and probe, with some of the positions."""
        factors = None if self.intensities is None else self.intensities[index]
        weights = None if self.relaxation_weights is None else self.relaxation_weights[index]
        return replace(self, positions_px=self.positions_px[index], intensities=factors, relaxation_weights=weights)

    def with_beam(self, change: Callable[[NDArray[np.complex64]], NDArray[Any]]) -> "Reconstruction":
        """The same with a linear map, of waves (..., H, W), of the probe and of the modes by which it varies."""
        modes = None if self.relaxation_modes is None else change(self.relaxation_modes)
        return replace(self, probe=change(self.probe), relaxation_modes=modes)

    @property
    def background_photons(self) -> float | None:
        """Photons per pixel that the solver fitted beside the beam, the mean over the pixels."""
        return None if self.background is None else float(np.mean(self.background))

    @property
    def relaxation_powers(self) -> list[float]:
        """Photons of each mode by which the probe varies, in units of the mean photons of the probe."""
        if self.relaxation_modes is None:
            return []
        powers = np.square(np.abs(self.relaxation_modes), dtype=np.float64).sum((-3, -2, -1))
        return [float(power) for power in powers / max(self.beam_photons, 1e-300)]

    @property
    def beam_photons(self) -> float:
        """Photons of the probe, all modes together; of one that varies the mean over the patterns."""
        waves = [self.probe] if self.relaxation_modes is None else [self.probe, self.relaxation_modes]
        return float(sum(np.square(np.abs(wave), dtype=np.float64).sum() for wave in waves))

    def _checked_relaxation(self) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
        """Modes and weights by which the probe varies, of the right types; both empty where it does not."""
        if (self.relaxation_modes is None) != (self.relaxation_weights is None):
            raise ScanError("reconstruction: relaxation_modes and relaxation_weights must be given together")
        if self.relaxation_modes is None or self.relaxation_weights is None:
            return np.zeros((0, *self.probe.shape), np.complex64), np.zeros((len(self.positions_px), 0))
        object.__setattr__(self, "relaxation_modes", np.asarray(self.relaxation_modes, dtype=np.complex64))
        object.__setattr__(self, "relaxation_weights", np.asarray(self.relaxation_weights, dtype=np.float64))
        return self.relaxation_modes, self.relaxation_weights

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """(Y, X): modulus of the object."""
        return np.abs(self.object_)

    @property
    def phase(self) -> NDArray[np.float32]:
        """(Y, X): argument of the object in [-pi, pi], rad."""
        return np.angle(self.object_)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(Y, X): True where the object was measured."""
        return self.coverage > 0

    @property
    def error_bars(self) -> dict[str, NDArray[np.float32]]:
        """`amplitude_error` and `phase_error` by name, where there are any."""
        maps = {"amplitude_error": self.amplitude_error, "phase_error": self.phase_error}
        return {name: values for name, values in maps.items() if values is not None}

    def in_frame(
        self, origin_px: tuple[int, int], shape: tuple[int, int]
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Object and coverage on another canvas, so that they compare with a reference element by element.

        Args:
            origin_px: (y, x), object-frame coordinate of the other canvas's element (0, 0);
                (0, 0) for `objectGuess`.
            shape: (Y, X) of the other canvas.

        Returns:
            The object, 1 outside this canvas, and the coverage, 0 outside.
        """
        rows, columns = self.object_.shape
        own = Frame((int(self.origin_px[0]), int(self.origin_px[1])), (rows, columns))
        goal = Frame(origin_px, shape)
        return own.moved(self.object_, goal, fill=1), own.moved(self.coverage, goal, fill=0)

    def save(self, path: str | Path) -> Path:
        """Write beside the target and rename.

        Args:
            path: The file, by its extension NPZ (`.npz`), CXI (`.cxi`), a product of ptychodus (`.h5`, `.hdf5`) or
                a TIFF stack of the maps (`.tif`), which is not read again; or a folder that shall hold
                `reconstruction.npz`.

        Returns:
            The file written.

        Raises:
            OutputError: another extension, the file cannot be written, or the metadata are not plain values.
        """
        target = _result_file(path)
        chosen = format_for(target, "reconstruction")
        if self.relaxation_modes is not None and not chosen.keeps_varying_probe:
            logger.warning(
                "%s: the probe varies from pattern to pattern, and the file holds the mean probe alone; its modes with "
                "%s of the photons, and their weights, are in NPZ files only",
                target,
                f"{sum(self.relaxation_powers):.1%}",
            )
        return chosen.write_reconstruction(replace(self, metadata=_plain_json(self.metadata, target)), target)

    @classmethod
    def load(cls, path: str | Path) -> "Reconstruction":
        """Read what `save` wrote, or the object of another program's CXI, product or NeXus file; never unpickles.

        Files of other programs hold no coverage: it is the dose on each pixel, and the object keeps its
        values where that is 0.

        Args:
            path: The file, or the folder that holds `reconstruction.npz`.

        Raises:
            ScanError: no such file, another format, a missing array, Python objects, or shapes that do not fit.
        """
        file = _result_file(path)
        if not file.exists():
            raise ScanError(f"{file}: no such reconstruction; give a {RESULT_NAME} or the folder that holds one")
        try:
            found = format_of(file, "reconstruction").read_reconstruction(file)
        except ScanError as error:
            told = str(error)
            raise ScanError(told if told.startswith(str(file)) else f"{file}: {told}") from None
        if not isinstance(found, Reconstruction):
            raise ScanError(f"{file}: its format gives a {type(found).__name__} where a reconstruction is expected")
        return found


_TYPES: Mapping[str, type] = {
    "object_": np.complex64,
    "coverage": np.float32,
    "origin_px": np.int64,
    "positions_px": np.float64,
    "probe": np.complex64,
}


_MAPS: Mapping[str, type] = {
    "prior_correction": np.complex64,
    "amplitude_error": np.float32,
    "phase_error": np.float32,
}
"""Further arrays on the canvas, which an image may lack."""


def _result_file(path: str | Path) -> Path:
    path = Path(path)
    return path / RESULT_NAME if path.is_dir() else path


def _plain_json(metadata: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """The metadata as plain JSON values; NumPy numbers and paths are converted."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(metadata), default=_plain))
    except (TypeError, ValueError) as error:
        raise OutputError(f"{target}: the metadata cannot be written ({error}); give plain values only") from None
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")
