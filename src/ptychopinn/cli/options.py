"""Options that several commands share."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ptychopinn.cli.console import set_json_lines, set_quiet, set_verbosity

_READING = "How the scan is read"

Scan = Annotated[Path, typer.Argument(metavar="SCAN", help="The scan file (NPZ, CXI, HDF5).", show_default=False)]
Scans = Annotated[
    list[Path],
    typer.Argument(metavar="SCAN...", help="The scan file, or several to train on together.", show_default=False),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for all results.", show_default=False)
]


def complete_recipe(incomplete: str) -> list[str]:
    """Names of recipes, and YAML files, that begin with what was typed.

    >>> complete_recipe("few")
    ['few_photons']
    """
    from ptychopinn.config import recipe_names

    parent = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    files = sorted(str(path) for path in parent.glob("*.y*ml"))
    return [name for name in (*recipe_names(), *files) if name.startswith(incomplete)]


def complete_setting(incomplete: str) -> list[str]:
    """Dotted keys of the recipe that begin with what was typed, each with its equals sign.

    >>> complete_setting("training.epo")
    ['training.epochs=']
    """
    from ptychopinn.config import Recipe
    from ptychopinn.config.text import keys

    return [f"{key}=" for key in keys(Recipe) if key.startswith(incomplete)]


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="RECIPE",
        autocompletion=complete_recipe,
        help="A YAML file, or the name of a recipe such as quick; without it the default recipe.",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=complete_setting,
        help="Change one setting of the recipe, as in training.epochs=40; may be repeated.",
        show_default=False,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="A trained model to train further (fine-tune): its weights and its recipe are the start.",
        show_default=False,
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier training in the output folder.")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.", show_default=False),
]
Backend = Annotated[
    Literal["pytorch", "tensorflow"] | None,
    typer.Option(
        "--backend",
        help="What computes the network; PTYCHOPINN_BACKEND has the same effect. tensorflow needs that extra.",
        show_default=False,
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, metavar="N", help="CPU threads.", show_default=False)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=set_verbosity, help="Print each step and its reason on stderr.")
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=set_quiet, help="Print warnings and errors only, neither progress nor results."
    ),
]
JsonProgress = Annotated[
    bool,
    typer.Option(
        "--json-progress",
        callback=set_json_lines,
        help="Write progress, warnings and errors to stderr as JSON, one object a line.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what would be read, computed and written, and about how long it takes; write nothing."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything that was found as JSON.")]


def _reading(kind: Any, name: str, text: str, metavar: str | None = None) -> Any:
    """An option about how a scan is read."""
    panel: dict[str, Any] = {"rich_help_panel": _READING, "show_default": False}
    return Annotated[kind, typer.Option(name, help=text, metavar=metavar, **panel)]


Probe = _reading(Path | None, "--probe", "File whose probe is used; without any, an estimate stands in.", "FILE")
Diffraction = _reading(
    Path | None, "--diffraction", "File with the patterns, where SCAN holds probe and positions only.", "FILE"
)
ProbeChoice = Annotated[
    str,
    typer.Option(
        "--probe",
        metavar="auto|scan|model|FILE",
        help="Which probe: the scan's, the model's, or that of a file; auto is the model's if training fitted it.",
    ),
]
Refine = Annotated[
    int | None,
    typer.Option(
        "--refine",
        min=0,
        metavar="N",
        help="Iterations of the solver: after the network, or alone (28 to 40 by the dose if not given).",
        show_default=False,
    ),
]
Resolution = Annotated[
    Literal["none", "photons", "scan", "both"] | None,
    typer.Option(
        "--resolution",
        help="Measure the resolution by two halves of the photons, of the scan, or both: 2, 1 or 3 solves more.",
        show_default=False,
    ),
]
Uncertainty = Annotated[
    bool,
    typer.Option(
        "--uncertainty",
        help="Error bars of amplitude and phase for every pixel, from 2 more solves with redrawn counts.",
    ),
]
Prior = Annotated[
    str | None,
    typer.Option(
        "--prior",
        metavar="auto|none|default|FILE",
        help="Trained prior that takes counting noise off the solver's image: none, that of the package (auto: where "
        "photons are few), or a file.",
        show_default=False,
    ),
]
_Axis = Literal["none", "x", "y", "both"] | None
_Side = Literal["none", "rows", "columns", "both"] | None


Overrides = Sequence[str]
"""`section.key=value` texts, made of options by `reading_options` or `recipe_options`."""

_READING_OPTIONS: dict[str, tuple[Any, Any]] = {
    "fftshift": (_reading(bool, "--fftshift", "Move the zero frequency from the corner to the centre."), False),
    "domain": (
        _reading(
            Literal["auto", "amplitude", "counts"] | None,
            "--domain",
            "Amplitudes or photon counts.",
        ),
        None,
    ),
    "axis_order": (
        _reading(Literal["auto", "nhw", "hwn"] | None, "--axis-order", "Which axis runs over the scan."),
        None,
    ),
    "position_origin": (
        _reading(
            Literal["auto", "element", "centre"] | None,
            "--position-origin",
            "What positions point at: patch element (H//2, W//2), or the geometric centre.",
        ),
        None,
    ),
    "entry": (_reading(str | None, "--entry", "CXI, NeXus: which entry.", "NAME"), None),
    "detector": (_reading(str | None, "--detector", "CXI, NeXus: which detector.", "NAME"), None),
    "position_names": (
        _reading(str | None, "--position-names", "CXI, NeXus: datasets of the positions along x and y.", "X,Y"),
        None,
    ),
    "energy_eV": (
        _reading(float | None, "--energy-ev", "Photon energy in place of that of the file.", "EV"),
        None,
    ),
    "distance_m": (
        _reading(float | None, "--distance", "Distance of the detector in place of that of the file.", "M"),
        None,
    ),
    "detector_pixel_m": (
        _reading(float | None, "--detector-pixel", "Side of a detector pixel in place of that of the file.", "M"),
        None,
    ),
    "mask_bits": (
        _reading(int | None, "--mask-bits", "CXI, NeXus: sum of the mask bits that mark a bad pixel.", "N"),
        None,
    ),
    "dark": (
        _reading(Literal["subtract", "ignore"] | None, "--dark", "Subtract the dark image of the file, or ignore it."),
        None,
    ),
    "crop": (_reading(int | None, "--crop", "Cut patterns to N x N pixels around the centre.", "N"), None),
    "pad": (_reading(int | None, "--pad", "Extend patterns to N x N pixels that count as not measured.", "N"), None),
    "resample": (_reading(bool, "--resample", "Sum detector pixels that are not square to square ones."), False),
    "source_distance_m": (
        _reading(
            float | None,
            "--source-distance",
            "Near field in a cone beam: distance from the focus to the sample, in metres.",
            "M",
        ),
        None,
    ),
    "drop_frames": (
        _reading(
            str | None,
            "--drop-frames",
            "Leave out dark, saturated, duplicated, outlying, unpaired frames; also all or none.",
            "KIND,...",
        ),
        None,
    ),
    "mask_pixels": (
        _reading(
            str | None,
            "--mask-pixels",
            "Mark pixels as bad: dead, hot (both by default), saturated, all or none.",
            "KIND,...",
        ),
        None,
    ),
    "invert_mask": (_reading(bool, "--invert-mask", "The mask is true where pixels were measured."), False),
    "flip_patterns": (_reading(_Side, "--flip-patterns", "Reverse rows or columns of the patterns."), None),
    "transpose_patterns": (_reading(bool, "--transpose-patterns", "Exchange rows and columns of the patterns."), False),
    "flip_positions": (_reading(_Axis, "--flip-positions", "Reverse an axis of the positions."), None),
    "swap_positions": (_reading(bool, "--swap-positions", "Exchange x and y of the positions."), False),
    "reverse_positions": (
        _reading(bool, "--reverse-positions", "Pair the first position with the last pattern."),
        False,
    ),
    "shift_positions": (
        _reading(int | None, "--shift-positions", "Pair pattern n with position n + N.", "N"),
        None,
    ),
    "conjugate_probe": (_reading(bool, "--conjugate-probe", "Take the complex conjugate of probe and object."), False),
    "probe_model": (
        _reading(
            Literal["zone_plate", "rectangular", "gaussian"] | None,
            "--probe-model",
            "Start from the calculated beam of these optics; the next options state them.",
        ),
        None,
    ),
    "optics_aperture_m": (
        _reading(str | None, "--optics-aperture", "Diameter of the zone plate; sides of the aperture, y,x.", "M"),
        None,
    ),
    "optics_outer_zone_m": (_reading(float | None, "--optics-outer-zone", "Outermost zone width.", "M"), None),
    "optics_stop_m": (_reading(float | None, "--optics-stop", "Diameter of the central stop.", "M"), None),
    "optics_focal_m": (_reading(str | None, "--optics-focal", "Focal lengths behind the aperture, y,x.", "M"), None),
    "optics_size_m": (_reading(float | None, "--optics-size", "FWHM of a Gaussian beam at its focus.", "M"), None),
    "optics_defocus_m": (
        _reading(float | None, "--optics-defocus", "Distance of the sample behind the focus.", "M"),
        None,
    ),
    "position_unit": (
        _reading(
            Literal["auto", "px", "m", "mm", "um", "nm"] | None,
            "--position-unit",
            "Unit of the positions, in files that state none.",
        ),
        None,
    ),
    "position_scale": (_reading(float | None, "--position-scale", "Factor on all positions.", "FACTOR"), None),
    "detector_region": (
        _reading(str | None, "--detector-region", "Use rows y0..y1-1 and columns x0..x1-1 only.", "y0,y1,x0,x1"),
        None,
    ),
    "detector_binning": (_reading(int | None, "--detector-binning", "Sum N x N detector pixels.", "N"), None),
}
_RECIPE_OPTIONS = {"set_": (Set, None), **_READING_OPTIONS}
_TRAINING_OPTIONS = {
    "set_": (Set, None),
    "backend": (Backend, None),
    "device": (Device, None),
    "threads": (Threads, None),
    **_READING_OPTIONS,
}


def collect_overrides(
    set_: list[str] | None = None,
    *,
    backend: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    **reading: str | bool | float | None,
) -> list[str]:
    """Overrides of a recipe: what `--set` says, then the options that have a name of their own.

    >>> collect_overrides(["training.epochs=2"], device="cpu", domain="counts", fftshift=False)
    ['training.epochs=2', 'data.domain=counts', 'training.device=cpu']
    """
    overrides = list(set_ or [])
    overrides += [
        f"data.{name}={_as_yaml(name, value)}"
        for name, value in reading.items()
        if value is not None and value is not False
    ]
    if backend is not None:
        overrides.append(f"backend={backend}")
    if device is not None:
        overrides.append(f"training.device={device}")
    if threads is not None:
        overrides.append(f"training.threads={threads}")
    return overrides


def resolution_override(resolution: str | None) -> list[str]:
    """What `--resolution` sets.

    >>> resolution_override("scan"), resolution_override(None)
    (['reconstruction.resolution=scan'], [])
    """
    return [] if resolution is None else [f"reconstruction.resolution={resolution}"]


def uncertainty_override(uncertainty: bool) -> list[str]:
    """What `--uncertainty` sets.

    >>> uncertainty_override(True), uncertainty_override(False)
    (['reconstruction.uncertainty=true'], [])
    """
    return ["reconstruction.uncertainty=true"] if uncertainty else []


def prior_override(prior: str | None) -> list[str]:
    """What `--prior` sets; the text is quoted, so that a file may have any name.

    >>> prior_override("1e3"), prior_override(None)
    (['reconstruction.prior="1e3"'], [])
    """
    return [] if prior is None else [f"reconstruction.prior={json.dumps(prior)}"]


def with_parts(scan: Path, probe: Path | None, diffraction: Path | None) -> Any:
    """What the commands of the package are given: a path, or a path with the files of its probe and patterns."""
    if probe is None and diffraction is None:
        return scan
    from ptychopinn.api.inputs import ScanFiles

    return ScanFiles(scan, probe, diffraction)


def _as_yaml(name: str, value: str | bool | float | None) -> str:
    """A value of an option; names of things in a file are quoted, so that 2.10 stays what it is."""
    if name in ("entry", "detector", "position_names"):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_options(command: Callable[..., None], table: Mapping[str, tuple[Any, Any]]) -> Callable[..., None]:
    """The command with the options of a table in place of its parameter `overrides`, which is made of them."""

    @wraps(command)
    def run(**given: Any) -> None:
        overrides = collect_overrides(**{name: given.pop(name) for name in table})
        command(**given, overrides=overrides)

    signature = inspect.signature(command)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in table.items()
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in signature.parameters.values()]
    place = [parameter.name for parameter in own].index("overrides")
    parameters = [*own[:place], *added, *own[place + 1 :]]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes how a scan is read; its parameter `overrides` becomes those options."""
    return _with_options(command, _READING_OPTIONS)


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same, and `--set`."""
    return _with_options(command, _RECIPE_OPTIONS)


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same, `--backend`, `--device` and `--threads`."""
    return _with_options(command, _TRAINING_OPTIONS)
