"""What reconstructing yields: an object on its canvas, where it is covered, and how it is kept in a file."""

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.frame import Frame
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.content import is_hdf5
from ptychopinn.data.io.instrument import carried_metadata
from ptychopinn.data.io.stored_object import StoredObject
from ptychopinn.data.scan import Scan
from ptychopinn.errors import OutputError, ScanError

RESULT_NAME = "reconstruction.npz"
"""What a reconstruction is called inside a run's output folder."""

_NEEDED = ("object", "coverage", "origin_px", "positions_px", "probe")


def metadata_of(scan: Scan) -> dict[str, Any]:
    """What the image of a scan says of where it comes from."""
    return {
        **carried_metadata(scan.metadata),
        "source": scan.source,
        "domain": scan.domain,
        "backend": "pytorch",
    }


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """An object on its canvas; the arrays are brought to the types below.

    Raises:
        ScanError: an array whose shape does not fit the others.
    """

    object_: NDArray[np.complex64]
    """(Y, X): transmission, 1 where not covered."""
    coverage: NDArray[np.float32]
    """(Y, X): total weight relative to its maximum, 0 where not covered."""
    origin_px: NDArray[np.int64]
    """(2,), (y, x): object-frame coordinate of element (0, 0)."""
    positions_px: NDArray[np.float64]
    """(N, 2), (y, x): the positions that were stitched."""
    probe: NDArray[np.complex64]
    """(M, H, W), sqrt(photons)."""
    pixel_size_m: float | None = None
    """Object pixel, where known."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Origin, backend, history; plain JSON values."""

    def __post_init__(self) -> None:
        for name, kind in _TYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        shape = self.object_.shape
        rules = (
            ("object", self.object_, self.object_.ndim == 2, "(Y, X)"),
            ("coverage", self.coverage, self.coverage.shape == shape, f"{shape}, that of the object"),
            ("origin_px", self.origin_px, self.origin_px.shape == (2,), "(2,)"),
            ("positions_px", self.positions_px, self.positions_px.shape[1:] == (2,), "(N, 2)"),
            ("probe", self.probe, self.probe.ndim == 3, "(M, H, W)"),
        )
        for name, array, fits, rule in rules:
            if not fits:
                raise ScanError(f"reconstruction: {name} has shape {array.shape}; the rule is {rule}")

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """(Y, X): modulus of the object."""
        return np.abs(self.object_)

    @property
    def phase(self) -> NDArray[np.float32]:
        """(Y, X): argument of the object in [-pi, pi], rad."""
        return np.angle(self.object_)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(Y, X): True where the object was measured."""
        return self.coverage > 0

    def in_frame(
        self, origin_px: tuple[int, int], shape: tuple[int, int]
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Object and coverage on another canvas, so that they compare with a reference element by element.

        Args:
            origin_px: (y, x), object-frame coordinate of the other canvas's element (0, 0);
                (0, 0) for `objectGuess`.
            shape: (Y, X) of the other canvas.

        Returns:
            The object, 1 outside this canvas, and the coverage, 0 outside.
        """
        rows, columns = self.object_.shape
        own = Frame((int(self.origin_px[0]), int(self.origin_px[1])), (rows, columns))
        goal = Frame(origin_px, shape)
        return own.moved(self.object_, goal, fill=1), own.moved(self.coverage, goal, fill=0)

    def save(self, path: str | Path) -> Path:
        """Write beside the target and rename.

        Args:
            path: The file, by its extension NPZ (`.npz`), CXI (`.cxi`) or a product of ptychodus (`.h5`, `.hdf5`);
                or a folder that shall hold `reconstruction.npz`.

        Returns:
            The file written.

        Raises:
            OutputError: another extension, the file cannot be written, or the metadata are not plain values.
        """
        target = _result_file(path)
        write = object_writer(target)
        if write is not None:
            plain = json.loads(_to_json(self.metadata, target))
            return write(StoredObject(**{**vars(self), "metadata": plain}), target)
        arrays: dict[str, Any] = {
            "object": self.object_,
            "amplitude": self.amplitude,
            "phase": self.phase,
            **{name: getattr(self, name) for name in _NEEDED[1:]},
            "_metadata": np.asarray(_to_json(self.metadata, target)),
        }
        if self.pixel_size_m is not None:
            arrays["pixel_size_m"] = np.float64(self.pixel_size_m)
        with atomic_path(target) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
        return target

    @classmethod
    def load(cls, path: str | Path) -> "Reconstruction":
        """Read what `save` wrote, or the object of another program's CXI, product or NeXus file; never unpickles.

        Files of other programs tell no coverage: it is the light that fell on each pixel, and the object keeps its
        values where that is 0.

        Args:
            path: The file, or the folder that holds `reconstruction.npz`.

        Raises:
            ScanError: no such file, another format, a missing array, Python objects, or shapes that do not fit.
        """
        file = _result_file(path)
        if is_hdf5(file):
            return _from_hdf5(cls, file)
        arrays = _read_arrays(file)
        missing = [name for name in _NEEDED if name not in arrays]
        if missing:
            raise ScanError(f"{file}: lacks {', '.join(missing)}, so it is no reconstruction; give a {RESULT_NAME}")
        try:
            return cls(
                object_=arrays["object"],
                **{name: arrays[name] for name in _NEEDED[1:]},
                pixel_size_m=float(arrays["pixel_size_m"]) if "pixel_size_m" in arrays else None,
                metadata=_from_json(arrays.get("_metadata")),
            )
        except ScanError as error:
            raise ScanError(f"{file}: {error}") from None
        except (ValueError, TypeError) as error:
            raise ScanError(f"{file}: an array has a type that a reconstruction cannot use ({error})") from None


