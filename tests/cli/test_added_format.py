"""A file format from another package: one class and one entry point, and every command takes such files."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn import Reconstruction, read_scan
from ptychopinn.data import write_scan
from ptychopinn.data.io import formats
from ptychopinn.errors import ScanError

CODE = """
import json
import numpy as np
from ptychopinn import Reconstruction, Scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.io.formats import FileFormat

MAGIC = b"beamline 7\\n"

class Beamline(FileFormat):
    name = "beamline 7"
    extensions = (".b7",)
    reads = writes = ("scan", "reconstruction")

    def sniff(self, file):
        return file.start.startswith(MAGIC)

    def contents(self, file):
        return ("scan",) if b"patterns" in file.start else ("reconstruction",)

    def read_scan(self, path, reading):
        parts = _read(path)
        return Scan.create(
            parts["patterns"], parts["positions"], _complex(parts["probe"]), domain="counts",
            geometry=Geometry(energy_eV=parts["energy"]), source=str(path),
        )

    def write_scan(self, scan, path):
        parts = {"patterns": scan.counts(), "energy": scan.geometry.energy_eV or 1.0}
        return _write(path, parts | {"positions": scan.positions_px, "probe": _planes(scan.probe)})

    def read_reconstruction(self, path):
        parts = _read(path)
        object_ = _complex(parts["object"])
        return Reconstruction(
            object_, np.ones(object_.shape), parts["origin"], parts["positions"], _complex(parts["probe"])
        )

    def write_reconstruction(self, image, path):
        parts = {"object": _planes(image.object_), "origin": image.origin_px}
        return _write(path, parts | {"positions": image.positions_px, "probe": _planes(image.probe)})

class Broken(FileFormat):
    name = "broken"

    def sniff(self, file):
        raise RuntimeError("no idea")

def _planes(values):
    return np.stack([values.real, values.imag])

def _complex(planes):
    return np.asarray(planes[0]) + 1j * np.asarray(planes[1])

def _read(path):
    return json.loads(path.read_bytes().removeprefix(MAGIC))

def _write(path, parts):
    plain = {name: np.asarray(value).tolist() for name, value in parts.items()}
    path.write_bytes(MAGIC + json.dumps(plain).encode())
    return path
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `pip install` leaves behind for a package of one module; the registry is as before afterwards."""
    folder = tmp_path / "site"
    info = folder / "beamline_7-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "beamline_7.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: beamline_7\nVersion: 1.0\n")
    points = ("broken = beamline_7:Broken", "beamline_7 = beamline_7:Beamline", "none = beamline_7:MAGIC")
    (info / "entry_points.txt").write_text("\n".join(["[ptychopinn.formats]", *points, ""]))
    monkeypatch.setattr(formats._FORMATS, "entries", dict(formats._FORMATS.entries))
    monkeypatch.setattr(formats._FORMATS, "loaded", dict(formats._FORMATS.loaded))
    monkeypatch.syspath_prepend(folder)


@pytest.mark.usefixtures("package")
def test_info_and_convert(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    written = ptycho("convert", scan_file, tmp_path / "scan.b7")
    assert written.code == 0, written.err
    told = ptycho("info", tmp_path / "scan.b7")
    assert told.code == 0
    assert "121 of 16 x 16 px" in told.out
    scan, found = read_scan(scan_file), read_scan(tmp_path / "scan.b7")
    np.testing.assert_array_equal(found.counts(), scan.counts())
    np.testing.assert_allclose(found.positions_px, scan.positions_px)
    assert ptycho("convert", tmp_path / "scan.b7", tmp_path / "again.cxi").code == 0
    np.testing.assert_array_equal(read_scan(tmp_path / "again.cxi").counts(), scan.counts())


@pytest.mark.usefixtures("package")
def test_reconstructions_and_probes(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    scan = read_scan(scan_file)
    image = Reconstruction(scan.object_guess, np.ones(scan.object_guess.shape), (3, -2), scan.positions_px, scan.probe)
    source = image.save(tmp_path / "image.b7")
    assert ptycho("convert", source, tmp_path / "image.npz").code == 0
    found = Reconstruction.load(tmp_path / "image.npz")
    np.testing.assert_array_equal(found.object_, image.object_)
    assert found.origin_px.tolist() == [3, -2]
    np.testing.assert_array_equal(read_scan(write_scan(scan, tmp_path / "scan.cxi"), probe=source).probe, scan.probe)


@pytest.mark.usefixtures("package")
def test_known_files_are_read_as_before(scan_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for extension in (".npz", ".cxi", ".h5"):
        read_scan(write_scan(read_scan(scan_file), tmp_path / f"scan{extension}"))
    assert "broken" not in caplog.text


@pytest.mark.usefixtures("package")
def test_a_format_that_fails_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(ScanError, match=r"is no NPZ or HDF5 file.*a file format must be a subclass of FileFormat"):
        read_scan(tmp_path / "text")
    assert "the file format broken is left out, as it fails: no idea" in caplog.text
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(ScanError, match="of a layout that is not known"):
        read_scan(tmp_path / "other.h5")


@pytest.mark.usefixtures("package")
def test_a_scan_in_parts_needs_a_format_that_takes_them(scan_file: Path, tmp_path: Path) -> None:
    source = write_scan(read_scan(scan_file), tmp_path / "scan.b7")
    with pytest.raises(ScanError, match=r"scans in the format beamline 7 hold their own patterns; drop --diffraction"):
        read_scan(source, diffraction=source)


@pytest.mark.usefixtures("package")
def test_extensions_and_order() -> None:
    names = [one.name for one in formats.formats()]
    assert names.index("ptychodus product (NPZ)") < names.index("NPZ") < names.index("CXI")
    assert names[-1] == "NeXus"
    assert names.index("CXI") < names.index("beamline 7")
    assert formats.extensions("scan") == (".npz", ".cxi", ".h5", ".hdf5", ".b7")
