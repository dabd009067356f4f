"""`convert`: the same scan, reconstruction or model in another format."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ptychopinn.api.array_files import ArrayFiles
from ptychopinn.api.model_info import Target, convertible
from ptychopinn.bundle import Bundle, holds_model, save_bundle
from ptychopinn.config import Recipe
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.io import Propagation, check_output_folder, log_notes, scan_writer
from ptychopinn.data.io.formats import format_for, sniffed
from ptychopinn.data.io.source_file import open_source
from ptychopinn.data.rearrange import SplitBy, renamed, shuffled, split
from ptychopinn.data.reconstruction import RESULT_NAME, Reconstruction
from ptychopinn.errors import ConfigError, OutputError

logger = logging.getLogger("ptychopinn")

_PRODUCT = "product"
PANELS = ".png"
"""Extension of maps that are drawn, and not read again."""

Kind = Literal["scan", "reconstruction", "model"]


@dataclass(frozen=True)
class Rearrange:
    """What `convert` does with the patterns of a scan; see `ptychopinn.data.rearrange`."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Arrays of an NPZ file by their names there, and the names that they get before the file is read."""
    shuffle: int | None = None
    """Seed of a new order; None keeps the order."""
    split: float | None = None
    """Fraction of the first of two files, `..._train` and `..._test`; None writes one."""
    split_by: SplitBy = "y"
    """Where the scan is cut."""
    seed: int = 0
    """Of a random split."""


@dataclass(frozen=True)
class Converted:
    """What was written."""

    content: Kind
    """`scan`, `reconstruction` or `model`."""
    value: Scan | Reconstruction | Bundle
    """As it was read."""
    path: Path
    """The new file; of several the first one."""
    others: tuple[Path, ...] = ()
    """The second part of a scan that was split, or further maps."""


