"""A reconstruction in other formats, and the objects of other programs."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn.data.geometry import Geometry
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import OutputError, ScanError

FORMATS = (".npz", ".cxi", ".h5")


def example(size: int = 6, **changes: object) -> Reconstruction:
    rng = np.random.default_rng(0)
    shape = (21, 17)
    coverage = np.where(rng.random(shape) < 0.8, rng.uniform(0.1, 1, shape), 0)
    values: dict = {
        "object_": np.where(coverage > 0, rng.uniform(0.5, 1, shape) * np.exp(1j * rng.uniform(-3, 3, shape)), 1),
        "coverage": coverage,
        "origin_px": (3, -2),
        "positions_px": rng.uniform(3, 12, (4, 2)),
        "probe": rng.normal(size=(2, size, size)) + 1j,
        "pixel_size_m": 26e-9,
        "geometry": Geometry(8800.0),
        "metadata": {"backend": "pytorch", "path": Path("a")},
    }
    return Reconstruction(**{**values, **changes})


VARIANTS: dict[str, dict] = {
    "plain": {},
    "odd": {"size": 5},
    "one mode": {"probe": np.ones((1, 6, 6), complex)},
    "unknown pixel": {"pixel_size_m": None},
    "in metres of its scan": {"metadata": {"frame_origin_m": [1e-6, -2e-6]}},
    "near field": {"geometry": Geometry(detector_pixel_m=55e-6, propagation="near_field")},
}


def assert_same(found: Reconstruction, image: Reconstruction) -> None:
    for name in ("object_", "coverage", "origin_px", "probe"):
        np.testing.assert_array_equal(getattr(found, name), getattr(image, name), err_msg=name)
    np.testing.assert_allclose(found.positions_px, image.positions_px, atol=1e-9)
    expected = None if image.pixel_size_m is None else pytest.approx(image.pixel_size_m, rel=1e-12)
    assert found.pixel_size_m == expected
    told = {key: str(value) if isinstance(value, Path) else value for key, value in image.metadata.items()}
    assert told.items() <= found.metadata.items()
    assert found.geometry == image.geometry


@pytest.mark.parametrize("extension", FORMATS)
def test_formats_with_the_mean_probe_alone_say_so_once(
    tmp_path: Path, extension: str, caplog: pytest.LogCaptureFixture
) -> None:
    weights = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    steady = example()
    varying = replace(steady, relaxation_modes=0.1 * steady.probe[None], relaxation_weights=weights)
    steady.save(tmp_path / f"steady{extension}")
    assert not caplog.records
    found = Reconstruction.load(varying.save(tmp_path / f"varying{extension}"))
    np.testing.assert_array_equal(found.probe, varying.probe)
    said = [record.getMessage() for record in caplog.records]
    if extension == ".npz":
        assert said == []
        assert found.relaxation_modes is not None
    else:
        (sentence,) = said
        assert "the file holds the mean probe alone; its modes with 1.0% of the photons" in sentence
        assert found.relaxation_modes is None


@pytest.mark.parametrize("extension", [*FORMATS, ".hdf5"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_comes_back(tmp_path: Path, extension: str, variant: str) -> None:
    image = example(**VARIANTS[variant])
    path = tmp_path / f"result{extension}"
    assert image.save(path) == path
    assert_same(Reconstruction.load(path), image)


@pytest.mark.parametrize(("first", "second"), list(permutations(FORMATS, 2)))
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_survives_two_formats(tmp_path: Path, first: str, second: str, variant: str) -> None:
    image = example(**VARIANTS[variant])
    once = Reconstruction.load(image.save(tmp_path / f"once{first}"))
    assert_same(Reconstruction.load(once.save(tmp_path / f"twice{second}")), image)


def test_other_extensions_are_refused(tmp_path: Path) -> None:
    rule = r"as NPZ, CXI, ptychodus product or TIFF; name a file that ends in \.npz, \.cxi"
    with pytest.raises(OutputError, match=rule):
        example().save(tmp_path / "result.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", FORMATS)
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"result{extension}"
    path.write_text("old")
    with pytest.raises(OutputError, match="metadata cannot be written"):
        example(metadata={"bad": object()}).save(path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("extension", [".cxi", ".h5"])
def test_files_of_other_programs_tell_no_coverage(tmp_path: Path, extension: str) -> None:
    """It is the light that fell on each pixel; the object stays as it is, also where no light fell."""
    positions = np.array([[8.0, 6.0], [11.0, 7.0]])
    image = example(origin_px=(0, 0), positions_px=positions, probe=np.ones((1, 6, 6), complex))
    path = image.save(tmp_path / f"result{extension}")
    with h5py.File(path, "a") as file:
        del (file["entry_1"] if extension == ".cxi" else file)["ptychopinn"]
    found = Reconstruction.load(path)
    expected = np.zeros(image.object_.shape)
    expected[5:11, 3:9] += 0.5
    expected[8:14, 4:10] += 0.5
    np.testing.assert_allclose(found.coverage, expected)
    np.testing.assert_array_equal(found.object_, image.object_)
    assert found.origin_px.tolist() == [0, 0]
    np.testing.assert_allclose(found.positions_px, positions, atol=1e-9)
    assert found.geometry.energy_eV == pytest.approx(8800)


@pytest.mark.parametrize("corner", [[0.0, 0.0], [20.0, 16.0], [-40.0, 5.0]])
def test_light_that_leaves_the_canvas(tmp_path: Path, corner: list[float]) -> None:
    positions = np.array([[8.0, 6.0], corner])
    rng = np.random.default_rng(1)
    image = example(origin_px=(0, 0), positions_px=positions, probe=rng.uniform(1, 2, (1, 6, 6)) + 0j)
    path = image.save(tmp_path / "result.h5")
    with h5py.File(path, "a") as file:
        del file["ptychopinn"]
    padded = np.zeros((121, 117))
    for y, x in positions.astype(int) + 50 - 3:
        padded[y : y + 6, x : x + 6] += np.abs(image.probe[0]) ** 2
    light = padded[50:71, 50:67]
    np.testing.assert_allclose(Reconstruction.load(path).coverage, light / light.max(), rtol=1e-5)


@pytest.mark.parametrize("member", ["object", "probe", "probe_position_x_m"])
def test_a_product_that_lacks_a_part(tmp_path: Path, member: str) -> None:
    path = example().save(tmp_path / "result.h5")
    with h5py.File(path, "a") as file:
        del file[member]
    with pytest.raises(ScanError, match=r"result\.h5: .*(holds no|not known)"):
        Reconstruction.load(path)


def test_an_own_group_that_is_not_ours(tmp_path: Path) -> None:
    path = example().save(tmp_path / "result.h5")
    with h5py.File(path, "a") as file:
        del file["ptychopinn/json"]
    with pytest.raises(ScanError, match=r"ptychopinn: holds no valid JSON; delete the group"):
        Reconstruction.load(path)


def test_coverage_of_another_shape(tmp_path: Path) -> None:
    path = example().save(tmp_path / "result.h5")
    with h5py.File(path, "a") as file:
        del file["ptychopinn/coverage"]
        file["ptychopinn/coverage"] = np.ones((3, 3))
    with pytest.raises(ScanError, match=r"result\.h5: reconstruction: coverage has shape \(3, 3\)"):
        Reconstruction.load(path)


@pytest.mark.shared_data
def test_the_shared_product(shared_dir) -> None:
    found = Reconstruction.load(shared_dir / "data" / "siemens128_product.h5")
    with np.load(shared_dir / "data" / "siemens128.npz") as archive:
        np.testing.assert_array_equal(found.object_, archive["objectGuess"])
        np.testing.assert_allclose(found.positions_px[:, 1], archive["xcoords"], atol=1e-9)
        np.testing.assert_allclose(found.positions_px[:, 0], archive["ycoords"], atol=1e-9)
    assert found.pixel_size_m == pytest.approx(26e-9)
    assert 0.5 < found.covered.mean() < 1
