"""A reconstruction keeps its types, its frame and its file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import OutputError, ScanError


def example(**changes: object) -> Reconstruction:
    rng = np.random.default_rng(0)
    object_ = rng.uniform(0.5, 1, (5, 7)) * np.exp(1j * rng.uniform(-3, 3, (5, 7)))
    coverage = np.zeros((5, 7))
    coverage[1:4, 2:6] = rng.uniform(0.1, 1, (3, 4))
    values: dict = {
        "object_": np.where(coverage > 0, object_, 1),
        "coverage": coverage,
        "origin_px": (3, -2),
        "positions_px": rng.uniform(0, 5, (4, 2)),
        "probe": rng.normal(size=(2, 4, 4)) + 1j,
        "pixel_size_m": 26e-9,
        "metadata": {"backend": "pytorch"},
    }
    return Reconstruction(**{**values, **changes})


def test_types_and_views() -> None:
    result = example()
    assert result.object_.dtype == result.probe.dtype == np.complex64
    assert result.coverage.dtype == result.amplitude.dtype == result.phase.dtype == np.float32
    assert result.origin_px.dtype == np.int64
    assert result.covered.sum() == 12
    np.testing.assert_allclose(result.amplitude * np.exp(1j * result.phase), result.object_, atol=1e-6)


def test_arrays_of_the_right_type_are_not_copied() -> None:
    object_ = np.ones((5, 7), np.complex64)
    assert example(object_=object_).object_ is object_


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"object_": np.ones(5)}, "object has shape"),
        ({"coverage": np.ones((7, 5))}, r"coverage has shape \(7, 5\); must be \(5, 7\)"),
        ({"origin_px": (1, 2, 3)}, "origin_px"),
        ({"positions_px": np.ones(4)}, "positions_px"),
        ({"positions_px": np.ones((4, 3))}, "positions_px"),
        ({"probe": np.ones((4, 4))}, r"probe has shape \(4, 4\); must be \(M, H, W\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict, part: str) -> None:
    with pytest.raises(ScanError, match=part):
        example(**changes)


def test_another_frame_that_contains_the_canvas() -> None:
    result = example()
    object_, coverage = result.in_frame((0, -4), (12, 11))
    np.testing.assert_array_equal(object_[3:8, 2:9], result.object_)
    np.testing.assert_array_equal(coverage[3:8, 2:9], result.coverage)
    outside = np.ones((12, 11), bool)
    outside[3:8, 2:9] = False
    assert (object_[outside] == 1).all()
    assert (coverage[outside] == 0).all()
    assert object_.dtype == np.complex64
    assert coverage.dtype == np.float32


@pytest.mark.parametrize("origin", [(y, x) for y in (-9, 0, 2, 3, 5, 9, 40) for x in (-12, -5, -2, 1, 4, 30)])
def test_another_frame_agrees_with_looking_up_each_element(origin: tuple[int, int]) -> None:
    result = example()
    object_, coverage = result.in_frame(origin, (6, 4))
    for y in range(6):
        for x in range(4):
            own = (y + origin[0] - 3, x + origin[1] + 2)
            inside = 0 <= own[0] < 5 and 0 <= own[1] < 7
            assert object_[y, x] == (result.object_[own] if inside else 1)
            assert coverage[y, x] == (result.coverage[own] if inside else 0)


def test_save_and_load(tmp_path: Path) -> None:
    result = example(metadata={"photons": np.float32(3), "from": Path("a.npz"), "list": np.arange(2)})
    assert result.save(tmp_path) == tmp_path / "reconstruction.npz"
    back = Reconstruction.load(tmp_path)
    for name in ("object_", "coverage", "origin_px", "positions_px", "probe", "amplitude", "phase"):
        np.testing.assert_array_equal(getattr(back, name), getattr(result, name))
        assert getattr(back, name).dtype == getattr(result, name).dtype
    assert back.pixel_size_m == 26e-9
    assert back.metadata == {"photons": 3.0, "from": "a.npz", "list": [0, 1]}


def test_the_file_holds_the_documented_keys(tmp_path: Path) -> None:
    file = example().save(tmp_path / "r.npz")
    with np.load(file, allow_pickle=False) as archive:
        names = set(archive.files)
        assert archive["amplitude"].dtype == archive["phase"].dtype == np.float32
        assert json.loads(str(archive["_metadata"])) == {"backend": "pytorch"}
    documented = {"object", "amplitude", "phase", "coverage", "origin_px", "positions_px", "probe"}
    assert names == documented | {"pixel_size_m", "_metadata"}
    unknown = example(pixel_size_m=None).save(tmp_path / "s.npz")
    with np.load(unknown, allow_pickle=False) as archive:
        assert set(archive.files) == documented | {"_metadata"}
    assert Reconstruction.load(unknown).pixel_size_m is None


def test_what_a_prior_added_is_an_optional_key(tmp_path: Path) -> None:
    image = example()
    assert Reconstruction.load(image.save(tmp_path / "plain.npz")).prior_correction is None
    assert "prior_correction" not in np.load(tmp_path / "plain.npz").files
    added = np.full(image.object_.shape, 0.5j)
    back = Reconstruction.load(replace(image, prior_correction=added).save(tmp_path / "corrected.npz"))
    assert back.prior_correction is not None
    assert back.prior_correction.dtype == np.complex64
    np.testing.assert_array_equal(back.prior_correction, added)
    with pytest.raises(ScanError, match="prior_correction has shape"):
        replace(image, prior_correction=added[1:])


def test_metadata_that_are_no_json_leave_the_old_file(tmp_path: Path) -> None:
    file = example().save(tmp_path)
    before = file.read_bytes()
    with pytest.raises(OutputError, match="metadata cannot be written"):
        example(metadata={"bad": object()}).save(tmp_path)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        example().save(tmp_path / "none" / "r.npz")


def stored(path: Path, **changes: object) -> Path:
    """The arrays of a good file with some of them replaced, or left out by None."""
    with np.load(example().save(path), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"object": None, "probe": None}, "lacks object, probe"),
        ({"coverage": np.ones(3)}, "coverage has shape"),
        ({"origin_px": np.array(["a", "b"])}, "type that a reconstruction cannot use"),
        ({"pixel_size_m": np.ones(3)}, "type that a reconstruction cannot use"),
        ({"probe": np.array([{}], dtype=object)}, "probe is an object array, which is never unpickled"),
        ({"_metadata": np.asarray("{")}, "_metadata is not valid JSON"),
        ({"_metadata": np.asarray("[]")}, "_metadata is no JSON dictionary"),
        ({"_metadata": np.asarray(["a", "b"])}, "_metadata is not valid JSON"),
    ],
)
def test_files_with_wrong_content_are_refused(tmp_path: Path, changes: dict, part: str) -> None:
    path = stored(tmp_path / "r.npz", **changes)
    with pytest.raises(ScanError, match=part) as caught:
        Reconstruction.load(path)
    assert str(path) in str(caught.value)


def test_files_without_metadata_are_read(tmp_path: Path) -> None:
    assert Reconstruction.load(stored(tmp_path / "r.npz", _metadata=None)).metadata == {}


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such reconstruction"):
        Reconstruction.load(tmp_path)
    file = example().save(tmp_path)
    data = file.read_bytes()
    for kept in (0, 1, 60, len(data) // 2, len(data) - 5):
        file.write_bytes(data[:kept])
        with pytest.raises(ScanError, match=r"not an NPZ|cannot be read"):
            Reconstruction.load(file)
    file.write_bytes(b"\x93NUMPY")
    with pytest.raises(ScanError, match="not an NPZ"):
        Reconstruction.load(file)
