"""What the built-in simulator draws."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ptychopinn.config.base import Section

OBJECT_SIDES_PX = (32, 8192)
"""Smallest and largest side of a drawn object."""
_ONLY_FOR = {
    "object_file": ("object_kind", ("image", "file")),
    "phase_image_file": ("object_kind", ("image",)),
    "probe_file": ("probe_kind", ("file",)),
    "probe_zernike": ("probe_kind", ("zernike",)),
    "probe_defocus_px": ("probe_kind", ("zone_plate", "zernike")),
    "scan_file": ("scan_kind", ("file",)),
}
"""Settings that mean something for some kinds only."""


class SimulationConfig(Section):
    """Object, probe, scan, dose and detector of a simulated experiment."""

    object_kind: Literal[
        "composite",
        "siemens_star",
        "dead_leaves",
        "gaussian_field",
        "lines",
        "diagonals",
        "points",
        "text",
        "image",
        "file",
    ] = "composite"
    """Type of sample. `composite` shows a Siemens star, dead leaves and a power-law texture side by side."""
    object_size_px: int | tuple[int, int] = 192
    """Size of the object, px: one number or [rows, columns]; at least 2 px more than the probe. Not used for `file`."""
    object_file: Path | None = None
    """File of the object. For `image` an image file (PNG, TIFF, JPEG, NPY, NPZ); for `file` a complex object (NPZ,
    NPY)."""
    phase_image_file: Path | None = None
    """Second image file, used for the phase. Null uses the same image for amplitude and phase."""
    object_text: str = Field(default="PHASE FROM COUNTS", min_length=1, max_length=2000, coerce_numbers_to_str=True)
    """Text to draw for the kind `text`: letters, digits and common signs."""
    object_correlation: float | None = Field(default=None, ge=-1, le=1)
    """Correlation between amplitude and phase: 1 for a single material, 0 for independent images. Null keeps the usual
    correlation of the kind."""
    amplitude_min: float = Field(default=0.6, gt=0, le=1)
    """Lowest transmission amplitude; the highest is 1."""
    phase_range_rad: float = Field(default=1.6, ge=0, le=6.28)
    """Difference between the largest and the smallest phase, rad; the range is centred on 0."""

    probe_kind: Literal["zone_plate", "disk", "ideal_disk", "gaussian", "zernike", "diffuser", "file"] = "zone_plate"
    """Type of illumination at the sample. Use `diffuser` for near-field patterns."""
    probe_size_px: int = Field(default=64, ge=8, le=2048)
    """Rows and columns of the probe and of the patterns, px."""
    probe_file: Path | None = None
    """File of the probe for the kind `file`: a reconstruction or a scan (NPZ), or an array (NPY)."""
    probe_diameter_px: float | None = Field(default=None, gt=0)
    """Diameter of the beam at the sample, px: twice its RMS radius. Null uses a third of the window. Not used for
    `file`."""
    probe_central_stop: float = Field(default=0.4, ge=0, le=0.9)
    """Diameter of the central stop of the zone plate, relative to the zone plate."""
    probe_defocus_px: float | None = None
    """Defocus, px: distance from the optical axis at which a ray from the rim of the lens meets the sample. Negative
    values are on the other side of the focus. Null derives it from the diameter."""
    probe_zernike: tuple[float, ...] | None = None
    """Additional aberrations, rad RMS: coefficients of the Zernike terms 4, 5, 6, ... in Noll's order (defocus, two
    astigmatisms, two comas, two trefoils, spherical, and so on)."""
    probe_modes: int | None = Field(default=None, ge=1, le=16)
    """Number of incoherent probe modes. Null uses 1, or all modes of the file."""
    probe_mode_ratio: float = Field(default=0.4, gt=0, le=1)
    """Power of an added mode relative to the mode before it."""
    probe_relaxation: int = Field(default=0, ge=0, le=5)
    """Number of modes by which the probe varies at random from pattern to pattern, for a beam whose shape fluctuates.
    Each is the probe times a polynomial of the coordinates."""
    probe_relaxation_power: float = Field(default=0.05, gt=0, le=1)
    """Mean photons of each of these modes, in units of the probe's."""

    scan_kind: Literal["jittered_grid", "spiral", "raster", "random", "file"] = "jittered_grid"
    """Scan pattern."""
    scan_file: Path | None = None
    """File of the positions for the kind `file`: a scan or a reconstruction (NPZ), or an array (N, 2) of (y, x) in px
    (NPY)."""
    step_px: float = Field(default=7.5, ge=0.25)
    """Mean distance between neighbouring positions, px."""
    jitter_px: float = Field(default=1.5, ge=0)
    """Largest random displacement of a grid position along each axis, px. Used by `jittered_grid` only."""
    position_error_px: float = Field(default=0.0, ge=0)
    """RMS distance between recorded and true positions, px. Use it to test position refinement."""

    energy_eV: float = Field(default=1e4, gt=0)
    """Photon energy, eV. Used for near-field patterns only (`model.propagation=near_field`), as the next two."""
    distance_m: float = Field(default=1.6e-3, gt=0)
    """Distance from the sample to the detector in a parallel beam, m."""
    pixel_m: float = Field(default=1e-7, gt=0)
    """Pixel size of the object and of the detector, m."""

    photons_per_pattern: float = Field(default=1e5, gt=0, le=1e15)
    """Expected number of photons in a pattern where the object is 1."""
    poisson_noise: bool = True
    """Draw Poisson counts. If false, the expected counts are written."""
    beamstop_diameter_px: float = Field(default=0.0, ge=0)
    """Diameter of the beam stop on the detector, px. 0 for none."""
    bad_pixel_fraction: float = Field(default=0.0, ge=0, le=0.5)
    """Fraction of detector pixels that are dead or hot."""
    labels: bool = False
    """Also store the object patch of every pattern, for supervised training."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of object, positions, position errors and counts. The probe does not depend on it."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where patterns are computed: `auto`, `cpu`, `cuda`, `cuda:1`. The same seed draws different counts on a CPU and
    on a GPU."""

    @property
    def object_shape(self) -> tuple[int, int]:
        """Rows and columns of a drawn object."""
        size = self.object_size_px
        return (size, size) if isinstance(size, int) else size

    @field_validator("object_size_px", mode="before")
    @classmethod
    def _one_side_or_two(cls, value: Any) -> Any:
        sides = tuple(value) if isinstance(value, list | tuple) else (value, value)
        low, high = OBJECT_SIDES_PX
        numbers = [side for side in sides if isinstance(side, int | float) and low <= side <= high]
        if len(sides) != 2 or len(numbers) != 2 or any(side != int(side) for side in numbers):
            raise ValueError(f"must be a whole number from {low} to {high}, or two of them, [rows, columns]")
        return value

    @model_validator(mode="after")
    def _patch_fits(self) -> "SimulationConfig":
        if self.object_kind != "file" and min(self.object_shape) < self.probe_size_px + 2:
            raise ValueError(
                f"object_size_px is {self.object_size_px} and probe_size_px {self.probe_size_px}, but the "
                "object must be at least 2 px larger; raise object_size_px or lower probe_size_px"
            )
        if self.beamstop_diameter_px >= self.probe_size_px:
            raise ValueError(
                f"beamstop_diameter_px is {self.beamstop_diameter_px:g} and the detector {self.probe_size_px} px wide; "
                "lower beamstop_diameter_px"
            )
        return self

    @model_validator(mode="after")
    def _settings_fit_kinds(self) -> "SimulationConfig":
        for name, (kind, kinds) in _ONLY_FOR.items():
            if getattr(self, name) is not None and getattr(self, kind) not in kinds:
                raise ValueError(
                    f"{name} is given but {kind} is {getattr(self, kind)}, which has no use for it; "
                    f"set {kind}={' or '.join(kinds)}, or drop {name}"
                )
        for name in ("object_file", "probe_file", "scan_file"):
            kind, kinds = _ONLY_FOR[name]
            if getattr(self, kind) in kinds and getattr(self, name) is None:
                raise ValueError(f"{kind} is {getattr(self, kind)}, which needs {name}; name the file there")
        if self.object_correlation is not None and self.object_kind in ("image", "file"):
            raise ValueError(
                f"object_correlation is given but object_kind is {self.object_kind}, whose file decides amplitude and "
                "phase; choose a kind that is drawn, or drop object_correlation"
            )
        return self
