"""Reading and writing scans: what a file is, is told from its content; what is written, by the extension asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ptychopinn.config import DataConfig
from ptychopinn.data.io.atomic import atomic_path, check_output_folder, write_text_atomically
from ptychopinn.data.io.content import is_hdf5, kind_of_file
from ptychopinn.data.io.npz import read_npz, write_npz
from ptychopinn.data.io.probe_file import read_probe
from ptychopinn.data.io.rules import Propagation
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError, OutputError, ScanError

SCAN_EXTENSIONS = (".npz", ".cxi", ".h5", ".hdf5")
"""Under which scans are written: NPZ, CXI, and training data of ptychodus."""


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

    Args:
        path: of the file: NPZ, CXI, NeXus, or training data, product or diffraction of ptychodus.
        options: the `data` section of a recipe; of it domain, axis_order, position_origin and fftshift are
            used.
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
    path = Path(path)
    kind = kind_of_file(path)
    if kind == "hdf5":
        from ptychopinn.data.io.hdf5_scan import read_hdf5_scan

        other = None if probe is None else read_probe(probe)
        return read_hdf5_scan(path, options, diffraction=diffraction, probe=other, propagation=propagation)
    if kind == "zip":
        if diffraction is not None or probe is not None:
            raise ScanError(f"{path}: an NPZ scan holds its own patterns and probe; drop --diffraction and --probe")
        return _stated(read_npz(path, options), propagation)
    if kind == "npy":
        raise ScanError(
            f"{path}: holds a single array; a scan needs patterns, positions and probe, write them with numpy.savez"
        )
    raise ScanError(
        f"{path}: is {'empty' if kind == 'empty' else 'no NPZ or HDF5 file'}; give a scan saved with numpy.savez, "
        "as CXI or NeXus, or by ptychodus"
    )


def write_scan(scan: Scan, path: str | Path) -> Path:
    """Write a scan in the format that the extension names; returns the path.

    `.npz` keeps everything as it is. `.cxi` (CXI 1.6) and `.h5` or `.hdf5` (training data of ptychodus) hold
    counts, so that amplitudes are squared.

    Raises:
        OutputError: another extension, or the file cannot be written.
    """
    return scan_writer(path)(scan, Path(path))


def scan_writer(path: str | Path) -> Callable[[Scan, Path], Path]:
    """The function that writes scans under the extension of a path, so that a wrong one is refused early.

    Raises:
        OutputError: another extension than `SCAN_EXTENSIONS`.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return write_npz
    if suffix == ".cxi":
        from ptychopinn.data.io.cxi_writer import write_cxi_scan

        return write_cxi_scan
    if suffix in SCAN_EXTENSIONS:
        from ptychopinn.data.io.ptychodus_writer import write_training_file

        return write_training_file
    raise OutputError(f"{path}: a scan is written as NPZ, CXI or HDF5; name a file that ends in .npz, .cxi or .h5")


def _stated(scan: Scan, propagation: Propagation) -> Scan:
    if propagation == "auto":
        return scan
    told = {"propagation": propagation, "propagation_reason": "given explicitly"}
    return replace(scan, metadata=scan.metadata | told)


def _with(options: DataConfig, overrides: dict[str, Any]) -> DataConfig:
    if not overrides:
        return options
    try:
        return DataConfig.model_validate({**options.model_dump(), **overrides})
    except ValidationError as error:
        parts = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"read_scan: {'; '.join(parts)}; the overrides are fields of DataConfig") from None


__all__ = [
    "SCAN_EXTENSIONS",
    "Propagation",
    "atomic_path",
    "check_output_folder",
    "is_hdf5",
    "kind_of_file",
    "read_npz",
    "read_probe",
    "read_scan",
    "scan_writer",
    "write_npz",
    "write_scan",
    "write_text_atomically",
]
