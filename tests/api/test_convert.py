"""`convert`: what becomes what, what is refused, and that the same scan in another format gives the same image."""

import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import ptychopinn
from ptychopinn import PtychoPINNError, Reconstruction, Scan, convert, read_scan
from ptychopinn.errors import BundleError, ConfigError, OutputError, ScanError

SCAN = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=4"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=2", "training.deterministic=true"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Counts with the object that made them."""
    return ptychopinn.simulate(overrides=SCAN).scan


@pytest.fixture(scope="module")
def image(scan: Scan) -> Reconstruction:
    """Any reconstruction."""
    return Reconstruction(
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape),
        origin_px=(0, 0),
        positions_px=scan.positions_px,
        probe=scan.probe,
    )


@pytest.mark.parametrize("extension", [".npz", ".cxi", ".h5", ".hdf5"])
def test_a_scan(scan: Scan, tmp_path: Path, extension: str) -> None:
    source = ptychopinn.write_scan(scan, tmp_path / "source.npz")
    made = convert(source, tmp_path / "new" / f"target{extension}")
    assert (made.content, made.path) == ("scan", tmp_path / "new" / f"target{extension}")
    np.testing.assert_array_equal(read_scan(made.path).patterns, scan.patterns)


@pytest.mark.parametrize("extension", [".npz", ".cxi", ".h5"])
def test_a_reconstruction(image: Reconstruction, tmp_path: Path, extension: str) -> None:
    image.save(tmp_path)
    for source in (tmp_path, tmp_path / "reconstruction.npz"):
        made = convert(source, tmp_path / f"product{extension}")
        assert made.content == "reconstruction"
        np.testing.assert_array_equal(Reconstruction.load(made.path).object_, image.object_)


def test_options_of_reading_are_kept(scan: Scan, tmp_path: Path) -> None:
    source = ptychopinn.write_scan(scan, tmp_path / "source.npz")
    made = convert(source, tmp_path / "target.npz", overrides=["data.domain=amplitude"])
    assert read_scan(made.path).domain == "amplitude"
    near = convert(source, tmp_path / "b.npz", propagation="near_field")
    assert read_scan(near.path).geometry.propagation == "near_field"


def test_a_file_of_both_is_a_scan_unless_asked_otherwise(scan: Scan, tmp_path: Path) -> None:
    source = ptychopinn.write_scan(scan, tmp_path / "scan.cxi")
    assert convert(source, tmp_path / "a.npz").content == "scan"
    made = convert(source, tmp_path / "product.h5", content="reconstruction")
    np.testing.assert_array_equal(Reconstruction.load(made.path).object_, scan.object_guess)


def test_a_product_with_patterns_elsewhere_is_a_scan(image: Reconstruction, scan: Scan, tmp_path: Path) -> None:
    product = image.save(tmp_path / "a" / "product.h5") if (tmp_path / "a").mkdir() is None else None
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["patterns"], file["indexes"] = scan.patterns, np.arange(len(scan))
    made = convert(product, tmp_path / "scan.npz", diffraction=tmp_path / "frames.h5")
    found = read_scan(made.path)
    assert made.content == "scan"
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)


REFUSED = [
    (
        "scan.npz",
        "product.h5",
        {},
        OutputError,
        r"product holds a reconstructed object, and .*scan\.npz is a scan; reco",
    ),
    ("scan.npz", "my_Product.cxi", {}, OutputError, "a product holds a reconstructed object"),
    ("scan.npz", "scan.tif", {}, OutputError, r"name a file that ends in \.npz, \.cxi or \.h5"),
    ("scan.npz", "scan.npz", {}, OutputError, "source and target are the same file"),
    ("image.npz", "image.jpg", {}, OutputError, r"ptychodus product or TIFF; .* in \.png for an image of each map"),
    ("image.npz", "b.h5", {"probe": "scan.npz"}, ConfigError, "taken for a reconstruction, but options say how a scan"),
    ("image.npz", "b.h5", {"overrides": ["data.fftshift=true"]}, ConfigError, "--as scan if it belongs to a scan"),
    ("absent.npz", "b.h5", {}, ScanError, "no such file"),
    ("text.npz", "b.h5", {}, ScanError, "no NPZ or HDF5 file"),
    ("model.zip", "b.h5", {}, OutputError, r"a model is written as a bundle; name a file that ends in \.zip"),
    ("model.zip", "b.zip", {}, BundleError, "no PtychoPINN model bundle"),
    ("model.zip", "b.zip", {"probe": "scan.npz"}, ConfigError, "taken for a model, but options say how a scan"),
    ("broken.npz", "b.h5", {}, ScanError, "cannot be read as an NPZ file"),
    ("scan.npz", "b.h5", {"content": "reconstruction"}, ScanError, "it is no reconstruction"),
    ("image.npz", "b.h5", {"content": "scan"}, ScanError, "no patterns"),
]


@pytest.mark.parametrize(("source", "target", "options", "kind", "message"), REFUSED)
def test_refusals_leave_nothing(scan, image, tmp_path, source, target, options, kind, message) -> None:
    ptychopinn.write_scan(scan, tmp_path / "scan.npz")
    image.save(tmp_path / "image.npz")
    np.savez(tmp_path / "model.npz", **{"manifest.json": np.ones(1)})
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("manifest.json", "{}")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(kind, match=message):
        convert(tmp_path / source, tmp_path / target, **options)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("extension", [".cxi", ".h5"])
def test_the_same_scan_in_another_format_gives_the_same_image(scan: Scan, tmp_path: Path, extension: str) -> None:
    other = read_scan(ptychopinn.write_scan(scan, tmp_path / f"scan{extension}"))
    images = [ptychopinn.run(data, overrides=MODEL).reconstruction for data in (scan, other)]
    np.testing.assert_allclose(images[1].object_, images[0].object_, atol=1e-5)


@pytest.mark.parametrize("extension", [".cxi", ".h5"])
def test_evaluate_takes_the_object_of_other_formats(image: Reconstruction, tmp_path: Path, extension: str) -> None:
    reference = image.save(tmp_path / f"reference{extension}")
    report = ptychopinn.evaluate(image, reference).report
    assert report["psnr_phase"] > 60


def test_evaluate_says_when_there_is_no_object(scan: Scan, image: Reconstruction, tmp_path: Path) -> None:
    reference = ptychopinn.write_scan(replace(scan, object_guess=None), tmp_path / "scan.cxi")
    with pytest.raises(PtychoPINNError, match="this CXI file holds no object"):
        ptychopinn.evaluate(image, reference)


@pytest.mark.shared_data
@pytest.mark.parametrize("patterns", [24, pytest.param(516, marks=pytest.mark.slow)])
def test_the_shared_cxi_file_gives_the_same_reconstruction_as_the_npz(shared_dir: Path, patterns: int) -> None:
    """In the frame of the NPZ, eight whole pixels further."""
    options = ["training.epochs=1", "model.generator.width=4", "data.group_size=4"]
    scans = [read_scan(shared_dir / "data" / f"siemens128.{kind}") for kind in ("npz", "cxi")]
    npz, cxi = (
        ptychopinn.run(scan.select(slice(patterns)), overrides=options, solve=False).reconstruction for scan in scans
    )
    np.testing.assert_allclose(npz.positions_px - cxi.positions_px, np.full((patterns, 2), 8.0), atol=1e-10)
    object_, coverage = cxi.in_frame((int(npz.origin_px[0]) - 8, int(npz.origin_px[1]) - 8), npz.object_.shape)
    assert (coverage[npz.covered] > 0).all()
    np.testing.assert_allclose(object_[npz.covered], npz.object_[npz.covered], atol=1e-4)


def test_an_image_as_a_tiff_stack_with_its_pixel_size(image: Reconstruction, tmp_path: Path) -> None:
    import tifffile

    error = np.full(image.object_.shape, 0.01, np.float32)
    known = replace(image, pixel_size_m=20e-9, amplitude_error=error, phase_error=2 * error)
    made = convert(known.save(tmp_path / "source.npz"), tmp_path / "new" / "image.tif")
    with tifffile.TiffFile(made.path) as file:
        pages, described = file.asarray(), file.imagej_metadata
        across, over = file.pages[0].tags["XResolution"].value
    assert described is not None
    assert described["unit"] == "um"
    assert over / across == pytest.approx(0.02, rel=1e-6)
    names = ["amplitude", "phase (rad)", "coverage", "amplitude error (standard deviation)"]
    assert described["Labels"] == [*names, "phase error (standard deviation, rad)"]
    np.testing.assert_allclose(pages[0], np.abs(image.object_), rtol=1e-6)
    np.testing.assert_allclose(pages[1], np.angle(image.object_), atol=1e-6)
    np.testing.assert_array_equal(pages[4], 2 * error)
    convert(image.save(tmp_path / "bare.npz"), tmp_path / "bare.tiff")
    with tifffile.TiffFile(tmp_path / "bare.tiff") as file:
        assert file.asarray().shape == (3, *image.object_.shape)
        assert "unit" not in (file.imagej_metadata or {})


def test_an_image_as_pictures(image: Reconstruction, tmp_path: Path) -> None:
    from PIL import Image

    error = np.full(image.object_.shape, 0.01, np.float32)
    source = replace(image, amplitude_error=error, phase_error=error).save(tmp_path / "source.npz")
    made = convert(source, tmp_path / "new" / "image.png")
    names = ["amplitude", "phase", "coverage", "probe", "amplitude_error", "phase_error"]
    assert [path.name for path in (made.path, *made.others)] == [f"image_{name}.png" for name in names]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(f"image_{name}.png" for name in names)
    for path in (made.path, *made.others):
        with Image.open(path) as picture:
            assert picture.mode in ("RGB", "RGBA")
            assert picture.width > 1000
            assert np.unique(np.asarray(picture.convert("L"))).size > 50


def test_a_scan_is_not_drawn(scan: Scan, tmp_path: Path) -> None:
    source = ptychopinn.write_scan(scan, tmp_path / "source.npz")
    with pytest.raises(OutputError, match="a scan is written as"):
        convert(source, tmp_path / "scan.png")
