"""What `info` found, in words."""

from typing import TYPE_CHECKING

from ptychopinn.physics.scaling import CALIBRATED_RATIO

if TYPE_CHECKING:
    from ptychopinn.api.info import ScanInfo


def rows(facts: "ScanInfo") -> list[tuple[str, str]]:
    """Label and text of every line, in the order in which a person asks."""
    low, high, view = facts.positions_low_px, facts.positions_high_px, facts.field_of_view_px
    size = facts.pattern_size_px
    return [
        ("file", facts.source),
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
        ("photons / probe's photons", f"{facts.photon_ratio:.3g}{_calibrated(facts.photon_ratio)}"),
        ("object pixel", "not known" if facts.pixel_size_m is None else f"{facts.pixel_size_m * 1e9:.4g} nm"),
        ("object guess", facts.object_guess),
        ("labels (Y)", "yes" if facts.labels else "no"),
        ("objects", str(facts.objects)),
        ("metadata", ", ".join(sorted(facts.metadata)) or "none"),
    ]


def as_text(facts: "ScanInfo") -> str:
    """Lines of `label: text`, then the problems."""
    lines = [f"{label}: {text}" for label, text in rows(facts)]
    return "\n".join([*lines, *(f"problem: {sentence}" for sentence in facts.problems)])


def _modes(facts: "ScanInfo") -> str:
    if facts.probe_modes == 1:
        return "1 mode"
    return f"{facts.probe_modes} modes ({', '.join(f'{power:.1%}' for power in facts.mode_powers)})"


def _metres(extent_px: tuple[float, float], pixel_size_m: float | None) -> str:
    if pixel_size_m is None:
        return ""
    return f", {extent_px[0] * pixel_size_m * 1e6:.3g} x {extent_px[1] * pixel_size_m * 1e6:.3g} um"


def _calibrated(ratio: float) -> str:
    low, high = CALIBRATED_RATIO
    return " (a calibrated probe)" if low <= ratio <= high else " (the probe's scale is arbitrary)"
