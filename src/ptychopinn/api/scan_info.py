"""What a scan holds, in numbers and as lines of text."""

from dataclasses import asdict, dataclass
from typing import Any

from ptychopinn.data.geometry import Geometry, PixelSize, is_square
from ptychopinn.data.scan import PROBE_ESTIMATED
from ptychopinn.physics.calibration import CALIBRATED_RATIO


@dataclass(frozen=True)
class ScanInfo:
    """What a scan holds, in numbers."""

    source: str
    patterns: int
    """N."""
    pattern_size_px: int
    """Rows (and columns) of a pattern."""
    dtype: str
    """Type of the recorded values."""
    domain: str
    """`amplitude` or `counts`."""
    domain_reason: str
    """Why."""
    mean_photons_per_pattern: float
    """Over measured pixels."""
    weakest_pattern_photons: float
    brightest_pixel_photons: float
    saturated_pixels: int
    """Pixel values that all equal the largest one, where that looks like a ceiling; else 0."""
    dead_pixels: int
    """Pixels that are zero in every pattern although the pixels around them hold photons."""
    dead_places: str
    """Their rows, columns or pixels, in words."""
    hot_pixels: int
    """Pixels that hold far more photons in nearly every pattern than the pixels around them, more than diffraction
    allows."""
    hot_places: str
    """Their rows, columns or pixels, in words."""
    edge_photon_fraction: float
    """Part of all photons in the outermost pixels of the detector."""
    background_photons: float
    """Photons per pixel and pattern in the corners of the detector, where they hardly vary; else 0."""
    beam_variation: float
    """Rms of the intensity of the beam from pattern to pattern, relative to its mean; 0 where it seems steady, or the
    probe is an estimate."""
    bad_pixel_fraction: float
    positions_low_px: tuple[float, float]
    """(y, x), smallest on each axis."""
    positions_high_px: tuple[float, float]
    """(y, x), largest on each axis."""
    duplicate_positions: int
    """Positions that another one repeats exactly."""
    repeated_scatter: float
    """Mean square of the difference of patterns at the same position, in units of counting noise and beyond a factor,
    where it exceeds 1 for sure; else 0."""
    repeated_pairs: int
    """Pairs of patterns at the same position that were compared."""
    outlying_positions: tuple[int, ...]
    """Numbers of the frames whose position lies more than 20 median steps from all others."""
    step_px: float
    """Median over the positions of the mean distance to the four nearest others; 0 for a single position."""
    probe_modes: int
    mode_powers: tuple[float, ...]
    """Part of the photons in each mode."""
    probe_diameter_px: float
    """Twice the root mean square radius of the probe's intensity about its centre of mass."""
    probe_edge_fraction: float
    """Part of the probe's photons in the outermost pixels of its window."""
    photon_ratio: float
    """Measured photons per pattern over those of the probe; the mean |object|^2 of a calibrated probe."""
    other_photon_ratio: float
    """The same if the patterns were of the other domain."""
    objects: int
    """Number of different `scan_index` values."""
    object_guess: str
    """Its shape, or why it is no reference."""
    object_guess_too_small: int
    """Patterns whose patch leaves the object guess."""
    labels: bool
    """Whether the scan has patches for supervised training."""
    pixel_size_m: float | None
    geometry: Geometry
    """Energy, distances, detector pixel, far or near field; what is known of them."""
    metadata: dict[str, Any]
    problems: tuple[str, ...] = ()
    """Plain sentences; empty when nothing looks wrong."""

    def __str__(self) -> str:
        return as_text(self)

    def entry(self) -> dict[str, Any]:
        """All numbers as plain values, with those that follow from them."""
        follow = {"overlap": self.overlap, "field_of_view_px": self.field_of_view_px}
        return {"content": "scan", **asdict(self), **follow}

    @property
    def overlap(self) -> float:
        """Linear overlap of neighbouring beams, 1 - step / probe diameter; negative where they are apart."""
        return 1 - self.step_px / self.probe_diameter_px

    @property
    def field_of_view_px(self) -> tuple[float, float]:
        """(y, x): extent of the positions plus one beam diameter."""
        low, high = self.positions_low_px, self.positions_high_px
        return (high[0] - low[0] + self.probe_diameter_px, high[1] - low[1] + self.probe_diameter_px)


