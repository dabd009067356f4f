"""What a person wants to know when a command has ended."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from ptychopinn.cli.console import results, say

if TYPE_CHECKING:
    from ptychopinn.api.dry_run import Plan

_REFERENCE = (
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


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """A table of the sections `gauge`, `reference`, `data`, `resolution` and `timings`, as far as they are there."""
    table = new_table()
    for section, lines in (
        ("gauge", _GAUGE),
        ("refine", _REFINE),
        ("reference", _REFERENCE),
        ("data", _DATA),
        ("timings", _TIMINGS),
    ):
        values = metrics.get(section) or {}
        for key, label, text in lines:
            if values.get(key) is not None:
                table.add_row(label, _shown(values, key, text))
        if section == "data":
            _add_prior(table, metrics.get("prior"))
            _add_error_bars(table, metrics.get("uncertainty"))
            _add_resolution(table, metrics.get("resolution") or {})
        table.add_section()
    results.print(table)
    show_verdict(metrics.get("verdict"))
    warn_if_collapsed((metrics.get("collapse") or {}).get("message"), metrics.get("reference"))


def _add_prior(table: Table, entry: Mapping[str, Any] | None) -> None:
    """A line about the prior: which, how strong, how far it moved the image, what the withheld photons say."""
    if entry is not None:
        table.add_row("prior", escape(prior_text(entry)))


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


def _add_error_bars(table: Table, entry: Mapping[str, Any] | None) -> None:
    """A line with the median standard deviations, or why there are none."""
    if entry is not None:
        table.add_row("error bars", escape(error_bars_text(entry)))


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


def _add_resolution(table: Table, found: Mapping[str, Any]) -> None:
    """A line for each pair of halves: the half period at the half-bit threshold, or why there is none."""
    names = {"photons": "halves of the photons", "scan": "halves of the scan"}
    for kind, entry in found.items():
        table.add_row(f"resolution, {names[kind]} (half-bit)", resolution_text(entry))


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


def show_reports(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """A table with one column for each report, by name."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="cyan", no_wrap=True)
    for name in reports:
        table.add_column(name, justify="right", overflow="fold")
    for key, label, text in _REFERENCE:
        values = [report.get(key) for report in reports.values()]
        if any(value is not None for value in values):
            table.add_row(label, *(_shown(report, key, text) for report in reports.values()))
    results.print(table)
    for name, report in reports.items():
        warn_if_collapsed(None, report, name)


def _shown(values: Mapping[str, Any], key: str, text: str) -> str:
    """A value, or what takes the place of a resolution where there is none."""
    if key.startswith("frc_"):
        threshold = key.removeprefix("frc_").removesuffix("_full_period_nm").removesuffix("_nyquist")
        if values.get(f"frc_{threshold}_outcome") == "never above":
            return "never above"
    return "" if values.get(key) is None else text.format(values[key])


def new_table() -> Table:
    """Two columns without decoration."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def warn_if_collapsed(message: str | None, report: Mapping[str, Any] | None = None, name: str = "") -> None:
    """One line on stderr for each way in which an image seems to have collapsed.

    Args:
        message: of `ptychopinn.metrics.collapse.Collapse`; none of a sound image.
        report: a comparison with a reference, where there is one.
        name: of the image, where there are several.
    """
    from ptychopinn.metrics.collapse import reference_warnings

    told = [] if message is None else [message]
    for sentence in [*told, *reference_warnings(report)]:
        _warn(f"{name}: {sentence}" if name else sentence)


def show_choice(choice: Mapping[str, Any] | None, other: Path | None) -> None:
    """One line about which of two images is the result, and one with the file of the other."""
    if choice is not None:
        results.print(f"result: {choice['result']}; {choice['reason']}", highlight=False, soft_wrap=True)
        show_path("the other image", other)


def show_verdict(verdict: Mapping[str, Any] | None) -> None:
    """Whether the image fits its patterns,: on stdout if it does, else on stderr with cause and advice.

    Args:
        verdict: the entry `verdict` of `metrics.json`; nothing is shown without it.
    """
    if verdict is None:
        return
    style = _VERDICT_STYLES[verdict["level"]]
    text = f"VERDICT: {verdict['message']}."
    if verdict["level"] == "fits":
        results.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
    else:
        say("verdict", text, style)


_VERDICT_STYLES = {"fits": "bold green", "fits in part": "bold yellow", "does not fit": "bold red"}


def show_plan(plan: "Plan") -> None:
    """What a command would do."""
    table = new_table()
    for text in plan.reads:
        table.add_row("would read", escape(text))
    for step in plan.steps:
        table.add_row("would compute", escape(f"{step.name}: {step.amount}, {duration(step.seconds)}"))
    table.add_row("would write", escape(f"{plan.folder}: {', '.join(plan.writes)}"))
    if plan.replaced:
        table.add_row("would replace", escape(", ".join(plan.replaced)))
    table.add_row("would take", f"{duration(plan.seconds)} on this machine")
    results.print(table)
    for sentence in plan.problems:
        results.print(f"\n! {sentence}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """An estimated time, in words.

    >>> duration(0.4), duration(42), duration(170), duration(9000)
    ('about 1 s', 'about 42 s', 'about 3 min', 'about 2.5 h')
    """
    if seconds < 100:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 6000 else f"about {seconds / 3600:.1f} h"


def show_path(label: str, path: Path | None) -> None:
    """One line that names a file."""
    if path is not None:
        results.print(f"{label}: {path}", highlight=False, soft_wrap=True)


def _warn(sentence: str) -> None:
    say("warning", f"Warning: {sentence}.", "yellow")
