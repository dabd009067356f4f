"""ptychodus' own classes write what we read, and read what we write; both mean the same places."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.io import load_diffraction_data, load_product, save_diffraction_data, save_product
from ptychodus.api.object import Object, ObjectCenter
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
from ptychodus.api.product import Product, ProductMetadata
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input
from ptychodus.plugins.cxi_file import CXIDiffractionFileReader, CXIDiffractionFileWriter, CXIProductFileIO
from ptychodus.plugins.h5_product_file import H5ProductFileIO
from ptychodus.plugins.training_data_file import (
    TrainingDataDiffractionFileReader,
    TrainingDataProductFileReader,
)

from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

CENTRE_M = (2.5e-6, -7.25e-6)
"""(y, x) of the objects below: anything but zero."""


def their_product(scan: Scan, indexes: list[int] | None = None, **metadata: object) -> Product:
    """The product whose patches lie where those of the scan lie."""
    pixel = PixelGeometry(width_m=scan.pixel_size_m, height_m=scan.pixel_size_m)
    object_ = Object(scan.object_guess, pixel, ObjectCenter(x_m=CENTRE_M[1], y_m=CENTRE_M[0]))
    half = 0.5 if scan.pattern_size % 2 == 0 else 0.0
    middle = (np.array(scan.object_guess.shape) - 1) / 2
    metres = (scan.positions_px - half - middle) * scan.pixel_size_m + CENTRE_M
    numbers = range(len(metres)) if indexes is None else indexes
    points = [ProbePosition(int(i), float(x), float(y)) for i, (y, x) in zip(numbers, metres, strict=True)]
    facts = ProductMetadata(
        name="made there",
        comments="by ptychodus",
        detector_distance_m=1.75,
        photon_energy_eV=8800.0,
        probe_photon_count=1e6,
        exposure_time_s=0.1,
        mass_attenuation_m2_per_kg=0.0,
        tomography_angle_deg=0.0,
    )
    probe = ProbeSequence(scan.probe[None], None, pixel)
    return Product(replace(facts, **metadata), ProbePositionSequence(points), probe, object_, [])


def their_diffraction(scan: Scan, indexes: list[int] | None = None) -> AssembledDiffractionData:
    bad = np.zeros(scan.patterns.shape[1:], bool) if scan.bad_pixels is None else scan.bad_pixels
    numbers = np.arange(len(scan)) if indexes is None else np.array(indexes)
    return AssembledDiffractionData(numbers, scan.patterns, PixelGeometry(75e-6, 75e-6), bad)


def their_positions(product: Product) -> np.ndarray:
    """(N, 2), (y, x): where they say the patches lie, in pixels of the object array."""
    geometry = product.object_.get_geometry()
    y = geometry.map_probe_positions_to_object_y_px(product.probe_positions)
    return np.stack([y, geometry.map_probe_positions_to_object_x_px(product.probe_positions)], axis=1)


@pytest.fixture
def scan(scan_of) -> Scan:
    """Two modes, a mask."""
    rng = np.random.default_rng(2)
    modes = scan_of().probe * np.array([1, 0.4j])[:, None, None] * rng.uniform(0.9, 1, (2, 16, 16))
    return scan_of(probe=modes, bad_pixels=np.eye(16, k=2, dtype=bool))


@pytest.mark.parametrize("name", ["product.h5", "star_product.h5", "product.000001.h5"])
def test_a_product_with_the_diffraction_beside_it(scan: Scan, tmp_path: Path, name: str) -> None:
    save_product(tmp_path / name, their_product(scan))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan))
    found = read_scan(tmp_path / name)
    for one in ("patterns", "bad_pixels", "probe", "object_guess"):
        np.testing.assert_array_equal(getattr(found, one), getattr(scan, one))
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m)
    assert found.geometry.energy_eV == 8800
    assert found.geometry.detector_pixel_m == (75e-6, 75e-6)
    assert (found.metadata["title"], found.metadata["comment"]) == ("made there", "by ptychodus")


def test_the_diffraction_file_finds_its_product(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan))
    found = read_scan(tmp_path / "diffraction.h5")
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(found.patterns, scan.patterns)


def test_the_diffraction_of_the_same_name_comes_first(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "a_product.h5", their_product(scan))
    save_diffraction_data(tmp_path / "a_diffraction.h5", their_diffraction(scan))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan.select(slice(0, 3))))
    assert len(read_scan(tmp_path / "a_product.h5")) == len(scan)


def test_the_diffraction_may_lie_elsewhere(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan))
    (tmp_path / "raw").mkdir()
    save_diffraction_data(tmp_path / "raw" / "frames.h5", their_diffraction(scan))
    found = read_scan(tmp_path / "product.h5", diffraction=tmp_path / "raw" / "frames.h5")
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    with pytest.raises(ScanError, match=r"this ptychodus product holds no patterns .*--diffraction"):
        read_scan(tmp_path / "product.h5")
    with pytest.raises(ScanError, match=r"ptychodus product holds no patterns"):
        read_scan(tmp_path / "product.h5", diffraction=tmp_path / "product.h5")
    with pytest.raises(ScanError, match=r"ptychodus diffraction file holds no positions"):
        read_scan(tmp_path / "raw" / "frames.h5")


def test_pairing_is_theirs(scan: Scan, tmp_path: Path) -> None:
    """Unfilled patterns left out, repeated positions averaged, gaps interpolated, the rest dropped."""
    position_numbers = [5, 5, 2, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
    pattern_numbers = [0, 2, 3, -1, 5, 7, 9, 11, 12, -1, 16, 20, 22, 13]
    product, diffraction = their_product(scan, position_numbers), their_diffraction(scan, pattern_numbers)
    save_product(tmp_path / "product.h5", product)
    save_diffraction_data(tmp_path / "diffraction.h5", diffraction)
    theirs: ReconstructInput = prepare_reconstruct_input(
        load_diffraction_data(tmp_path / "diffraction.h5"), product, index_filter=lambda index: True
    )
    found = read_scan(tmp_path / "product.h5")
    np.testing.assert_array_equal(found.patterns, theirs.diffraction_patterns)
    np.testing.assert_allclose(found.positions_px, their_positions(theirs.product) + 0.5, atol=1e-9)
    assert 0 < len(found) < len(scan)


def test_unfilled_patterns_never_have_a_position(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan, list(range(-1, 13))))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan, [-1, *range(12), -1]))
    np.testing.assert_array_equal(read_scan(tmp_path / "product.h5").patterns, scan.patterns[1:13])


def test_numbers_that_never_meet(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan, list(range(100, 114))))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan))
    with pytest.raises(ScanError, match=r"no pattern has a position: .* 0 to 13 and the positions 100 to 113"):
        read_scan(tmp_path / "product.h5")


def test_a_near_field_product_is_near_field(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan, far_field=False))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan))
    found = read_scan(tmp_path / "product.h5")
    assert found.geometry.propagation == "near_field"
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m)


@pytest.mark.parametrize("size", [15, 16])
def test_their_training_data(scan_of, tmp_path: Path, size: int) -> None:
    from ptychodus.api.io import save_training_data

    scan = scan_of(size, bad_pixels=np.eye(size, k=2, dtype=bool))
    product = their_product(scan)
    save_training_data(
        tmp_path / "train.h5", ReconstructInput(scan.patterns, scan.bad_pixels, product), inpaint_bad_pixels=False
    )
    found = read_scan(tmp_path / "train.h5")
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(found.counts()[:, ~scan.bad_pixels], scan.counts()[:, ~scan.bad_pixels])
    np.testing.assert_array_equal(found.bad_pixels, scan.bad_pixels)
    np.testing.assert_array_equal(found.object_guess, scan.object_guess)
    assert found.patterns.dtype == np.uint16
    assert found.geometry.detector_pixel_m == pytest.approx((75e-6, 75e-6), rel=1e-9)


def test_their_cxi_files(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan))
    CXIProductFileIO().write(tmp_path / "product.cxi", their_product(scan))
    dataset = CXIDiffractionFileReader().read(write_scan(scan, tmp_path / "ours.cxi"))
    CXIDiffractionFileWriter().write(tmp_path / "diffraction.cxi", dataset)
    found = read_scan(tmp_path / "product.cxi")
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.bad_pixels, scan.bad_pixels)
    np.testing.assert_array_equal(found.probe, scan.probe)
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m)
    same = read_scan(tmp_path / "diffraction.cxi")
    np.testing.assert_allclose(same.positions_px, scan.positions_px, atol=1e-9)


def test_a_file_of_another_name_takes_no_product_that_lies_about(scan: Scan, tmp_path: Path) -> None:
    save_product(tmp_path / "product.h5", their_product(scan))
    dataset = CXIDiffractionFileReader().read(write_scan(scan, tmp_path / "ours.cxi"))
    CXIDiffractionFileWriter().write(tmp_path / "other.cxi", dataset)
    with pytest.raises(ScanError, match="CXI file holds no positions"):
        read_scan(tmp_path / "other.cxi")


def image_of(scan: Scan, **changes: object) -> Reconstruction:
    """A result on a canvas that begins elsewhere."""
    values = {
        "object_": scan.object_guess,
        "coverage": np.linspace(0, 1, scan.object_guess.size).reshape(scan.object_guess.shape),
        "origin_px": (-3, 11),
        "positions_px": scan.positions_px + np.array([-3, 11]),
        "probe": scan.probe,
        "pixel_size_m": scan.pixel_size_m,
        "geometry": Geometry(8800.0, 1.75, 75e-6),
        "metadata": {"title": "ours"},
    }
    return Reconstruction(**(values | changes))


READERS = {".h5": H5ProductFileIO().read, ".cxi": CXIProductFileIO().read}


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("extension", READERS)
@pytest.mark.parametrize("frame_origin", [None, [4e-6, -1.5e-6]])
def test_ptychodus_puts_our_objects_where_they_are(scan_of, tmp_path, extension, size, frame_origin) -> None:
    scan = scan_of(size)
    image = image_of(scan)
    if frame_origin is not None:
        image = replace(image, metadata=image.metadata | {"frame_origin_m": frame_origin})
    product = READERS[extension](image.save(tmp_path / f"result{extension}"))
    np.testing.assert_array_equal(product.object_.get_layer(0), image.object_)
    np.testing.assert_array_equal(product.probes.get_probe_no_opr().get_array(), image.probe)
    half = 0.5 if size % 2 == 0 else 0.0
    np.testing.assert_allclose(their_positions(product), image.positions_px - image.origin_px - half, atol=1e-9)
    assert product.object_.get_pixel_geometry().width_m == pytest.approx(image.pixel_size_m)
    assert product.metadata.photon_energy_eV == pytest.approx(8800)
    assert product.metadata.detector_distance_m == 1.75
    assert product.metadata.name == "ours"
    assert product.metadata.comments == ""


def test_a_result_lies_at_the_metres_of_the_scan_it_came_from(scan: Scan, tmp_path: Path) -> None:
    """So that their pictures of the input product and of our result lie on top of each other."""
    save_product(tmp_path / "product.h5", their_product(scan))
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan))
    read = read_scan(tmp_path / "product.h5")
    image = image_of(
        scan, positions_px=read.positions_px, origin_px=(0, 0), geometry=read.geometry, metadata=read.metadata
    )
    theirs = load_product(image.save(tmp_path / "result.h5"))
    centre = theirs.object_.get_center()
    assert (centre.y_m, centre.x_m) == pytest.approx(CENTRE_M, rel=1e-9)
    np.testing.assert_allclose(
        theirs.probe_positions.get_coordinates_x_m(),
        load_product(tmp_path / "product.h5").probe_positions.get_coordinates_x_m(),
        atol=1e-18,
    )


def test_our_result_and_the_patterns_are_a_scan_in_the_frame_of_the_result(scan: Scan, tmp_path: Path) -> None:
    image = image_of(scan)
    image.save(tmp_path / "product.h5")
    save_diffraction_data(tmp_path / "diffraction.h5", their_diffraction(scan))
    found = read_scan(tmp_path / "product.h5")
    np.testing.assert_allclose(found.positions_px, image.positions_px - image.origin_px, atol=1e-9)
    np.testing.assert_array_equal(found.object_guess, image.object_)


def test_an_unknown_pixel_is_nominal_and_the_comments_say_so(scan: Scan, tmp_path: Path) -> None:
    image = image_of(scan, pixel_size_m=None, geometry=Geometry(), metadata={"frame_origin_m": [1.0, 1.0]})
    product = load_product(image.save(tmp_path / "result.h5"))
    assert product.object_.get_pixel_geometry().width_m == 1e-8
    assert product.metadata.comments.startswith("Nominal values, not measured: pixel_size_m, energy_eV, distance_m")
    assert abs(product.object_.get_center().x_m) == pytest.approx(0)
    np.testing.assert_allclose(their_positions(product), image.positions_px - image.origin_px - 0.5, atol=1e-9)


def test_ptychodus_reads_our_training_data(scan: Scan, tmp_path: Path) -> None:
    path = write_scan(scan, tmp_path / "train.h5")
    dataset = TrainingDataDiffractionFileReader().read(path)
    np.testing.assert_array_equal(dataset[0].get_patterns(), scan.patterns)
    np.testing.assert_array_equal(dataset.get_bad_pixels(), scan.bad_pixels)
    assert dataset.get_metadata().detector_pixel_geometry.width_m == pytest.approx(75e-6)
    product = TrainingDataProductFileReader().read(path)
    np.testing.assert_allclose(their_positions(product), scan.positions_px - 0.5, atol=1e-9)
    np.testing.assert_array_equal(product.probes.get_probe_no_opr().get_array(), scan.probe)
    np.testing.assert_array_equal(product.object_.get_layer(0), scan.object_guess)


def test_masks_for_each_pattern_are_one_mask_for_ptychodus(scan_of, tmp_path: Path) -> None:
    each = np.random.default_rng(0).random((14, 16, 16)) < 0.02
    path = write_scan(scan_of(bad_pixels=each), tmp_path / "train.h5")
    bad = TrainingDataDiffractionFileReader().read(path).get_bad_pixels()
    np.testing.assert_array_equal(bad, each.any(axis=0))


def test_ptychodus_reads_our_cxi_scan(scan: Scan, tmp_path: Path) -> None:
    path = write_scan(scan, tmp_path / "scan.cxi")
    dataset = CXIDiffractionFileReader().read(path)
    np.testing.assert_array_equal(dataset[0].get_patterns(), scan.patterns)
    np.testing.assert_array_equal(dataset.get_bad_pixels(), scan.bad_pixels)
    product = CXIProductFileIO().read(path)
    np.testing.assert_allclose(their_positions(product), scan.positions_px - 0.5, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe_position_x_m": np.ones(5)}, r"probe_position_x_m is float64 \(5,\) and probe_position_y_m is"),
        ({"probe_position_indexes": np.arange(3)}, r"14 positions but 3 numbers for them"),
        ({"probe_position_indexes": np.ones(14)}, r"must be one whole number for each pattern"),
        ({"bad_pixels": np.full((16, 16), 0.5)}, r"bad_pixels must hold whole numbers, .* got float64 values"),
        ({"patterns": None}, r"holds no patterns"),
        ({"probe": np.ones((16, 16), "S1")}, r"probe holds \|S1 values; must be numbers"),
    ],
)
def test_defects_are_one_clear_error(scan: Scan, write_hdf5, change, message) -> None:
    parts = {
        "patterns": scan.patterns,
        "probe": scan.probe,
        "object": scan.object_guess,
        "probe_position_x_m": scan.positions_px[:, 1] * 1e-8,
        "probe_position_y_m": scan.positions_px[:, 0] * 1e-8,
    }
    sides = {"pixel_width_m": 1e-8, "pixel_height_m": 1e-8, "center_x_m": 0.0, "center_y_m": 0.0}
    read_scan(write_hdf5(parts, "a.h5", {"object": sides}))
    with pytest.raises(ScanError, match=message):
        read_scan(write_hdf5(parts | change, "a.h5", {"object": sides}))


@pytest.mark.shared_data
def test_the_shared_product_with_the_shared_patterns_is_the_shared_npz(shared_dir) -> None:
    data = shared_dir / "data"
    found = read_scan(data / "siemens128_product.h5", diffraction=data / "siemens128.cxi")
    other = read_scan(data / "siemens128.npz")
    np.testing.assert_allclose(found.positions_px, other.positions_px, atol=1e-9)
    np.testing.assert_array_equal(found.amplitudes(), other.amplitudes())
    np.testing.assert_array_equal(found.object_guess, other.object_guess)
    np.testing.assert_array_equal(found.probe, other.probe)
