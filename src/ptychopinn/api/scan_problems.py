"""What may go wrong with a scan, in plain sentences."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ptychopinn.data.steady import LEAST_PART
from ptychopinn.physics.calibration import CALIBRATED_RATIO

if TYPE_CHECKING:
    from ptychopinn.api.scan_info import ScanInfo

LOW_OVERLAP = 0.5
"""Linear overlap below which neighbours share too little."""
LEAST_EXTENT_PX = 0.5
"""Extent of a scan in object pixels below which the positions are in another unit. Metres and millimetres of a usual
scan are below 0.01; a real scan moves by pixels."""
LOW_DOSE_PHOTONS = 1000.0
"""Photons per pattern below which an image will be noisy."""
PROBE_EDGE = 0.02
"""Part of the probe's photons at the edge of its window that means it is cut off."""
PATTERN_EDGE = 0.05
"""Part of all photons at the edge of the detector that means the pattern is cut off."""
MANY_BAD_PIXELS = 0.2


def find_problems(facts: "ScanInfo", group_size: int) -> list[str]:
    """One sentence for each thing that looks wrong, in the order in which a person would look."""
    return [sentence for check in _CHECKS if (sentence := check(facts, group_size)) is not None]


def _near_field(facts: "ScanInfo", group_size: int) -> str | None:
    if not facts.geometry.is_near_field:
        return None
    return "The patterns are near field; train and reconstruct with --set model.propagation=near_field."


