"""Viewers of NeXus draw our HDF5 files at once: checked with silx, which follows the same rules as H5Web."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from silx.io.nxdata import get_default

from ptychopinn.data import Scan, write_scan
from ptychopinn.data.io.cxi_writer import write_cxi_object
from ptychopinn.data.io.ptychodus_writer import write_product
from ptychopinn.data.reconstruction import Reconstruction

WRITERS = {".cxi": write_cxi_object, ".h5": write_product}


@pytest.fixture
def image(scan_of) -> Reconstruction:
    """With an object that is not square."""
    scan: Scan = scan_of()
    rng = np.random.default_rng(5)
    object_ = (1 + rng.normal(size=(40, 52, 2)) @ [0.1, 0.1j]).astype(np.complex64)
    bars = {name: rng.uniform(0.01, 0.02, object_.shape).astype(np.float32) for name in ("amplitude", "phase")}
    return Reconstruction(
        object_=object_,
        coverage=np.ones(object_.shape, np.float32),
        origin_px=np.array([3, -4]),
        positions_px=scan.positions_px,
        probe=scan.probe,
        pixel_size_m=scan.pixel_size_m,
        geometry=scan.geometry,
        amplitude_error=bars["amplitude"],
        phase_error=bars["phase"],
    )


@pytest.mark.parametrize("extension", [".cxi", ".h5"])
def test_the_patterns_of_a_scan_are_drawn(scan_of, tmp_path: Path, extension: str) -> None:
    scan = scan_of()
    with h5py.File(write_scan(scan, tmp_path / f"scan{extension}")) as file:
        shown = get_default(file, validate=True)
        assert shown is not None
        assert shown.is_valid
        np.testing.assert_array_equal(shown.signal[()], scan.patterns)


@pytest.mark.parametrize("extension", WRITERS)
def test_the_amplitude_of_an_object_is_drawn_over_micrometres(image, tmp_path: Path, extension: str) -> None:
    path = WRITERS[extension](image, tmp_path / f"image{extension}")
    with h5py.File(path) as file:
        shown = get_default(file, validate=True)
        assert shown.is_valid
        assert shown.signal_name == "amplitude"
        np.testing.assert_allclose(shown.signal[()], np.abs(image.object_), rtol=1e-6)
        np.testing.assert_allclose(shown.errors[()], image.amplitude_error)
        assert [axis.attrs["units"] for axis in shown.axes] == ["um", "um"]
        for axis, count in zip(shown.axes, image.object_.shape, strict=True):
            np.testing.assert_allclose(np.diff(axis[()]), image.pixel_size_m * 1e6, rtol=1e-3)
            assert len(axis) == count
        assert shown.axes[0][0] != shown.axes[1][0]
        phase = file[shown.group.name.replace("amplitude", "phase")]
        np.testing.assert_allclose(phase["phase"][()], np.angle(image.object_), rtol=1e-5)
        assert phase["phase"].attrs["units"] == "rad"


@pytest.mark.parametrize("extension", WRITERS)
def test_the_axes_lie_in_the_frame_of_the_positions(image, tmp_path: Path, extension: str) -> None:
    """A position in the file, and the pixel of the axes on which it lies."""
    path = WRITERS[extension](image, tmp_path / f"image{extension}")
    with h5py.File(path) as file:
        axes = get_default(file, validate=True).axes
        if extension == ".cxi":
            positions_m = file["entry_1/sample_1/geometry_1/translation"][()][:, 1::-1]
        else:
            positions_m = np.stack([file[f"probe_position_{name}_m"][()] for name in "yx"], -1)
        for side in range(2):
            pixel = np.interp(positions_m[:, side] * 1e6, axes[side][()], np.arange(image.object_.shape[side]))
            half = (image.probe.shape[-1] - 1) / 2 - image.probe.shape[-1] // 2
            expected = image.positions_px[:, side] - image.origin_px[side] + half
            np.testing.assert_allclose(pixel, expected, atol=1e-3)