def rows(facts: ScanInfo) -> list[tuple[str, str]]:
    """Label and text of every line, in the order in which a person asks."""
    low, high, view = facts.positions_low_px, facts.positions_high_px, facts.field_of_view_px
    size = facts.pattern_size_px
    return [
        ("file", facts.source),
        *_choices(facts.metadata),
        ("patterns", f"{facts.patterns} of {size} x {size} px, {facts.dtype}"),
        ("domain", f"{facts.domain}: {facts.domain_reason}"),
        (
            "photons per pattern",
            f"{facts.mean_photons_per_pattern:.4g} mean, {facts.weakest_pattern_photons:.4g} least",
        ),
        ("brightest pixel", f"{facts.brightest_pixel_photons:.4g} photons"),
        ("bad pixels", f"{facts.bad_pixel_fraction:.2%}" if facts.bad_pixel_fraction else "none"),
        ("positions (y, x)", f"{low[0]:.1f} to {high[0]:.1f}, {low[1]:.1f} to {high[1]:.1f} px"),
        ("field of view", f"{view[0]:.0f} x {view[1]:.0f} px{_metres(view, facts.pixel_size_m)}"),
        ("overlap", f"{facts.overlap:.0%} ({facts.step_px:.1f} px between positions)"),
        ("probe", f"{_modes(facts)}, {facts.probe_diameter_px:.1f} px across (rms diameter)"),
        ("photons / probe's photons", f"{facts.photon_ratio:.3g}{_scale(facts)}"),
        ("object pixel", _object_pixel(facts)),
        ("geometry", _geometry(facts.geometry)),
        ("object guess", facts.object_guess),
        ("labels (Y)", "yes" if facts.labels else "no"),
        ("objects", str(facts.objects)),
        ("metadata", ", ".join(sorted(facts.metadata)) or "none"),
    ]


def as_text(facts: ScanInfo) -> str:
    """Lines of `label: text`, then the problems."""
    lines = [f"{label}: {text}" for label, text in rows(facts)]
    return "\n".join([*lines, *(f"problem: {sentence}" for sentence in facts.problems)])


def _choices(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """What was read of several entries or detectors of a file, and what else there is."""
    found = []
    for kind, plural in (("entry", "entries"), ("detector", "detectors")):
        names = metadata.get(plural)
        if isinstance(names, list) and kind in metadata:
            others = ", ".join(str(name) for name in names if name != metadata[kind])
            found.append((kind, f"{metadata[kind]}; also in the file: {others}"))
    return found


def _object_pixel(facts: ScanInfo) -> str:
    sides = facts.metadata.get("object_pixel_m")
    if facts.pixel_size_m is None and isinstance(sides, list) and len(sides) == 2:
        return f"{sides[0] * 1e9:.4g} x {sides[1] * 1e9:.4g} nm (y, x)"
    return "not known" if facts.pixel_size_m is None else f"{facts.pixel_size_m * 1e9:.4g} nm"


def _modes(facts: ScanInfo) -> str:
    if facts.probe_modes == 1:
        return "1 mode"
    return f"{facts.probe_modes} modes ({', '.join(f'{power:.1%}' for power in facts.mode_powers)})"


def _geometry(known: Geometry) -> str:
    """What is known, in the order of the beam; in the near field also the numbers of the parallel beam."""
    parts = []
    if known.energy_eV is not None:
        parts.append(f"{known.energy_eV / 1e3:.5g} keV")
    if known.source_distance_m is not None:
        parts.append(f"focus {known.source_distance_m * 1e3:.4g} mm before the sample")
    if known.distance_m is not None:
        parts.append(f"detector {known.distance_m:.5g} m behind it")
    if known.detector_pixel_m is not None:
        parts.append(f"detector pixel {' x '.join(f'{side * 1e6:.4g}' for side in _sides(known.detector_pixel_m))} um")
    return ", ".join([*parts, *_near_field(known)]) or "not known"


def _near_field(known: Geometry) -> list[str]:
    if not known.is_near_field:
        return []
    parts = ["near field"]
    if known.source_distance_m is not None and known.magnification is not None:
        parts.append(f"magnification {known.magnification:.4g}")
    if known.effective_distance_m is not None:
        parts.append(f"effective distance {known.effective_distance_m * 1e3:.4g} mm")
    if known.fresnel_number is not None:
        parts.append(f"Fresnel number of a pixel {known.fresnel_number:.3g}")
    return parts


def _sides(pixel_m: PixelSize) -> tuple[float, ...]:
    return pixel_m[:1] if is_square(pixel_m) else pixel_m


def _metres(extent_px: tuple[float, float], pixel_size_m: float | None) -> str:
    if pixel_size_m is None:
        return ""
    return f", {extent_px[0] * pixel_size_m * 1e6:.3g} x {extent_px[1] * pixel_size_m * 1e6:.3g} um"


def _scale(facts: ScanInfo) -> str:
    if facts.metadata.get(PROBE_ESTIMATED) is True:
        return " (an estimated probe, scaled to the counts: the scale of the object is relative)"
    low, high = CALIBRATED_RATIO
    return " (a calibrated probe)" if low <= facts.photon_ratio <= high else " (the probe's scale is arbitrary)"
