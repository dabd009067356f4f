"""Objects, pictures, probes and positions from files: what is taken, what is refused, and where it comes to lie."""

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from ptychopinn.config import SimulationConfig
from ptychopinn.data import write_scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError, ScanError
from ptychopinn.simulation import (
    load_object,
    load_picture,
    load_positions,
    load_probe,
    make_object,
    make_probe,
    record_patterns,
    simulate,
)

SIZE = 16


@pytest.fixture
def sample() -> np.ndarray:
    return make_object("dead_leaves", (48, 56), np.random.default_rng(0))


@pytest.fixture
def beam() -> np.ndarray:
    return make_probe("disk", SIZE, modes=2, photons_per_pattern=50.0)


POSITIONS = np.array([[20.25, 30.5], [24.0, 25.75], [28.5, 33.0]])


@pytest.fixture
def reconstruction(tmp_path: Path, sample: np.ndarray, beam: np.ndarray) -> Path:
    """A reconstruction whose canvas begins at row 3, column -5."""
    coverage = np.ones(sample.shape, np.float32)
    return Reconstruction(sample, coverage, np.array([3, -5]), POSITIONS, beam).save(tmp_path / "reconstruction.npz")


@pytest.fixture
def plain(tmp_path: Path, sample: np.ndarray, beam: np.ndarray) -> Path:
    """Object, probe and positions without patterns."""
    path = tmp_path / "plain.npz"
    x, y = POSITIONS[:, 1], POSITIONS[:, 0]
    np.savez(path, objectGuess=sample, probeGuess=beam, xcoords=x, ycoords=y)
    return path


def test_object_of_a_file_without_patterns_and_of_an_array(plain: Path, tmp_path: Path, sample: np.ndarray) -> None:
    np.save(tmp_path / "object.npy", sample.astype(np.complex128))
    for path in (plain, tmp_path / "object.npy"):
        object_, origin = load_object(path)
        np.testing.assert_allclose(object_, sample)
        assert object_.dtype == np.complex64
        assert origin.tolist() == [0, 0]


def test_object_of_a_reconstruction_brings_its_origin(reconstruction: Path, sample: np.ndarray) -> None:
    object_, origin = load_object(reconstruction)
    np.testing.assert_array_equal(object_, sample)
    assert origin.tolist() == [3, -5]


@pytest.mark.parametrize("shape", [(2, SIZE, SIZE), (SIZE, SIZE), (SIZE, SIZE, 1)])
def test_probe_of_every_rank(tmp_path: Path, beam: np.ndarray, shape: tuple[int, ...]) -> None:
    given = beam if shape[0] == 2 else beam[0].reshape(shape)
    np.save(tmp_path / "probe.npy", given)
    np.testing.assert_array_equal(load_probe(tmp_path / "probe.npy", SIZE), beam if shape[0] == 2 else beam[:1])


def test_probe_of_a_reconstruction_and_of_a_scan(reconstruction: Path, plain: Path, beam: np.ndarray) -> None:
    for path in (reconstruction, plain):
        np.testing.assert_array_equal(load_probe(path, SIZE), beam)


def test_probe_of_another_size_is_refused_with_the_setting_that_fits(plain: Path) -> None:
    with pytest.raises(ScanError, match=r"set simulation\.probe_size_px=16"):
        load_probe(plain, 32)


def test_positions_of_every_kind_of_file(reconstruction: Path, plain: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "positions.npy", POSITIONS)
    for path in (reconstruction, plain, tmp_path / "positions.npy"):
        np.testing.assert_array_equal(load_positions(path, SIZE), POSITIONS)


def test_positions_of_a_client_export_mean_the_geometric_centre(tmp_path: Path) -> None:
    path = tmp_path / "export.npz"
    np.savez(path, xcoords=POSITIONS[:, 1], ycoords=POSITIONS[:, 0], diff3d=np.ones(3), bad_pixels=np.zeros(3))
    np.testing.assert_array_equal(load_positions(path, SIZE), POSITIONS + 0.5)
    np.testing.assert_array_equal(load_positions(path, SIZE + 1), POSITIONS)


def test_positions_of_a_scan_that_we_wrote_come_back(tmp_path: Path) -> None:
    scan = simulate(SimulationConfig(object_size_px=40, probe_size_px=SIZE))
    path = write_scan(scan, tmp_path / "scan.npz")
    np.testing.assert_array_equal(load_positions(path, SIZE), scan.positions_px)


