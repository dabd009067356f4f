"""Scans in NPZ files: what is read, how it is decided, what is written."""

import json
import logging

import numpy as np
import pytest

from ptychopinn.config import DataConfig
from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.io.npz_scan import read_npz
from ptychopinn.errors import OutputError, ScanError

COUNTS = np.arange(12 * 256).reshape(12, 16, 16) % 23 + 1


def metadata(**values: object) -> np.ndarray:
    return np.array(json.dumps(values))


def test_a_plain_file(arrays, save, caplog) -> None:
    with caplog.at_level(logging.INFO, "ptychopinn.data"):
        scan = read_npz(save(arrays))
    np.testing.assert_array_equal(scan.patterns, arrays["diffraction"])
    np.testing.assert_array_equal(scan.positions_px[:, 0], arrays["ycoords"])
    np.testing.assert_array_equal(scan.positions_px[:, 1], arrays["xcoords"])
    assert scan.domain == "amplitude"
    assert scan.source.endswith("scan.npz")
    assert scan.nominal_positions_px is scan.object_guess is scan.bad_pixels is scan.scan_index is None
    assert "read as amplitude (float32 values, not all whole or none above 10)" in caplog.text


def test_everything_optional(arrays, save) -> None:
    arrays |= {
        "objectGuess": np.full((50, 60), 2j),
        "xcoords_start": arrays["xcoords"] + 1,
        "ycoords_start": arrays["ycoords"] + 2,
        "scan_index": np.arange(12) // 6,
        "Y": np.ones((12, 16, 16), np.complex64),
        "bad_pixels": np.eye(16, dtype=bool),
        "_metadata": metadata(photons=1e4, pixel_size_m=2e-8),
        "something else": np.array([{"of": "no interest"}], dtype=object),
    }
    scan = read_npz(save(arrays))
    np.testing.assert_array_equal(scan.nominal_positions_px, scan.positions_px + np.array([2.0, 1.0]))
    assert scan.object_guess[0, 0] == 2j
    assert scan.scan_index.tolist() == [0] * 6 + [1] * 6
    assert scan.truth_patches.shape == (12, 16, 16)
    assert scan.bad_pixels.sum() == 16
    assert scan.pixel_size_m == 2e-8
    assert scan.metadata == {"photons": 1e4}


def test_diffraction_wins_over_further_keys(arrays, save) -> None:
    arrays |= {"counts": COUNTS, "diff3d": COUNTS}
    assert read_npz(save(arrays)).domain == "amplitude"


DOMAINS = [
    (COUNTS.astype(np.uint8), "counts", "integer type uint8"),
    (COUNTS.astype(np.int32) % 3 + 1, "counts", "integer type int32"),
    (COUNTS.astype(np.float32), "counts", "floats that are all whole numbers with a maximum above 10"),
    (COUNTS % 10 + 1.0, "amplitude", "float64 values"),
    (COUNTS % 11 + 1.0, "counts", "all whole"),
    (COUNTS + 0.5, "amplitude", "float64 values"),
]


@pytest.mark.parametrize("key", ["diffraction", "diff3d"])
@pytest.mark.parametrize(("patterns", "domain", "reason"), DOMAINS)
def test_domain_by_evidence(arrays, save, key, patterns, domain, reason) -> None:
    del arrays["diffraction"]
    scan = read_npz(save(arrays | {key: patterns}))
    assert scan.domain == domain
    assert reason in scan.domain_reason
    assert scan.patterns.dtype == patterns.dtype


def test_bad_pixels_are_no_evidence(arrays, save) -> None:
    patterns = COUNTS.astype(float)
    patterns[:, 3, 3] = 0.5
    bad = np.zeros((16, 16), bool)
    bad[3, 3] = True
    arrays["_metadata"] = metadata()
    assert read_npz(save(arrays | {"diffraction": patterns, "bad_pixels": bad})).domain == "counts"
    assert read_npz(save(arrays | {"diffraction": patterns})).domain == "amplitude"


def test_an_export_of_ptychodus_holds_counts_even_where_it_averaged_patterns(arrays, save) -> None:
    del arrays["diffraction"]
    averaged = {"diff3d": COUNTS + 0.5, "bad_pixels": np.zeros((16, 16), bool)}
    scan = read_npz(save(arrays | averaged))
    assert (scan.domain, scan.domain_reason) == ("counts", "an export of ptychodus, which holds counts")
    assert read_npz(save(arrays | averaged), DataConfig(domain="amplitude")).domain == "amplitude"
    assert read_npz(save(arrays | averaged | {"_metadata": metadata()})).domain == "amplitude"


