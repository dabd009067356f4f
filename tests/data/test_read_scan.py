"""Files that are no scan, and the shared ones that are."""

import json
import logging
import pickle

import numpy as np
import pytest

from ptychopinn.config import DataConfig
from ptychopinn.data import read_scan
from ptychopinn.data.io.npz_scan import read_npz
from ptychopinn.errors import ConfigError, ScanError


class Trap:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(64), r"cannot be read as an HDF5 file .*damaged"),
        (b"\x93NUMPY\x01\x00", r"holds a single array; a scan needs patterns, positions and probe"),
        (b"", r"is empty; give a scan saved with numpy\.savez"),
        (
            b"some text",
            r"is no NPZ or HDF5 file; give a scan saved with numpy\.savez, as CXI or NeXus, or by ptychodus",
        ),
        (pickle.dumps(Trap()), r"is no NPZ or HDF5 file"),
        (b"PK\x03\x04 and no more", r"cannot be read as an NPZ file .*damaged"),
        (b"PK\x05\x06" + bytes(18), r"no patterns, neither diffraction nor diff3d \(found: nothing\)"),
    ],
)
def test_other_content(tmp_path, content, message) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(content)
    with pytest.raises(ScanError, match=message) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)


def test_the_name_does_not_matter(arrays, save) -> None:
    path = save(arrays)
    assert len(read_scan(path.rename(path.with_suffix(".dat")))) == 12


@pytest.mark.parametrize("reader", [read_scan, read_npz])
def test_no_file_and_a_folder(tmp_path, reader) -> None:
    with pytest.raises(ScanError, match=r"absent\.npz: no such file"):
        reader(tmp_path / "absent.npz")
    with pytest.raises(ScanError, match=r"is a folder; give the path of a scan file"):
        reader(tmp_path)


def test_a_single_array_given_to_the_npz_reader(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(ScanError, match=r"holds a single array; must be an NPZ file"):
        read_npz(tmp_path / "a.npy")


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_truncated_file(arrays, save, part) -> None:
    path = save(arrays)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ScanError, match=r"cannot be read as an NPZ file .*damaged"):
        read_scan(path)


def test_a_damaged_member(arrays, save) -> None:
    path = save(arrays)
    content = bytearray(path.read_bytes())
    at = content.index(arrays["diffraction"].tobytes()) + 100
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ScanError, match=r"the member diffraction cannot be read .*CRC.*export it again"):
        read_scan(path)


@pytest.mark.parametrize("key", ["diffraction", "xcoords", "ycoords"])
def test_a_missing_key_is_named(arrays, save, key) -> None:
    del arrays[key]
    with pytest.raises(ScanError, match=key):
        read_scan(save(arrays))


@pytest.mark.parametrize("key", ["diffraction", "xcoords", "probeGuess"])
def test_object_arrays_are_refused_unopened(arrays, save, key) -> None:
    trap = np.empty(12, object)
    trap[:] = [Trap() for _ in range(12)]
    path = save(arrays | {key: trap})
    with pytest.raises(ScanError, match=rf"{key} is an object array.*never unpickled; convert it.*numpy\.stack"):
        read_scan(path)


@pytest.mark.parametrize("key", ["_metadata", "scan_index", "objectGuess", "bad_pixels", "Y"])
@pytest.mark.parametrize("shape", [(), (12,)])
def test_an_optional_object_array_is_left_out_unopened(arrays, save, caplog, key, shape) -> None:
    trap = np.empty(shape, object)
    trap[...] = Trap()
    scan = read_scan(save(arrays | {key: trap}))
    assert len(scan) == 12
    assert key in caplog.text
    assert "never opened" in caplog.text
    assert key in scan.notes[0]


def test_unreadable_metadata_make_no_client_export(arrays, save) -> None:
    """Without _metadata, diff3d with bad_pixels means positions of the geometric centre, half a pixel away."""
    counts = np.round(100 * arrays.pop("diffraction") ** 2).astype(np.uint16) + 1
    plain = arrays | {"diff3d": counts, "bad_pixels": np.zeros((16, 16), bool)}
    stated = read_scan(save(plain | {"_metadata": np.array(None, dtype=object)}))
    np.testing.assert_array_equal(stated.positions_px[:, 1], arrays["xcoords"])


