"""The entries of `metrics.json` as rows for people: a label and a text each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

REFERENCE = (
    ("psnr_phase", "phase PSNR (peak 2 pi)", "{:.2f} dB"),
    ("psnr_phase_low_rings", "phase PSNR, rings 1 to 5", "{:.2f} dB"),
    ("psnr_phase_high_rings", "phase PSNR, rings above 5", "{:.2f} dB"),
    ("psnr_amplitude", "amplitude PSNR (peak 1)", "{:.2f} dB"),
    ("object_scale", "scale of the object (fitted before scoring)", "{:.4f}"),
    ("ssim_phase", "phase SSIM", "{:.3f}"),
    ("ssim_amplitude", "amplitude SSIM", "{:.3f}"),
    ("contrast_phase", "phase contrast", "{:.3f}"),
    ("contrast_phase_high_rings", "the same, rings above 5", "{:.3f}"),
    ("contrast_amplitude", "amplitude contrast", "{:.3f}"),
    ("frc_0.5_nyquist", "FRC 0.5 (of Nyquist)", "{:.3f}"),
    ("frc_half_bit_nyquist", "FRC half-bit (of Nyquist)", "{:.3f}"),
    ("frc_0.5_full_period_nm", "resolution (full period at FRC 0.5)", "{:.1f} nm"),
    ("region", "scored rows and columns", "{}"),
)
_GAUGE = (("scale", "scale of the object", "{}"),)
_REFINE = (
    ("background_photons", "background, fitted", "{:.3g} photons per pixel"),
    ("blur_px", "point spread of the detector, fitted", "{:.3g} px (standard deviation)"),
    ("probe_modes", "probe modes", "{}"),
    ("probe_relaxation", "power of the varying part of the probe", "{:.2%}"),
    ("intensities_rms", "variation of the beam, fitted", "{:.1%} rms"),
)
_DATA = (
    ("amplitude_misfit", "amplitude misfit to the data", "{:.4f}"),
    ("poisson_deviance_per_pixel", "Poisson deviance per pixel", "{:.4f}"),
    ("poisson_deviance_of_a_perfect_model", "the same for a perfect model", "{:.4f}"),
)
_TIMINGS = (
    ("load_s", "loading", "{:.1f} s"),
    ("train_s", "training", "{:.1f} s"),
    ("predict_s", "predicting", "{:.2f} s"),
    ("stitch_s", "stitching", "{:.2f} s"),
    ("refine_s", "refining", "{:.2f} s"),
    ("prior_s", "applying the prior", "{:.2f} s"),
    ("uncertainty_s", "error bars", "{:.1f} s"),
    ("resolution_s", "solving the halves", "{:.1f} s"),
    ("write_s", "writing", "{:.1f} s"),
)


Row = tuple[str, str]
"""A label and a value in words."""


def metric_rows(metrics: Mapping[str, Any]) -> list[list[Row]]:
    """The sections `gauge`, `refine`, `reference`, `data` (with prior, error bars and resolution) and `timings`.

    A section that is missing is empty.

    >>> metric_rows({"data": {"amplitude_misfit": 0.0648}})[3]
    [('amplitude misfit to the data', '0.0648')]
    """
    sections = []
    for section, lines in (
        ("gauge", _GAUGE),
        ("refine", _REFINE),
        ("reference", REFERENCE),
        ("data", _DATA),
        ("timings", _TIMINGS),
    ):
        values = metrics.get(section) or {}
        rows = [(label, shown_value(values, key, text)) for key, label, text in lines if values.get(key) is not None]
        if section == "data":
            rows += _further_rows(metrics)
        sections.append(rows)
    return sections


def _further_rows(metrics: Mapping[str, Any]) -> list[Row]:
    """What is known of the prior, of error bars, and of the agreement of two halves of the data."""
    rows = []
    if metrics.get("prior") is not None:
        rows.append(("prior", prior_text(metrics["prior"])))
    if metrics.get("uncertainty") is not None:
        rows.append(("error bars", error_bars_text(metrics["uncertainty"])))
    names = {"photons": "halves of the photons", "scan": "halves of the scan"}
    for kind, entry in (metrics.get("resolution") or {}).items():
        rows.append((f"resolution, {names[kind]} (half-bit)", resolution_text(entry)))
    return rows


def prior_text(entry: Mapping[str, Any]) -> str:
    """The entry `prior` of `metrics.json`, in words.

    >>> prior_text({"prior": "default", "sha256": "0123456789abcdef", "strength": 0, "reason": "not used: no counts"})
    'default (sha256 0123456789ab): not used: no counts'
    """
    name = f"{Path(entry['prior']).name} (sha256 {entry['sha256'][:12]})"
    if not entry["strength"]:
        return f"{name}: {entry['reason']}"
    parts = ", ".join(f"{value:.2f} ({part})" for part, value in entry["strength_of_parts"].items())
    moved = f"moved by {entry['moved_rms_sigma']:.2f} sigma rms, at most {entry['moved_largest_sigma']:.1f}"
    return f"{name}: strength {parts}, {moved}; {entry['reason']}"


def error_bars_text(entry: Mapping[str, Any]) -> str:
    """The entry `uncertainty` of `metrics.json`, in words.

    >>> error_bars_text({"valid": True, "amplitude_error_median": 0.0123, "phase_error_median_rad": 0.02})
    'amplitude 0.0123, phase 0.02 rad (medians)'
    >>> error_bars_text({"valid": False, "reason": "no error bars: the counts are not whole numbers"})
    'no error bars: the counts are not whole numbers'
    """
    if not entry["valid"]:
        return str(entry["reason"])
    return f"amplitude {entry['amplitude_error_median']:.3g}, phase {entry['phase_error_median_rad']:.3g} rad (medians)"


def resolution_text(entry: Mapping[str, Any]) -> str:
    """The resolution of an entry `photons` or `scan` of `metrics.json`, in words.

    >>> resolution_text({"frc_half_bit_outcome": "crossed", "frc_half_bit_cycles_per_px": 0.25})
    'half period 2.00 px'
    >>> resolution_text({"reason": "the counts are not whole numbers"})
    'not measured: the counts are not whole numbers'
    """
    if "reason" in entry:
        return f"not measured: {entry['reason']}"
    length, outcome = entry.get("frc_half_bit_half_period_nm"), entry["frc_half_bit_outcome"]
    if outcome == "never above":
        return "none: the halves do not agree"
    pixels = 0.5 / entry["frc_half_bit_cycles_per_px"]
    text = f"{pixels:.2f} px" if length is None else f"{length:.3g} nm = {pixels:.2f} px"
    return f"half period {'' if outcome == 'crossed' else 'below '}{text}"


def shown_value(values: Mapping[str, Any], key: str, text: str) -> str:
    """A value, or what takes the place of a resolution where there is none."""
    if key.startswith("frc_"):
        threshold = key.removeprefix("frc_").removesuffix("_full_period_nm").removesuffix("_nyquist")
        if values.get(f"frc_{threshold}_outcome") == "never above":
            return "never above"
    return "" if values.get(key) is None else text.format(values[key])
