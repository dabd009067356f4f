"""Reading and writing scans: a file's format is told from its content when read, from its extension when written."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ptychopinn.config import DataConfig
from ptychopinn.data.adjust import finished_scan
from ptychopinn.data.io.atomic import atomic_path, check_output_folder, write_text_atomically
from ptychopinn.data.io.formats import Reading, extensions, format_for, format_of
from ptychopinn.data.io.probe_file import read_probe
from ptychopinn.data.io.rules import Propagation
from ptychopinn.data.scan import PROBE_ESTIMATED, Scan
from ptychopinn.errors import ConfigError, ScanError

logger = logging.getLogger("ptychopinn.data")


def read_scan(
    path: str | Path,
    options: DataConfig | None = None,
    *,
    diffraction: str | Path | None = None,
    probe: str | Path | None = None,
    propagation: Propagation = "auto",
    **overrides: Any,
) -> Scan:
    """Read a scan from a file of any format that the package knows; docs/formats.md lists them.

    What was left out or replaced is logged as warnings, and stands in `Scan.notes`.

    Args:
        path: of the file: NPZ, CXI, NeXus, training data, product or diffraction of ptychodus, or a format that an
            installed package adds.
        options: the `data` section of a recipe; of it the settings about reading are used.
        diffraction: the HDF5 file with the patterns, where `path` holds only probe and positions; without it
            the one beside a ptychodus product is found.
        probe: a file whose probe is used instead of that of `path`, see `read_probe`.
        propagation: whether the patterns are far or near field; `auto` decides by docs/formats.md. Models refuse
            the near field.
        overrides: single fields of `DataConfig` that win over `options`, as in `read_scan(path,
            fftshift=True)`.

    Returns:
        The checked scan, in the conventions of docs/conventions.md.

    Raises:
        ScanError: no such file, a format that is not known, or content that is no scan.
        ConfigError: an override that `DataConfig` does not know or accept.
    """
    options = _with(options or DataConfig(), overrides)
    scan = scan_of_file(path, options, diffraction=diffraction, probe=probe, propagation=propagation)
    log_notes(scan)
    return scan


def log_notes(scan: Scan) -> None:
    """Log as warnings what was left out of a scan or replaced in it."""
    for note in scan.notes:
        logger.warning("%s: %s", scan.source, note)


def scan_of_file(
    path: str | Path,
    options: DataConfig,
    *,
    diffraction: str | Path | None = None,
    probe: str | Path | None = None,
    propagation: Propagation = "auto",
) -> Scan:
    """`read_scan` without the warnings, for callers that report `Scan.notes` themselves."""
    path = Path(path)
    chosen = format_of(path)
    if not chosen.takes_parts and diffraction is not None:
        raise ScanError(f"{path}: scans in the format {chosen.name} hold their own patterns; drop --diffraction")
    if not chosen.takes_probe and probe is not None:
        raise ScanError(f"{path}: scans in the format {chosen.name} hold their own probe; drop --probe")
    if probe is not None and options.probe_model is not None:
        raise ConfigError(f"{path}: give a probe file (--probe) or optics (--probe-model), not both")
    other = None if probe is None else read_probe(probe)
    patterns = None if diffraction is None else Path(diffraction)
    scan = chosen.read_scan(path, Reading(options, patterns, other, propagation))
    if not chosen.finishes:
        scan = finished_scan(scan, options)
    if other is not None:
        scan = replace(scan, metadata={key: scan.metadata[key] for key in scan.metadata if key != PROBE_ESTIMATED})
    if propagation != "auto":
        stated = replace(scan.geometry, propagation=propagation, propagation_reason="given explicitly")
        return replace(scan, geometry=stated)
    return scan


def write_scan(scan: Scan, path: str | Path) -> Path:
    """Write a scan in the format that the extension names; returns the path.

    `.npz` keeps everything as it is. `.cxi` (CXI 1.6) and `.h5` or `.hdf5` (training data of ptychodus) hold
    counts, so that amplitudes are squared. Installed packages may add formats.

    Raises:
        OutputError: another extension, or the file cannot be written.
    """
    return scan_writer(path)(scan, Path(path))


def scan_writer(path: str | Path) -> Callable[[Scan, Path], Path]:
    """The function that writes scans under the extension of a path, so that a wrong one is refused early.

    Raises:
        OutputError: no format has that extension.
    """
    return format_for(path, "scan").write_scan


def _with(options: DataConfig, overrides: dict[str, Any]) -> DataConfig:
    if not overrides:
        return options
    try:
        return DataConfig.model_validate({**options.model_dump(), **overrides})
    except ValidationError as error:
        parts = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"read_scan: {'; '.join(parts)}; the overrides are fields of DataConfig") from None


__all__ = [
    "Propagation",
    "atomic_path",
    "check_output_folder",
    "extensions",
    "log_notes",
    "read_probe",
    "read_scan",
    "scan_of_file",
    "scan_writer",
    "write_scan",
    "write_text_atomically",
]
