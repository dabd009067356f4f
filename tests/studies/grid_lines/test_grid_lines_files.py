"""Files of grid-lines data: what is written comes back, and what the earlier system wrote is paired again."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptychopinn.errors import OutputError, ScanError
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import GridLinesData, GridLinesSplit, make_grid_lines
from ptychopinn.studies.grid_lines.files import file_arrays, write_grid_lines, write_split
from ptychopinn.studies.grid_lines.reader import count_scale, is_grid_lines, read_grid_lines

Arrays = dict[str, NDArray[Any]]


def config(gridsize: int) -> GridLinesConfig:
    return GridLinesConfig(N=16, size=48, gridsize=gridsize, offset=3, nimgs_train=2, nimgs_test=2, nphotons=1e8)


@pytest.fixture(scope="module", params=[1, 2])
def data(request: pytest.FixtureRequest) -> GridLinesData:
    return make_grid_lines(config(request.param))


def equal(first: GridLinesSplit, second: GridLinesSplit) -> None:
    np.testing.assert_array_equal(first.amplitudes, second.amplitudes)
    np.testing.assert_array_equal(first.scene.objects, second.scene.objects)
    np.testing.assert_array_equal(first.scene.object_index, second.scene.object_index)
    np.testing.assert_array_equal(first.scene.positions_px, second.scene.positions_px)
    np.testing.assert_array_equal(first.probe, second.probe)
    np.testing.assert_array_equal(first.truth, second.truth)
    assert first.norm == second.norm
    assert first.split == second.split


def test_what_is_written_comes_back(data: GridLinesData, tmp_path: Path) -> None:
    paths = write_grid_lines(data, tmp_path / "outputs")
    folder = tmp_path / "outputs" / "datasets" / "N16" / f"gs{data.config.gridsize}"
    assert paths == (folder / "train.npz", folder / "test.npz")
    for path, part in zip(paths, (data.train, data.test), strict=True):
        back = read_grid_lines(path)
        equal(back, part)
        assert back.intensity_scale == part.intensity_scale
        assert back.metadata == json.loads(json.dumps(part.metadata))


def test_metadata_are_text_and_make_the_data_again(data: GridLinesData, tmp_path: Path) -> None:
    with np.load(write_split(data.train, tmp_path / "train.npz"), allow_pickle=False) as archive:
        metadata = json.loads(str(archive["_metadata"]))
    settings = metadata["additional_parameters"] | metadata["physics_parameters"]
    fields = {key: settings[key] for key in GridLinesConfig.model_fields}
    again = make_grid_lines(GridLinesConfig(**fields | {"probe_transform_pipeline": None}))
    equal(again.train, data.train)


def earlier(split: GridLinesSplit) -> Arrays:
    """As the earlier system would have written it: coordinates neither shuffled nor grouped by object."""
    layout, count = split.scene.layout, len(split.scene.objects)
    offsets = np.repeat(layout.positions_px() - 0.5, count, axis=0)
    return file_arrays(split) | {"coords_offsets": np.swapaxes(offsets, 1, 2)[:, None].astype(np.float32)}


@pytest.mark.parametrize("without", [(), ("Y_I", "Y_phi")])
def test_shuffled_patterns_of_the_earlier_system_are_paired(
    data: GridLinesData, tmp_path: Path, without: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """By the windows they show, or, without `Y_I`, by the patterns themselves."""
    caplog.set_level("INFO", logger="ptychopinn.data")
    arrays = {key: array for key, array in earlier(data.train).items() if key not in without}
    np.savez(tmp_path / "train.npz", **arrays)
    back = read_grid_lines(tmp_path / "train.npz")
    equal(back, data.train)
    assert back.intensity_scale == pytest.approx(data.train.intensity_scale, rel=1e-6)
    assert "patterns are shuffled and coordinates are not" in caplog.text


def test_pickled_metadata_are_left_alone(data: GridLinesData, tmp_path: Path) -> None:
    trap = np.array({"schema_version": "1.0.0"}, dtype=object)
    np.savez(tmp_path / "test.npz", **file_arrays(data.test), _metadata=trap)
    back = read_grid_lines(tmp_path / "test.npz")
    equal(back, data.test)
    assert back.metadata == {}


def test_both_parts_in_one_file(data: GridLinesData, tmp_path: Path) -> None:
    both = {f"{part.split}__{key}": array for part in (data.train, data.test) for key, array in earlier(part).items()}
    shared = {"probe_simulated": both.pop("train__probe_simulated"), "probeGuess": both.pop("train__probeGuess")}
    np.savez(tmp_path / "both.npz", **both, **shared)
    equal(read_grid_lines(tmp_path / "both.npz", "train"), data.train)
    equal(read_grid_lines(tmp_path / "both.npz", "test"), data.test)
    with pytest.raises(ScanError, match="say which part you want, split='train' or 'test'"):
        read_grid_lines(tmp_path / "both.npz")


@pytest.mark.parametrize("smallest", [1, 4, 90])
def test_count_scale(smallest: int) -> None:
    """The smallest amplitude need not be one count."""
    counts = np.random.default_rng(0).poisson(40.0, (50, 1, 16, 16)) + smallest
    counts[0, 0, 0, 0] = smallest
    amplitudes = (np.sqrt(counts) / 27.5).astype(np.float32)
    assert count_scale(amplitudes) == pytest.approx(27.5, rel=1e-6)


def test_amplitudes_without_noise_have_no_count_scale() -> None:
    amplitudes = np.random.default_rng(0).uniform(0, 1, (5, 1, 16, 16)).astype(np.float32)
    with pytest.raises(ScanError, match="no scale makes whole counts"):
        count_scale(amplitudes)


def test_what_is_no_grid_lines_file_is_refused(data: GridLinesData, tmp_path: Path) -> None:
    arrays = file_arrays(data.test)
    cases: dict[str, tuple[Arrays, str]] = {
        "lacks": ({"diffraction": arrays["diffraction"]}, "lacks YY_full, probe_simulated"),
        "shape": (arrays | {"probe_simulated": np.ones((8, 8))}, "do not fit; must be"),
        "groups": (arrays | {"diffraction": arrays["diffraction"][1:]}, "groups of patterns, but its coordinates"),
        "unplaced": ({k: v for k, v in arrays.items() if k != "coords_offsets"}, "neither coords_offsets nor"),
        "twice": (arrays | {"Y_I": np.repeat(arrays["Y_I"][:1], len(arrays["Y_I"]), 0)}, "show only 1 of"),
    }
    for name, (content, message) in cases.items():
        np.savez(tmp_path / f"{name}.npz", **content)
        with pytest.raises(ScanError, match=message):
            read_grid_lines(tmp_path / f"{name}.npz")


def test_files_that_cannot_be_opened_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such file"):
        read_grid_lines(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ScanError, match="cannot be read"):
        read_grid_lines(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(ScanError, match="single array"):
        read_grid_lines(tmp_path / "one.npy")


def test_damaged_files_are_refused(data: GridLinesData, tmp_path: Path) -> None:
    path = write_split(data.test, tmp_path / "test.npz")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("Y_I.npy").header_offset + 400
    content = bytearray(path.read_bytes())
    content[start : start + 100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ScanError, match="cannot be read"):
        read_grid_lines(path)


def test_recognition(data: GridLinesData, tmp_path: Path) -> None:
    assert is_grid_lines(write_split(data.test, tmp_path / "test.npz"))
    np.savez(tmp_path / "scan.npz", diffraction=np.ones((2, 8, 8)), xcoords=np.ones(2))
    (tmp_path / "text.npz").write_text("no archive")
    assert not any(is_grid_lines(tmp_path / name) for name in ("scan.npz", "text.npz", "absent.npz"))


def test_a_folder_in_the_way_is_refused(data: GridLinesData, tmp_path: Path) -> None:
    (tmp_path / "train.npz").mkdir()
    with pytest.raises(OutputError, match="a folder has that name"):
        write_split(data.train, tmp_path / "train.npz")