def test_metadata_win_over_the_evidence_and_an_argument_over_both(arrays, save) -> None:
    path = save(arrays | {"diffraction": COUNTS, "_metadata": metadata(measurement_domain="amplitude")})
    scan = read_npz(path)
    assert (scan.domain, scan.domain_reason) == ("amplitude", "stated in the metadata")
    assert "measurement_domain" not in scan.metadata
    scan = read_npz(path, DataConfig(domain="counts"))
    assert (scan.domain, scan.domain_reason) == ("counts", "given explicitly")


def test_old_layout(arrays, save) -> None:
    labels = np.arange(12 * 256).reshape(12, 16, 16) + 1j
    bad = labels.real % 7 == 0
    old = {
        name: np.moveaxis(values, 0, -1)
        for name, values in {"diffraction": arrays["diffraction"], "Y": labels, "bad_pixels": bad}.items()
    }
    scan = read_npz(save(arrays | old))
    np.testing.assert_array_equal(scan.patterns, arrays["diffraction"])
    np.testing.assert_array_equal(scan.truth_patches, labels)
    np.testing.assert_array_equal(scan.bad_pixels, bad)
    assert scan.patterns.flags.c_contiguous


@pytest.fixture
def cubic(arrays):
    """As many patterns as pixels in a row."""
    rng = np.random.default_rng(0)
    return arrays | {
        "diffraction": rng.uniform(1, 2, (16, 16, 16)),
        "xcoords": np.arange(16.0),
        "ycoords": np.arange(16.0),
    }


def test_an_ambiguous_layout_is_asked_about(cubic, save) -> None:
    path = save(cubic)
    with pytest.raises(ScanError, match=r"may be \(N, H, W\) or \(H, W, N\); say which with axis_order"):
        read_npz(path)
    np.testing.assert_array_equal(read_npz(path, DataConfig(axis_order="nhw")).patterns, cubic["diffraction"])
    moved = np.moveaxis(cubic["diffraction"], -1, 0)
    np.testing.assert_array_equal(read_npz(path, DataConfig(axis_order="hwn")).patterns, moved)
    np.testing.assert_array_equal(read_npz(save(cubic | {"_metadata": metadata(axis_order="hwn")})).patterns, moved)


def test_what_we_wrote_is_never_ambiguous(cubic, save, tmp_path) -> None:
    scan = read_npz(save(cubic), DataConfig(axis_order="nhw"))
    again = read_scan(write_scan(scan, tmp_path / "again.npz"))
    np.testing.assert_array_equal(again.patterns, scan.patterns)


@pytest.mark.parametrize(
    ("change", "option", "offset"),
    [
        ({}, "auto", 0.0),
        ({}, "centre", 0.5),
        ({"_metadata": metadata(position_origin="centre")}, "auto", 0.5),
        ({"_metadata": metadata(position_origin="centre")}, "element", 0.0),
        ({"diff3d": COUNTS}, "auto", 0.0),
        ({"diff3d": COUNTS, "bad_pixels": np.zeros((16, 16), bool)}, "auto", 0.5),
        ({"diff3d": COUNTS, "bad_pixels": np.zeros((16, 16), bool)}, "element", 0.0),
        ({"diff3d": COUNTS, "bad_pixels": np.zeros((16, 16), bool), "_metadata": metadata()}, "auto", 0.0),
    ],
)
def test_position_origin(arrays, save, change, option, offset) -> None:
    if "diff3d" in change:
        del arrays["diffraction"]
    arrays |= {"xcoords_start": arrays["xcoords"], "ycoords_start": arrays["ycoords"]}
    scan = read_npz(save(arrays | change), DataConfig(position_origin=option))
    np.testing.assert_array_equal(scan.positions_px[:, 1], arrays["xcoords"] + offset)
    np.testing.assert_array_equal(scan.positions_px[:, 0], arrays["ycoords"] + offset)
    np.testing.assert_array_equal(scan.nominal_positions_px, scan.positions_px)


def test_odd_patterns_have_their_centre_on_an_element(arrays, save) -> None:
    arrays |= {"diffraction": arrays["diffraction"][:, 1:, 1:], "probeGuess": arrays["probeGuess"][1:, 1:]}
    scan = read_npz(save(arrays), DataConfig(position_origin="centre"))
    np.testing.assert_array_equal(scan.positions_px[:, 1], arrays["xcoords"])


