"""A scan: what was measured, where, with which beam. Immutable."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data import checks
from ptychopinn.data.corner import zero_frequency_at_corner
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.in_metres import scan_arguments
from ptychopinn.data.large_arrays import rows_of
from ptychopinn.data.masks import has_own_masks
from ptychopinn.data.start_probe import median_step_px, rms_diameter_px, start_probe
from ptychopinn.errors import ScanError
from ptychopinn.notebook import Shown

Domain = Literal["amplitude", "counts"]
PROBE_ESTIMATED = "probe_estimated"
"""Entry of the metadata that marks a probe which nobody gave."""


COUNTED_PATTERNS = 256
"""Patterns, evenly spaced over the scan, whose photons the summary of a scan averages: 20 ms for 128 x 128 px."""


@dataclass(frozen=True, eq=False, repr=False)
class Scan(Shown):
    """Recorded patterns with positions and probe, in the conventions of docs/conventions.md.

    Build one with `read_scan` or `Scan.create`, which check it; the constructor does not.
    """

    patterns: NDArray[Any]
    """(N, H, W), in the recorded type; zero frequency at (H//2, W//2)."""
    domain: Domain
    """Whether `patterns` are amplitudes (sqrt(photons)) or counts (photons)."""
    positions_px: NDArray[np.float64]
    """(N, 2), (y, x): where element (H//2, W//2) of each patch lies in the object frame."""
    probe: NDArray[np.complex64]
    """(M, H, W), sqrt(photons)."""
    domain_reason: str = "given"
    """Why `domain` was chosen."""
    nominal_positions_px: NDArray[np.float64] | None = None
    """(N, 2), (y, x): where the beam was meant to be."""
    object_guess: NDArray[np.complex64] | None = None
    """(Y, X): a reference object, in the frame of the positions."""
    truth_patches: NDArray[np.complex64] | None = None
    """(N, H, W): labels for supervised training."""
    bad_pixels: NDArray[np.bool_] | None = None
    """(H, W) or (N, H, W): True where nothing was measured."""
    scan_index: NDArray[np.int64] | None = None
    """(N,): which object a pattern belongs to."""
    pixel_size_m: float | None = None
    """Object pixel, where known."""
    geometry: Geometry = field(default_factory=Geometry)
    """Energy, distances, detector pixel, far or near field; what is known of them."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What the file said beside the arrays and the geometry; plain JSON values."""
    source: str = "memory"
    """Where the scan came from, for messages."""
    notes: tuple[str, ...] = ()
    """What was left out, replaced or estimated when it was read, one sentence each; `info` lists them."""

    def __len__(self) -> int:
        return len(self.patterns)

    def summary(self) -> str:
        """Patterns and domain; photons, overlap, probe and pixel size.

        The photons are those of up to `COUNTED_PATTERNS` patterns. The overlap is 1 - step / rms diameter of the probe,
        as in `ptychopinn.info`.
        """
        height, width = self.patterns.shape[1:]
        some = self.select(np.unique(np.linspace(0, len(self) - 1, COUNTED_PATTERNS).astype(int)))
        values = some.counts().astype(np.float64)
        if some.bad_pixels is not None:
            values = np.where(some.bad_pixels, 0, values)
        overlap = 1 - median_step_px(self.positions_px) / rms_diameter_px((np.abs(self.probe) ** 2).sum(axis=0))
        modes = f"{len(self.probe)} probe mode{'s' * (len(self.probe) > 1)}{' (estimated)' * self.probe_estimated}"
        facts = [f"{values.sum(axis=(1, 2)).mean():.3g} photons per pattern", f"overlap {overlap:.0%}", modes]
        if self.pixel_size_m is not None:
            facts.append(f"object pixel {self.pixel_size_m * 1e9:.4g} nm")
        what = f"{len(self)} patterns of {height} x {width} px, {self.domain} ({self.patterns.dtype})"
        return f"Scan of {what}, from {self.source}\n  {', '.join(facts)}"

    @property
    def probe_estimated(self) -> bool:
        """Whether no probe was given and `probe` is an estimate from the mean pattern; kept in `metadata`."""
        return self.metadata.get(PROBE_ESTIMATED) is True

    @property
    def pattern_size(self) -> int:
        """Rows (and columns) of a pattern."""
        return int(self.patterns.shape[-1])

    @property
    def always_bad(self) -> NDArray[np.bool_] | None:
        """(H, W): True where no pattern was measured; None where every pixel was."""
        if self.bad_pixels is None:
            return None
        always = np.logical_and.reduce(self.bad_pixels.reshape(-1, *self.patterns.shape[1:]))
        return always if always.any() else None

    def amplitudes(self) -> NDArray[np.float32]:
        """(N, H, W) sqrt(photons), float32; bad pixels as recorded."""
        values = self.patterns.astype(np.float32)
        return np.sqrt(values) if self.domain == "counts" else values

    def counts(self) -> NDArray[np.float32]:
        """(N, H, W) photons, float32, converted before squaring."""
        values = self.patterns.astype(np.float32)
        return values if self.domain == "counts" else np.square(values)

    def select(self, index: NDArray[Any] | slice) -> "Scan":
        """The patterns of `index` (integers, mask or slice) with all that belongs to them."""

        def rows(array: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if array is None else rows_of(array, index)

        return replace(
            self,
            patterns=rows_of(self.patterns, index),
            positions_px=self.positions_px[index],
            nominal_positions_px=rows(self.nominal_positions_px),
            truth_patches=rows(self.truth_patches),
            scan_index=rows(self.scan_index),
            bad_pixels=rows(self.bad_pixels) if has_own_masks(self.bad_pixels) else self.bad_pixels,
        )

    @classmethod
    def create(
        cls,
        patterns: NDArray[Any],
        positions_px: NDArray[Any],
        probe: NDArray[Any],
        *,
        domain: Domain,
        **optional: Any,
    ) -> "Scan":
        """Check arrays and build a scan; `optional` are the further fields.

        Raises:
            ScanError: what is wrong with which array, the rule, and the way out.
        """
        return checked_scan(cls(patterns, domain, positions_px, probe, **optional))

    @classmethod
    def from_metres(
        cls,
        patterns: NDArray[Any],
        x_m: NDArray[Any],
        y_m: NDArray[Any],
        energy_eV: float,
        distance_m: float,
        detector_pixel_m: float,
        probe: NDArray[Any] | None = None,
        *,
        domain: Domain = "counts",
        **optional: Any,
    ) -> "Scan":
        r"""Build a far-field scan from positions in metres and the numbers of the experiment.

        The object pixel of patterns of N x N detector pixels p at the distance z behind the sample is

        \[ \Delta = \frac{\lambda z}{N p}, \qquad \lambda = \frac{h c}{E}, \]

        and `positions_px` = (y, x) / pixel, moved so that the first patch begins at element 0 on each axis.

        Args:
            patterns: (N, H, H), zero frequency at (H//2, H//2).
            x_m: (N,): of the beam on the sample, growing with the columns of the object. A stage that moves the sample
                gives the opposite sign.
            y_m: (N,): growing with its rows.
            energy_eV: photon energy, eV.
            distance_m: from the sample to the detector, m.
            detector_pixel_m: side of a detector pixel, m.
            probe: (H, H) or (M, H, H), sqrt(photons); without it an estimate from the mean pattern, see
                `ptychopinn.data.start_probe.start_probe`, which `notes` states.
            domain: `counts` or `amplitude`.
            **optional: further fields of `Scan`.

        Raises:
            ScanError: an array or number that is none, or positions that are far too wide for their patterns.

        >>> counts = np.ones((4, 32, 32), np.uint16)
        >>> x, y = np.array([0, 1e-6, 0, 1e-6]), np.array([0, 0, 1e-6, 1e-6])
        >>> scan = Scan.from_metres(counts, x, y, energy_eV=8800, distance_m=1.9, detector_pixel_m=75e-6)
        >>> round(scan.pixel_size_m * 1e9, 1), scan.positions_px.round(2).tolist()
        (111.5, [[16.0, 16.0], [16.0, 24.97], [24.97, 16.0], [24.97, 24.97]])
        """
        source = optional.get("source", "memory")
        known = scan_arguments(patterns, x_m, y_m, Geometry(energy_eV, distance_m, detector_pixel_m), source)
        known["metadata"] |= optional.pop("metadata", {})
        if probe is None:
            pixels = checks.checked_patterns(patterns, source)
            bad = checks.checked_bad_pixels(optional.get("bad_pixels"), pixels.shape, source)
            checks.checked_positions(known["positions_px"], len(pixels), "positions", source)
            checks.checked_values(pixels, bad, domain == "counts", source)
            probe, note = start_probe(pixels, bad, domain == "counts", known["positions_px"])
            optional["notes"] = (*optional.get("notes", ()), note)
            known["metadata"] |= {PROBE_ESTIMATED: True}
        return cls.create(patterns, probe=probe, domain=domain, **known, **optional)


def checked_scan(scan: Scan) -> Scan:
    """The scan with normalised arrays.

    Patterns keep their type (in native byte order), positions become float64 (N, 2), the probe complex64 (M,
    H, W) from (H, W), (H, W, 1) or (M, H, W), the object guess and labels complex64, bad pixels bool.
    Everything is contiguous. Bad pixels that hold NaN or negative numbers are set to zero.

    Raises:
        ScanError: wrong shapes; NaN, infinite or negative values; patterns without a single count; a probe of
            another size; patterns whose zero frequency sits at the corner.
    """
    where = scan.source
    if scan.domain not in ("amplitude", "counts"):
        raise ScanError(f"{where}: domain is {scan.domain!r}; must be 'amplitude' or 'counts'")
    patterns = checks.checked_patterns(scan.patterns, where)
    positions = checks.checked_positions(scan.positions_px, len(patterns), "positions", where)
    checks.check_extent(positions, patterns.shape, where)
    probe = checks.checked_probe(scan.probe, patterns.shape[-1], where)
    bad = checks.checked_bad_pixels(scan.bad_pixels, patterns.shape, where)
    patterns, summary = checks.checked_values(patterns, bad, scan.domain == "counts", where)
    if not scan.geometry.is_near_field and zero_frequency_at_corner(summary.mean_intensity, summary.total, probe):
        raise ScanError(
            f"{where}: the zero frequency of the patterns sits at the corner of the array and not at "
            "(H//2, W//2); read the scan with --fftshift (data.fftshift=true), or without it if it was "
            "given for centred patterns"
        )
    return replace(
        scan,
        patterns=patterns,
        positions_px=positions,
        probe=probe,
        bad_pixels=bad,
        nominal_positions_px=checks.checked_nominal(scan.nominal_positions_px, len(patterns), where),
        object_guess=checks.checked_object(scan.object_guess, where),
        truth_patches=checks.checked_labels(scan.truth_patches, patterns.shape, where),
        scan_index=checks.checked_scan_index(scan.scan_index, len(patterns), where),
    )


__all__ = ["Domain", "Scan", "ScanError", "checked_scan"]


def check_sizes(scans: Sequence[Scan]) -> None:
    """Refuse scans that one model cannot see: those with patterns of different sizes.

    Raises:
        ScanError: which file has which size.
    """
    sizes = {scan.pattern_size: scan.source for scan in scans}
    if len(sizes) > 1:
        named = ", ".join(f"{source} has {size} px" for size, source in sizes.items())
        raise ScanError(f"the scans have patterns of different sizes ({named}); train one model for each size")