def from_files(path: Path, **settings: object) -> SimulationConfig:
    kinds = {"object_kind": "file", "probe_kind": "file", "scan_kind": "file"}
    files = {"object_file": path, "probe_file": path, "scan_file": path}
    return SimulationConfig.model_validate({**kinds, **files, "probe_size_px": SIZE, **settings})


def test_everything_from_a_file_is_recorded_as_it_lies_there(plain: Path, sample: np.ndarray, beam: np.ndarray) -> None:
    scan = simulate(from_files(plain, photons_per_pattern=50.0, poisson_noise=False))
    np.testing.assert_array_equal(scan.object_guess, sample)
    np.testing.assert_array_equal(scan.positions_px, POSITIONS)
    np.testing.assert_allclose(scan.probe, beam, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scan.patterns, record_patterns(sample, beam, POSITIONS, None), rtol=1e-3, atol=1e-4)


def test_everything_from_a_reconstruction_is_moved_by_its_origin(reconstruction: Path) -> None:
    scan = simulate(from_files(reconstruction))
    np.testing.assert_array_equal(scan.positions_px, POSITIONS - [3, -5])


def test_all_modes_of_a_file_are_used_unless_a_number_is_given(plain: Path) -> None:
    assert [len(simulate(from_files(plain, probe_modes=m)).probe) for m in (None, 1, 3)] == [2, 1, 3]


def test_positions_of_a_file_are_centred_on_a_drawn_object(plain: Path) -> None:
    scan = simulate(from_files(plain, object_kind="points", object_file=None, object_size_px=60))
    np.testing.assert_allclose(scan.positions_px.min(axis=0) + scan.positions_px.max(axis=0), [60, 60])
    np.testing.assert_allclose(np.diff(scan.positions_px, axis=0), np.diff(POSITIONS, axis=0))


def test_positions_outside_an_object_from_a_file_are_refused(plain: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "far.npy", POSITIONS + 20)
    with pytest.raises(PtychoPINNError, match="leave the canvas"):
        simulate(from_files(plain, scan_file=tmp_path / "far.npy"))


@pytest.mark.shared_data
def test_measured_object_probe_and_positions(shared_dir: Path) -> None:
    """The set has no patterns; its probe and object come from an X-ray laser."""
    path = shared_dir / "data" / "run1084_object_probe.npz"
    scan = simulate(from_files(path, probe_size_px=64, photons_per_pattern=1e6))
    assert scan.patterns.shape == (1087, 64, 64)
    (y, x), guess = np.rint(scan.positions_px[0]).astype(int), scan.object_guess
    assert guess is not None
    through = np.square(np.abs(scan.probe[0] * guess[y - 32 : y + 32, x - 32 : x + 32])).sum()
    assert scan.patterns[0].sum(dtype=np.float64) == pytest.approx(through, rel=0.02)


def test_picture_from_png_npy_and_npz_is_the_same(tmp_path: Path) -> None:
    grey = (np.arange(64 * 48) % 251).reshape(64, 48).astype(np.uint8)
    imsave(tmp_path / "grey.png", grey, check_contrast=False)
    np.save(tmp_path / "grey.npy", grey.astype(np.float32))
    np.savez(tmp_path / "grey.npz", image=grey)
    pictures = [load_picture(tmp_path / f"grey.{end}", (32, 24)) for end in ("png", "npy", "npz")]
    for picture in pictures:
        assert picture.shape == (32, 24)
        np.testing.assert_allclose(picture, pictures[0], atol=1e-6)


def test_colours_become_grey(tmp_path: Path) -> None:
    colour = np.zeros((40, 40, 3), np.uint8)
    colour[:, 10:20, 0] = colour[:, 20:30, 1] = colour[:, 30:, 2] = 255
    imsave(tmp_path / "colour.png", colour, check_contrast=False)
    picture = load_picture(tmp_path / "colour.png", (40, 40))
    levels = picture[20, [5, 15, 25, 35]]
    assert levels[0] == 0 < levels[3] < levels[1] < levels[2] == 1