def test_a_client_export_with_as_many_patterns_as_rows_is_no_riddle(cubic, save) -> None:
    cubic["diff3d"] = cubic.pop("diffraction")
    scan = read_npz(save(cubic | {"bad_pixels": np.zeros((16, 16), bool)}))
    np.testing.assert_array_equal(scan.patterns, cubic["diff3d"])


def test_fftshift_moves_patterns_and_bad_pixels(arrays, corner_intensity, save) -> None:
    bad = np.zeros((16, 16), bool)
    bad[0, 3] = True
    stale = metadata(dc_index=[0, 0], history=["measured"])
    path = save(arrays | {"diffraction": corner_intensity, "bad_pixels": bad, "_metadata": stale})
    with pytest.raises(ScanError, match="--fftshift"):
        read_scan(path)
    scan = read_scan(path, fftshift=True)
    np.testing.assert_array_equal(scan.patterns, np.fft.fftshift(corner_intensity, axes=(1, 2)))
    assert np.argwhere(scan.bad_pixels).tolist() == [[8, 11]]
    assert "dc_index" not in scan.metadata
    assert scan.metadata["history"][0] == "measured"
    assert "fftshift" in scan.metadata["history"][1]


def test_fftshift_of_centred_patterns_is_refused(arrays, save) -> None:
    with pytest.raises(ScanError, match=r"or without it if it was given for centred patterns"):
        read_scan(save(arrays), fftshift=True)


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "domain"), [("f4", "amplitude"), ("f8", "counts"), ("u2", "counts"), ("u1", "amplitude")]
)
def test_round_trip_is_exact(make_scan, tmp_path, dtype, domain, modes) -> None:
    rng = np.random.default_rng(1)
    scan = make_scan(
        patterns=(COUNTS + (0.25 if dtype == "f8" else 0)).astype(dtype),
        domain=domain,
        positions_px=rng.normal(size=(12, 2)),
        nominal_positions_px=rng.normal(size=(12, 2)),
        probe=rng.normal(size=(modes, 16, 16)) + 1j,
        object_guess=rng.normal(size=(30, 31)),
        truth_patches=rng.normal(size=(12, 16, 16)),
        bad_pixels=rng.random((12, 16, 16)) > 0.9,
        scan_index=np.arange(12) // 2,
        pixel_size_m=1.25e-8,
        metadata={"photons": 1.5, "history": ["a", {"b": None}]},
    )
    again = read_scan(write_scan(scan, tmp_path / "scan.npz"))
    for name in (
        "patterns",
        "positions_px",
        "nominal_positions_px",
        "probe",
        "object_guess",
        "truth_patches",
        "bad_pixels",
        "scan_index",
    ):
        before, after = getattr(scan, name), getattr(again, name)
        assert before.dtype == after.dtype, name
        np.testing.assert_array_equal(before, after, err_msg=name)
    assert (again.domain, again.pixel_size_m, again.metadata) == (domain, 1.25e-8, scan.metadata)


def test_absent_fields_stay_absent(make_scan, tmp_path) -> None:
    again = read_scan(write_scan(make_scan(), tmp_path / "scan.npz"))
    assert again.nominal_positions_px is again.object_guess is again.truth_patches is again.scan_index is None


def test_the_file_says_what_it_holds(make_scan, tmp_path) -> None:
    with np.load(write_scan(make_scan(patterns=COUNTS, domain="counts"), tmp_path / "a.npz")) as archive:
        assert "diff3d" in archive
        assert "diffraction" not in archive
        stored = json.loads(str(archive["_metadata"]))
    assert stored == {
        "measurement_domain": "counts",
        "axis_order": "nhw",
        "position_origin": "element",
        "without_nominal_positions": True,  # the legacy reader needs xcoords_start, which then repeats the positions
    }


def test_metadata_that_are_no_json_leave_the_old_file(make_scan, tmp_path) -> None:
    path = write_scan(make_scan(), tmp_path / "scan.npz")
    with pytest.raises(ScanError, match=r"no plain JSON values .*convert them"):
        write_scan(make_scan(metadata={"a": np.ones(2)}), path)
    assert len(read_scan(path)) == 12
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.npz"]


def test_a_folder_that_is_not_there(make_scan, tmp_path) -> None:
    with pytest.raises(OutputError, match=r"does not exist; create it first"):
        write_scan(make_scan(), tmp_path / "absent" / "scan.npz")
