"""How a scan is read and how its patterns are grouped."""

from typing import Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ptychopinn.config.base import Section

DroppedKind = Literal["dark", "saturated", "duplicated", "outlying", "unpaired"]
"""Kinds of frames that `data.drop_frames` can leave out."""

MaskedKind = Literal["dead", "hot", "saturated"]
"""Kinds of pixels that `data.mask_pixels` can mark as bad."""


class DataConfig(Section):
    """How a scan is read, sub-sampled and grouped."""

    domain: Literal["auto", "amplitude", "counts"] = "auto"
    """What the patterns hold: photon counts or their square root (`amplitude`). `auto` uses the metadata of the file,
    else the values."""
    axis_order: Literal["auto", "nhw", "hwn"] = "auto"
    """Order of the axes of the patterns, N being the scan axis. `auto` compares the shape with the number of
    positions."""
    position_origin: Literal["auto", "element", "centre"] = "auto"
    """Which point of a patch a position refers to: `element` is (H//2, W//2), `centre` the geometric centre, (H-1)/2.
    Change it if the image is blurred by half a pixel."""
    fftshift: bool = False
    """Move the zero frequency of every pattern from the corner to the centre. Set it if `ptychopinn info` reports
    patterns with the zero frequency at the corner."""
    entry: str | None = None
    """Name of the entry of a CXI or NeXus file to read. Null uses the one that the file names as its default, else the
    first complete one."""
    detector: str | None = None
    """Name of the detector of a CXI or NeXus file whose patterns and mask are read. Null uses the first complete
    one."""
    position_names: str | None = None
    """Names of two datasets of a CXI or NeXus file with the movement of the sample along x and y, with a comma, such as
    `sample/x,sample/y`. Null uses `translation`, else two datasets whose names differ by x and y."""
    energy_eV: float | None = Field(default=None, ge=0.5, le=1e6)
    """Photon energy, eV, in place of that of the file. Set it if the file states a wrong one, or none."""
    distance_m: float | None = Field(default=None, ge=1e-6, le=50)
    """Distance from the sample to the detector, m, in place of that of the file."""
    detector_pixel_m: float | tuple[float, float] | None = None
    """Side of a detector pixel, m, or (y, x), in place of that of the file."""
    mask_bits: int | None = Field(default=None, ge=1, le=0xFFFFFFFF)
    """Sum of the bits of a CXI or NeXus mask that mark a bad pixel, such as 1 for bit 0 only. Null uses every bit but
    0x1000 (has signal) in CXI, every bit in NeXus."""
    dark: Literal["subtract", "ignore"] = "subtract"
    """What is done with the dark image (`data_dark`, `dark`) of a CXI, NeXus or NPZ file: `subtract` its mean from all
    patterns of counts, or `ignore` it. Set `ignore` if the patterns are corrected already."""
    crop: int | None = Field(default=None, ge=2)
    """Cut every pattern to this many pixels along both axes, around the zero frequency. Null keeps all."""
    pad: int | None = Field(default=None, ge=2)
    """Extend every pattern to this many pixels along both axes by pixels that count as not measured. Use `crop` or
    `pad` for patterns that are not square."""
    resample: bool = False
    """Sum detector pixels that are not square to square ones, of the longer side."""
    source_distance_m: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Distance from the focus of the beam to the sample behind it, m, for near-field patterns of a cone beam. Null
    uses that of the file, or estimates it from the movement of the patterns with the sample."""

    drop_frames: tuple[DroppedKind, ...] = ("outlying",)
    """Kinds of frames to leave out, each listed in the log: `dark` (fewer than a twentieth of the median photons),
    `saturated` (a pixel at the largest value of the scan), `duplicated` (a pattern recorded twice), `outlying` (a
    position more than 20 median steps from the others), `unpaired` (no position, or no pattern). Also `all` or
    `none`."""
    invert_mask: bool = False
    """The mask of the file is true where pixels were measured. Set it if nearly all pixels are reported as bad."""
    mask_pixels: tuple[MaskedKind, ...] = ("dead", "hot")
    """Kinds of pixels to mark as bad, each listed in the log: `dead` (zero in every pattern although the pixels around
    hold photons, more than 1000 for a single pixel and fewer for a square of zeros, as in a module gap), `hot` (in
    nearly every pattern far more than the pixels around it, more than diffraction allows), `saturated` (at the largest
    value of the scan in most patterns). Also `all` or `none`."""
    flip_patterns: Literal["none", "rows", "columns", "both"] = "none"
    """Reverse the order of rows or columns of every pattern and mask, for a detector that is read from another
    corner."""
    transpose_patterns: bool = False
    """Exchange rows and columns of every pattern and mask, before they are flipped."""
    flip_positions: Literal["none", "x", "y", "both"] = "none"
    """Reverse the sign of a position axis, for a stage that moves against the axis of the detector."""
    swap_positions: bool = False
    """Exchange x and y of the positions, before they are flipped."""
    reverse_positions: bool = False
    """Pair the first position with the last pattern."""
    shift_positions: int = 0
    """Pair pattern n with position n + this number, for a trigger that was missed. Patterns that then have no position
    are left out."""
    conjugate_probe: bool = False
    """Replace probe and object guess by their complex conjugates, for a file with the opposite sign of the phase."""
    probe_model: Literal["zone_plate", "rectangular", "gaussian"] | None = None
    """Optics whose calculated beam is the start of the probe, in place of that of the file. Null uses the probe of the
    file, or estimates one from the patterns. `rectangular` is for KB mirrors or slits behind a lens."""
    optics_aperture_m: float | tuple[float, float] | None = None
    """Diameter of the zone plate, or the sides of the rectangular aperture, (y, x) or one number, m."""
    optics_outer_zone_m: float | None = Field(default=None, gt=0, lt=1e-3)
    """Width of the outermost zone of the zone plate, m."""
    optics_stop_m: float = Field(default=0.0, ge=0, lt=1)
    """Diameter of the central stop of the zone plate, m; 0 for none."""
    optics_focal_m: float | tuple[float, float] | None = None
    """Focal lengths behind the rectangular aperture, (y, x) or one number, m."""
    optics_size_m: float | None = Field(default=None, gt=0, lt=1e-2)
    """Full width at half maximum of the intensity of a Gaussian beam at its focus, m."""
    optics_defocus_m: float = Field(default=0.0, gt=-10, lt=10)
    """Distance of the sample behind the focus of `probe_model`, m; negative before it."""
    position_unit: Literal["auto", "px", "m", "mm", "um", "nm"] = "auto"
    """Unit of the positions of files that state none. `auto` is object pixels in NPZ, metres in HDF5. Lengths in NPZ
    need `pixel_size_m`, or energy, distance and detector pixel in the metadata of the file."""
    position_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Factor on all positions, as 1e-3 if a file gives millimetres and calls them metres."""
    detector_region: tuple[int, int, int, int] | None = None
    """First row, end row, first column, end column of the square region of every pattern to use, px. The object pixel
    becomes larger by the ratio of the sizes; probe and positions follow."""
    detector_binning: int = Field(default=1, ge=1, le=64)
    """Sum blocks of this many by this many detector pixels. The probe window becomes smaller by this factor, which must
    divide the size of the patterns."""

    n_patterns: int | None = Field(default=None, ge=1)
    """Number of patterns to use. Null uses all."""
    subsampling: Literal["random", "sequential"] = "random"
    """How these patterns are selected: at random, or the first ones in scan order."""

    group_size: int = Field(default=16, ge=1, le=256)
    """Number of overlapping patterns in a group (G). A group is reconstructed as one object, so its patterns constrain
    each other. Use 4 or 1 for scans of a few positions."""
    neighbors: int | None = Field(default=None, ge=1)
    """Number of candidate neighbours (K) from which the members of a group are drawn. Null uses group_size - 1."""
    neighbor_rule: Literal["nearest", "min_distance", "four_quadrants"] = "nearest"
    """How candidates are selected: the `nearest` positions, the nearest ones at least `min_distance_px` away, or the
    nearest ones of each of the four quadrants in turn."""
    min_distance_px: float = Field(default=0.0, ge=0)
    """Smallest distance to a neighbour, px. Used by `min_distance` only."""
    max_distance_px: float | None = Field(default=None, gt=0)
    """Largest distance to a neighbour, px. Null sets no limit."""
    sampler: Literal["seeded", "sequential"] = "seeded"
    """How groups are drawn: `seeded` at random from `training.seed`; `sequential` without random numbers, in scan
    order."""
    n_groups: int | None = Field(default=None, ge=1)
    """Number of groups in total. Null makes `groups_per_pattern` groups around every pattern."""
    groups_per_pattern: int = Field(default=1, ge=1, le=10_000)
    """Number of different groups around every pattern. Values above 1 need more candidates than group_size - 1: raise
    `neighbors`."""
    cache: bool = False
    """Store the table of groups in a file beside the scan and read it in the next run."""
    bounds_y: tuple[float, float] = (0.0, 1.0)
    """Train only on patterns between these fractions of the range of y. All patterns are reconstructed."""
    bounds_x: tuple[float, float] = (0.0, 1.0)
    """Train only on patterns between these fractions of the range of x. All patterns are reconstructed."""
    validation_fraction: float = Field(default=0.05, ge=0, lt=0.9)
    """Fraction of the patterns withheld for validation: one compact region, so that few of them overlap training
    patterns."""

    @field_validator("drop_frames", "mask_pixels", mode="before")
    @classmethod
    def _kinds(cls, value: Any, about: ValidationInfo) -> Any:
        """`all`, `none`, or names with commas."""
        if not isinstance(value, str):
            return value
        words = [word.strip() for word in value.split(",") if word.strip()]
        everything = get_args(DroppedKind if about.field_name == "drop_frames" else MaskedKind)
        return {"all": everything, "none": ()}.get(value.strip(), tuple(words))

    @field_validator("detector_region", "optics_aperture_m", "optics_focal_m", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        """Also numbers with commas."""
        return value.split(",") if isinstance(value, str) and "," in value else value

    @field_validator("position_names")
    @classmethod
    def _two_names(cls, value: str | None) -> str | None:
        if value is not None and len([name for name in value.split(",") if name.strip()]) != 2:
            raise ValueError(f"position_names must be two names with a comma, x first, got {value!r}")
        return value

    @field_validator("entry", "detector", mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        """Names such as 2.1, which YAML reads as numbers."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("detector_pixel_m")
    @classmethod
    def _sides(cls, value: Any) -> Any:
        sides = value if isinstance(value, tuple) else (value,)
        if value is not None and not all(1e-7 <= side <= 5e-3 for side in sides):
            raise ValueError(f"detector_pixel_m must be between 1e-7 and 5e-3 m, got {value}; give it in metres")
        return value

    @field_validator("optics_aperture_m", "optics_focal_m")
    @classmethod
    def _positive(cls, value: Any, about: ValidationInfo) -> Any:
        sides = value if isinstance(value, tuple) else (value,)
        if value is not None and not all(0 < side < 1e3 for side in sides):
            raise ValueError(f"{about.field_name} must be positive lengths, got {value}; give them in metres")
        return value

    @model_validator(mode="after")
    def _check(self) -> "DataConfig":
        for name in ("bounds_y", "bounds_x"):
            low, high = getattr(self, name)
            if not 0 <= low < high <= 1:
                raise ValueError(f"{name} is [{low:g}, {high:g}]; must be 0 <= low < high <= 1, parts of the scan")
        region = self.detector_region
        if region is not None and not (0 <= region[0] < region[1] and region[1] - region[0] == region[3] - region[2]):
            raise ValueError(
                f"detector_region must be (first row, end row, first column, end column) of a square, got {region}; "
                "make both extents equal"
            )
        if self.neighbors is not None and self.neighbors < self.group_size - 1:
            raise ValueError(
                f"neighbors is {self.neighbors} but a group of {self.group_size} needs {self.group_size - 1} of them; "
                "raise neighbors or lower group_size"
            )
        return self