def _too_few(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.patterns >= group_size:
        return None
    return (
        f"There are only {facts.patterns} patterns, fewer than a group of {group_size}: set "
        "data.group_size to a smaller value."
    )


def _duplicates(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.duplicate_positions == 0:
        return None
    return (
        f"{facts.duplicate_positions} positions repeat another one exactly: patterns may be there "
        "twice, or positions may be missing; give --drop-frames duplicated (data.drop_frames=duplicated) to leave out "
        "patterns that are there twice."
    )


def _outlying(facts: "ScanInfo", group_size: int) -> str | None:
    index = facts.outlying_positions
    if not index:
        return None
    return (
        f"{len(index)} positions lie more than 20 median steps ({20 * facts.step_px:.3g} px) from all others (frames "
        f"{', '.join(map(str, index[:8]))}{', ...' if len(index) > 8 else ''}): a lost encoder value, or another "
        "unit; give --drop-frames outlying (data.drop_frames=outlying) to leave them out."
    )


def _one_place(facts: "ScanInfo", group_size: int) -> str | None:
    extent = max(high - low for low, high in zip(facts.positions_low_px, facts.positions_high_px, strict=True))
    if facts.patterns < 2 or extent >= LEAST_EXTENT_PX:
        return None
    return (
        f"All positions lie within {extent:.2g} px, so that every pattern shows the same place: check the units of the "
        "positions, which must be object pixels and not metres or millimetres; give --position-unit "
        "(data.position_unit) if the file holds lengths, or --position-scale (data.position_scale)."
    )


def _overlap(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.patterns < 2 or facts.overlap >= LOW_OVERLAP:
        return None
    return (
        f"Neighbouring beams overlap by {max(facts.overlap, 0):.0%} only ({facts.step_px:.1f} px between "
        f"positions, {facts.probe_diameter_px:.1f} px beam): below {LOW_OVERLAP:.0%} expect "
        "artefacts; check the units of the positions (--position-unit, --position-scale)."
    )


def _calibration(facts: "ScanInfo", group_size: int) -> str | None:
    low, high = CALIBRATED_RATIO
    if low <= facts.photon_ratio <= high:
        return None
    other = "counts" if facts.domain == "amplitude" else "amplitude"
    if low <= facts.other_photon_ratio <= high:
        return (
            f"The photons fit the probe only if the patterns are {other} and not {facts.domain}: check, "
            f"and read the scan with --domain {other} if so."
        )
    return (
        f"The probe is not in sqrt(photons): the patterns hold {facts.photon_ratio:.3g} times its "
        "photons; the probe will be scaled to the mean counts."
    )


def _dose(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.mean_photons_per_pattern >= LOW_DOSE_PHOTONS:
        return None
    return (
        f"The dose is very low, {facts.mean_photons_per_pattern:.3g} photons per pattern: expect a noisy "
        "image, and check that the patterns are in photons."
    )


def _weak_patterns(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.weakest_pattern_photons >= 0.05 * facts.mean_photons_per_pattern:
        return None
    return (
        f"The weakest pattern holds {facts.weakest_pattern_photons:.3g} photons, less than a twentieth "
        "of the mean: the beam may have been off for some patterns; give --drop-frames dark (data.drop_frames=dark) "
        "to leave them out."
    )


def _saturation(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.saturated_pixels == 0:
        return None
    return (
        f"{facts.saturated_pixels} pixel values equal the largest one ({facts.brightest_pixel_photons:.6g} "
        "photons): the detector may have saturated; give --mask-pixels saturated (data.mask_pixels=saturated) to mark "
        "pixels that do so in most patterns in bad_pixels, --drop-frames saturated to leave out frames."
    )


def _dead(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.dead_pixels == 0:
        return None
    return (
        f"{facts.dead_pixels} pixels are zero in every pattern although the pixels around them hold photons "
        f"({facts.dead_places}): a gap of the detector or dead pixels, which count as measured; give --mask-pixels "
        "dead (data.mask_pixels=dead)."
    )


def _hot(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.hot_pixels == 0:
        return None
    return (
        f"{facts.hot_pixels} pixels hold far more photons than the pixels around them in nearly every pattern "
        f"({facts.hot_places}): hot pixels, which count as measured; give --mask-pixels hot (data.mask_pixels=hot)."
    )


def _probe_edge(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.probe_edge_fraction <= PROBE_EDGE:
        return None
    return (
        f"The probe touches the edge of its window ({facts.probe_edge_fraction:.1%} of its photons are "
        "there): it is cut off, or its background is not zero."
    )


def _pattern_edge(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.edge_photon_fraction <= PATTERN_EDGE or _background(facts, group_size) is not None:
        return None
    return (
        f"{facts.edge_photon_fraction:.1%} of the photons lie in the outermost pixels of the detector: the "
        "patterns are cut off, or there is a background; fit it (reconstruction.refine.background=flat), or "
        "give its photons per pixel (model.background)."
    )


def _background(facts: "ScanInfo", group_size: int) -> str | None:
    floor = facts.background_photons
    part = floor * facts.pattern_size_px**2 / facts.mean_photons_per_pattern
    if part <= LEAST_PART:
        return None
    return (
        f"The pixels in the corners of the detector hold {floor:.3g} photons in every pattern, with counting noise "
        f"alone; in all pixels this is {min(part, 1):.2g} of the photons: a background; the solver fits it by default "
        f"(--set reconstruction.refine.background=flat), or give it (--set model.background={floor:.3g})."
    )


def _unsteady_beam(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.beam_variation == 0:
        return None
    noise = facts.mean_photons_per_pattern**-0.5
    return (
        f"The photons of a pattern differ by {facts.beam_variation:.1%} rms from those of its neighbours, beyond what "
        f"the sample and counting noise ({noise:.1%}) explain: the intensity of the beam varies; the solver fits it by "
        "default where it is sure (--set reconstruction.refine.intensities=fitted)."
    )


def _repeated(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.repeated_scatter == 0:
        return None
    return (
        f"Patterns that were recorded at the same position ({facts.repeated_pairs} pairs) differ by "
        f"{facts.repeated_scatter:.3g} times the variance of counting noise, beyond a common factor: the shape of the "
        "beam varies (--set reconstruction.refine.probe_relaxation=1), or the sample moves between exposures (--set "
        "reconstruction.refine.positions=true); `ptychopinn check` compares the two."
    )


def _bad_pixels(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.bad_pixel_fraction <= MANY_BAD_PIXELS:
        return None
    return (
        f"{facts.bad_pixel_fraction:.0%} of the pixels are marked as bad: check that bad_pixels is True "
        "where nothing was measured, else give --invert-mask (data.invert_mask=true)."
    )


def _object_guess(facts: "ScanInfo", group_size: int) -> str | None:
    if facts.object_guess_too_small == 0:
        return None
    return (
        f"{facts.object_guess_too_small} of {facts.patterns} patches leave the object guess "
        f"({facts.object_guess}): its frame and that of the positions differ, and a comparison may "
        "fail."
    )


_CHECKS: tuple[Callable[["ScanInfo", int], str | None], ...] = (
    _near_field,
    _too_few,
    _duplicates,
    _one_place,
    _outlying,
    _overlap,
    _calibration,
    _dose,
    _weak_patterns,
    _saturation,
    _dead,
    _hot,
    _probe_edge,
    _background,
    _pattern_edge,
    _unsteady_beam,
    _repeated,
    _bad_pixels,
    _object_guess,
)