def object_writer(target: Path) -> Callable[[StoredObject, Path], Path] | None:
    """The function that writes an object under the extension of a target; none for NPZ.

    Raises:
        OutputError: another extension.
    """
    suffix = target.suffix.lower()
    if suffix == ".npz":
        return None
    if suffix == ".cxi":
        from ptychopinn.data.io.cxi_writer import write_cxi_object

        return write_cxi_object
    if suffix in (".h5", ".hdf5"):
        from ptychopinn.data.io.ptychodus_writer import write_product

        return write_product
    raise OutputError(
        f"{target}: a reconstruction is written as NPZ, CXI or ptychodus product; name a file that ends in .npz, .cxi "
        "or .h5"
    )


def _from_hdf5(kind: type[Reconstruction], file: Path) -> Reconstruction:
    from ptychopinn.data.io.hdf5_object import read_hdf5_object

    try:
        return kind(**vars(read_hdf5_object(file)))
    except ScanError as error:
        told = str(error)
        raise ScanError(told if told.startswith(str(file)) else f"{file}: {told}") from None


_TYPES: Mapping[str, type] = {
    "object_": np.complex64,
    "coverage": np.float32,
    "origin_px": np.int64,
    "positions_px": np.float64,
    "probe": np.complex64,
}


def _result_file(path: str | Path) -> Path:
    path = Path(path)
    return path / RESULT_NAME if path.is_dir() else path


def _read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with file.open("rb") as stream:
            if stream.read(2) != b"PK":
                raise ScanError(f"{file}: is not an NPZ file; give a {RESULT_NAME}")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise ScanError(f"{file}: no such reconstruction; give a {RESULT_NAME} or the folder that holds one") from None
    except ScanError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError) as error:
        raise ScanError(f"{file}: cannot be read as a reconstruction ({error}); reconstruct again") from None


def _to_json(metadata: Mapping[str, Any], target: Path) -> str:
    try:
        return json.dumps(dict(metadata), default=_plain)
    except (TypeError, ValueError) as error:
        raise OutputError(f"{target}: the metadata cannot be written ({error}); give plain values only") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _from_json(text: NDArray[Any] | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        tree = json.loads(str(text.item()))
    except (ValueError, RecursionError):
        raise ScanError("_metadata is not valid JSON; reconstruct again") from None
    if not isinstance(tree, dict):
        raise ScanError("_metadata is no JSON dictionary; reconstruct again")
    return tree