def convert(
    source: str | Path,
    target: str | Path,
    *,
    content: Literal["auto"] | Kind = "auto",
    diffraction: str | Path | None = None,
    probe: str | Path | None = None,
    arrays: ArrayFiles | None = None,
    propagation: Propagation = "auto",
    overrides: Sequence[str] = (),
    to: Target | None = None,
    rearrange: Rearrange | None = None,
) -> Converted:
    """Write a scan or a reconstruction in the format that the extension of the target names, or a model as a bundle.

    Archives and checkpoints of the earlier implementation become bundles (`.zip`). Scans become NPZ (`.npz`), CXI
    (`.cxi`) or training data of ptychodus (`.h5`, `.hdf5`). Reconstructions become NPZ, CXI, a product of ptychodus,
    a TIFF stack of their maps with the pixel size (`.tif`), or a PNG of each map (`.png`). Installed packages may add
    formats.

    Args:
        source: a file of any format that is read, or the folder of a reconstruction.
        target: the file to write; its folder is made.
        content: what the source is taken for; by default a model if it is one, a scan if it holds patterns or
            `diffraction` is given, else a reconstruction.
        diffraction: file with the patterns of a scan whose other parts `source` holds.
        probe: file whose probe the scan shall have.
        arrays: positions and numbers of the experiment, where the source holds patterns only: NPY, a TIFF stack, a
            folder or a list of frames.
        propagation: whether the patterns are far or near field; by default docs/formats.md decides.
        overrides: `data.key=value` texts that say how a scan is read.
        to: backend whose weights a model is written with, or `both`.
        rearrange: how the patterns of a scan are renamed, ordered and split.

    Raises:
        PtychoPINNError: source or target cannot be used; nothing has been written then.
    """
    source, target = Path(source), Path(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError(f"{target}: source and target are the same file; name another target")
    if rearrange is not None and rearrange.names:
        with TemporaryDirectory() as folder:
            known = renamed(source, rearrange.names, Path(folder) / source.name)
            how = replace(rearrange, names={})
            return convert(
                known,
                target,
                content="scan",
                diffraction=diffraction,
                probe=probe,
                arrays=arrays,
                propagation=propagation,
                overrides=overrides,
                to=to,
                rearrange=how,
            )
    if arrays is not None:
        if diffraction is not None or propagation != "auto" or to is not None or rearrange is not None:
            raise ConfigError(
                f"{source}: a scan is built from arrays, so --diffraction, --propagation, --to, --rename, --shuffle "
                "and --split do nothing; leave them out, or convert the new file once more"
            )
        return _build(source, target, arrays, probe, overrides)
    found = content_of(source, diffraction) if content == "auto" else content
    if to is not None and found != "model":
        raise ConfigError(f"{source}: is taken for a {found}, but --to names the backend of a model; leave --to out")
    if found != "scan":
        if diffraction is not None or probe is not None or propagation != "auto" or overrides or rearrange is not None:
            raise ConfigError(
                f"{source}: is taken for a {found}, but options say how a scan is read or arranged; "
                "give --diffraction or --as scan if it belongs to a scan, else drop them"
            )
        return _convert_model(source, target, to) if found == "model" else _convert_reconstruction(source, target)
    write = scan_writer(target)
    _refuse_product(source, target)
    options = Recipe().with_overrides(overrides).data
    scan = read_scan(source, options, diffraction=diffraction, probe=probe, propagation=propagation)
    check_output_folder(target.parent)
    if rearrange is not None and rearrange.shuffle is not None:
        scan = shuffled(scan, rearrange.shuffle)
    if rearrange is None or rearrange.split is None:
        return Converted("scan", scan, _logged(write(scan, target), source, "scan"))
    first, second = split(scan, rearrange.split, rearrange.split_by, rearrange.seed)
    paths = [target.with_stem(f"{target.stem}_{part}") for part in ("train", "test")]
    written = [_logged(write(part, path), source, "scan") for part, path in zip((first, second), paths, strict=True)]
    return Converted("scan", first, written[0], tuple(written[1:]))


def _build(
    source: Path, target: Path, arrays: ArrayFiles, probe: str | Path | None, overrides: Sequence[str]
) -> Converted:
    write = scan_writer(target)
    options = Recipe().with_overrides(overrides).data
    scan = arrays.scan(source, options, None if probe is None else Path(probe))
    log_notes(scan)
    check_output_folder(target.parent)
    return Converted("scan", scan, _logged(write(scan, target), source, "scan"))


def content_of(source: Path, diffraction: str | Path | None = None) -> Kind:
    """What a file is taken for.

    Raises:
        ScanError: no such file, or a format that is not known.
    """
    if source.is_dir() and (source / RESULT_NAME).exists():
        return "reconstruction"
    if holds_model(source):
        return "model"
    with open_source(source) as file:
        possible = sniffed(file).contents(file)
    return "scan" if diffraction is not None and "scan" in possible else possible[0]


def _convert_reconstruction(source: Path, target: Path) -> Converted:
    if target.suffix.lower() == PANELS:
        return _draw(source, target)
    try:
        format_for(target, "reconstruction")
    except OutputError as error:
        raise OutputError(f"{error}, or in {PANELS} for an image of each map") from None
    image = Reconstruction.load(source)
    check_output_folder(target.parent)
    return Converted("reconstruction", image, _logged(image.save(target), source, "reconstruction"))


def _draw(source: Path, target: Path) -> Converted:
    """The maps of a reconstruction, each as a PNG."""
    from ptychopinn.plotting import save_panels

    image = Reconstruction.load(source)
    check_output_folder(target.parent)
    paths = save_panels(image, target, amplitude_error=image.amplitude_error, phase_error=image.phase_error)
    written = [_logged(path, source, "reconstruction") for path in paths]
    return Converted("reconstruction", image, written[0], tuple(written[1:]))


def _convert_model(source: Path, target: Path, to: Target | None) -> Converted:
    """A model as a bundle with the weights of some backends."""
    if target.suffix.lower() != ".zip" or target.is_dir():
        raise OutputError(f"{target}: a model is written as a bundle; name a file that ends in .zip")
    bundle, backends = convertible(source, to)
    check_output_folder(target.parent)
    written = save_bundle(
        target,
        recipe=bundle.recipe.changed(backend=backends[0]),
        state=bundle.state,
        probe=bundle.probe,
        arrays=bundle.arrays,
        params=bundle.params,
        models=bundle.manifest.models,
        backends=backends,
    )
    return Converted("model", bundle, _logged(written, source, "model"))


def _refuse_product(source: Path, target: Path) -> None:
    """Where a scan may consist of two files, one named `product` would be taken for the one without patterns."""
    if format_for(target, "scan").takes_parts and _PRODUCT in target.stem.lower():
        raise OutputError(
            f"{target}: a product holds a reconstructed object, and {source} is a scan; reconstruct it and convert "
            f"{RESULT_NAME}, give --as reconstruction for the object of an HDF5 file, or name the file otherwise for "
            "training data"
        )


def _logged(path: Path, source: Path, content: Kind) -> Path:
    logger.info("%s: the %s of %s", path, content, source)
    return path