CONTENT = [
    ({"diffraction": np.ones((16, 16))}, r"diffraction has shape \(16, 16\); must be \(N, H, W\)"),
    (
        {"diffraction": np.ones((9, 16, 16))},
        r"\(9, 16, 16\) do not fit 12 positions; there must be one position for",
    ),
    ({"diffraction": np.ones((12, 16, 14))}, r"16 x 14 pixels; must be square"),
    ({"diffraction": np.ones((12, 16, 16), complex)}, r"patterns are complex"),
    ({"xcoords": np.ones(11)}, r"xcoords is float64 \(11,\) and ycoords is float64 \(12,\)"),
    ({"xcoords": np.ones((6, 2)), "ycoords": np.ones((6, 2))}, r"two lists of real numbers"),
    ({"ycoords": np.full(12, "3")}, r"two lists of real numbers"),
    ({"xcoords_start": np.ones(3), "ycoords_start": np.ones(3)}, r"12 patterns but 3 nominal positions"),
    ({"bad_pixels": np.ones((4, 4), bool)}, r"bad_pixels has shape \(4, 4\)"),
    ({"_metadata": np.array("{no json")}, r"_metadata is no JSON object"),
    ({"_metadata": np.array("[1]")}, r"_metadata is no JSON object"),
    ({"_metadata": np.ones(2)}, r"_metadata is no JSON object"),
    (
        {"_metadata": np.array(json.dumps({"measurement_domain": "intensity"}))},
        r"measurement_domain = 'intensity'",
    ),
    ({"_metadata": np.array(json.dumps({"axis_order": "nchw"}))}, r"axis_order = 'nchw'; must be 'nhw'"),
    ({"_metadata": np.array(json.dumps({"position_origin": "corner"}))}, r"position_origin = 'corner'"),
    ({"_metadata": np.array(json.dumps({"pixel_size_m": "26 nm"}))}, r"pixel_size_m = '26 nm'; .*in metres"),
]


@pytest.mark.parametrize(("change", "message"), CONTENT)
def test_content_that_is_refused(arrays, save, change, message) -> None:
    read_scan(save(arrays, "sound.npz"))
    with pytest.raises(ScanError, match=message) as caught:
        read_scan(save(arrays | change))
    assert "\n" not in str(caught.value)


def test_metadata_may_be_bytes_in_a_list(arrays, save) -> None:
    path = save(arrays | {"_metadata": np.array([b'{"photons": 3}'])})
    assert read_scan(path).metadata == {"photons": 3}


def test_overrides_win_over_options(arrays, save) -> None:
    path = save(arrays)
    assert read_scan(path, DataConfig(domain="counts")).domain == "counts"
    assert read_scan(path, DataConfig(domain="counts"), domain="amplitude").domain == "amplitude"


@pytest.mark.parametrize("override", [{"domain": "photons"}, {"shift": True}])
def test_overrides_are_checked(arrays, save, override) -> None:
    with pytest.raises(ConfigError, match=rf"read_scan: {next(iter(override))}: "):
        read_scan(save(arrays), **override)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("siemens64", (516, 64, 64)),
        ("siemens128", (516, 128, 128)),
        ("synth_dev_1e4", (900, 64, 64)),
        ("synth_dev_1e6", (900, 64, 64)),
    ],
)
def test_shared_amplitude_files(shared_dir, caplog, name, shape) -> None:
    with caplog.at_level(logging.INFO, "ptychopinn.data"):
        scan = read_scan(shared_dir / "data" / f"{name}.npz")
    assert scan.patterns.shape == shape
    assert scan.patterns.dtype == np.float32
    assert scan.domain == "amplitude"
    assert "read as amplitude" in caplog.text
    with np.load(scan.source) as archive:
        np.testing.assert_array_equal(scan.positions_px[:, 1], archive["xcoords"])
    assert scan.probe.shape == (1, *shape[1:])
    photons = float(np.square(np.abs(scan.probe)).sum())
    assert photons == pytest.approx(scan.counts().sum(axis=(1, 2)).max(), rel=0.25)


@pytest.mark.shared_data
def test_shared_corner_file(shared_dir) -> None:
    path = shared_dir / "data" / "siemens128_counts_corner.npz"
    with pytest.raises(ScanError, match=r"zero frequency .* corner .*--fftshift"):
        read_scan(path)
    scan = read_scan(path, fftshift=True)
    assert (scan.domain, scan.domain_reason) == ("counts", "integer type uint16")
    assert scan.patterns.dtype == np.uint16
    assert scan.positions_px.min() < -100
    centred = read_scan(shared_dir / "data" / "siemens128.npz")
    np.testing.assert_allclose(scan.counts(), centred.counts(), atol=1e-3)