def test_picture_is_cut_to_the_sides_ratio_and_not_stretched(tmp_path: Path) -> None:
    y, x = np.indices((60, 200))
    np.save(tmp_path / "disk.npy", (np.hypot(y - 29.5, x - 99.5) < 20).astype(float))
    picture = load_picture(tmp_path / "disk.npy", (90, 90))
    assert np.count_nonzero(picture[45] > 0.5) == pytest.approx(60, abs=2)
    assert np.count_nonzero(picture[:, 45] > 0.5) == pytest.approx(60, abs=2)


def test_bright_is_transparent_and_a_second_picture_is_the_phase(tmp_path: Path) -> None:
    left, top = np.zeros((40, 40)), np.zeros((40, 40))
    left[:, :20], top[:20] = 1, 1
    np.save(tmp_path / "left.npy", left)
    np.save(tmp_path / "top.npy", top)
    config = SimulationConfig(
        object_kind="image", object_file=tmp_path / "left.npy", object_size_px=40, probe_size_px=16, amplitude_min=0.5
    )
    alone = simulate(config).object_guess
    assert alone is not None
    np.testing.assert_allclose(np.abs(alone[20, [5, 35]]), [1, 0.5], rtol=1e-5)
    np.testing.assert_allclose(np.angle(alone[20, [5, 35]]), [0.8, -0.8], rtol=1e-5)
    both = simulate(config.changed(phase_image_file=tmp_path / "top.npy")).object_guess
    assert both is not None
    np.testing.assert_allclose(np.abs(both), np.abs(alone), rtol=1e-5)
    np.testing.assert_allclose(np.angle(both[[5, 35], 20]), [0.8, -0.8], rtol=1e-5)


def broken(folder: Path) -> dict[str, Path]:
    paths = {name: folder / name for name in ("pickled.npz", "text.png", "real.npy", "flat.npy", "nan.npy", "none.npz")}
    np.savez(paths["pickled.npz"], object=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    paths["text.png"].write_text("no picture")
    paths["cut.png"] = folder / "cut.png"
    imsave(paths["cut.png"], np.eye(40, dtype=np.uint8), check_contrast=False)
    paths["cut.png"].write_bytes(paths["cut.png"].read_bytes()[:45])
    np.save(paths["real.npy"], np.ones((20, 20)))
    np.save(paths["flat.npy"], np.ones((20, 20)))
    np.save(paths["nan.npy"], np.full((20, 20), np.nan + 1j))
    np.savez(paths["none.npz"], other=np.ones(3))
    paths["cut.npz"] = folder / "cut.npz"
    paths["cut.npz"].write_bytes(paths["none.npz"].read_bytes()[:60])
    return paths | {"missing.npz": folder / "missing.npz", "folder": folder}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pickled.npz", "never unpickled"),
        ("text.png", "is neither NPZ nor NPY"),
        ("real.npy", "set simulation.object_kind=image"),
        ("nan.npy", "must be complex, finite"),
        ("none.npz", "holds none of object, objectGuess"),
        ("cut.npz", "cannot be read"),
        ("missing.npz", "no such file"),
        ("folder", "is a folder"),
    ],
)
def test_a_file_without_an_object_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ScanError, match=message):
        load_object(broken(tmp_path)[name])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.png", "is no picture"),
        ("cut.png", "cannot be read as a picture"),
        ("flat.npy", "no contrast"),
        ("nan.npy", "object_kind=file"),
    ],
)
def test_a_file_without_a_picture_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ScanError, match=message):
        load_picture(broken(tmp_path)[name], (32, 32))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 3)), "must be complex"),
        (np.zeros((SIZE, SIZE), complex), "not all zero"),
        (np.ones(SIZE, complex), r"\(H, W\) or"),
    ],
)
def test_an_array_that_is_no_probe_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "probe.npy", array)
    with pytest.raises(ScanError, match=message):
        load_probe(tmp_path / "probe.npy", SIZE)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, 3)), "must be"),
        (np.ones((2, 2), complex), "real numbers"),
        (np.empty((0, 2)), "must be"),
        (np.array([[1.0, np.nan]]), "NaN"),
    ],
)
def test_an_array_that_is_no_list_of_positions_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "positions.npy", array)
    with pytest.raises(ScanError, match=message):
        load_positions(tmp_path / "positions.npy", SIZE)


def test_coordinates_of_different_length_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", xcoords=np.ones(3), ycoords=np.ones(2))
    with pytest.raises(ScanError, match="must be"):
        load_positions(tmp_path / "odd.npz", SIZE)
