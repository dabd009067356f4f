"""Files of PtyRAD, fold_slice, PtychoShelves (MATLAB 7.3), and frames with a table of positions, with right numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import ptychopinn
from ptychopinn.data import read_scan
from ptychopinn.data.geometry import energy_eV
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

N, PIXEL_M, DISTANCE_M, DETECTOR_M = 16, 40e-9, 1.2, 75e-6
WAVELENGTH_M = PIXEL_M * N * DETECTOR_M / DISTANCE_M
SHAPE = (50, 58)
RNG = np.random.default_rng(4)
CORNERS = np.array([(y, x) for y in (5, 11, 17, 25) for x in (4, 12, 20, 28, 36)]) + RNG.uniform(-0.4, 0.4, (20, 2))
"""Where the patches begin in the object, px."""
ELEMENTS = CORNERS + N // 2
PROBE = (RNG.normal(size=(2, N, N)) + 1j * RNG.normal(size=(2, N, N))).astype("c8")
OBJECT = ((0.7 + 0.2 * RNG.random(SHAPE)) * np.exp(1j * RNG.normal(size=SHAPE))).astype("c8")


def counts() -> np.ndarray:
    y, x = np.indices((N, N))
    beam = 400 * np.exp(-((y - 8) ** 2 / 9 + (x - 8) ** 2 / 20))
    return np.random.default_rng(1).poisson(beam, (20, N, N)).astype(np.uint16)


def write(path: Path, members: Mapping[str, Any], matlab: bool = False) -> Path:
    """Members by path; for MATLAB in its order of axes, with pairs of numbers, its attribute and user block."""
    with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
        for name, value in members.items():
            values = np.asarray(value)
            if matlab:
                values = np.atleast_2d(values).T
            if matlab and np.iscomplexobj(values):
                pairs = np.empty(values.shape, [("real", "f8"), ("imag", "f8")])
                pairs["real"], pairs["imag"] = values.real, values.imag
                values = pairs
            stored = file.create_dataset(name, data=value if isinstance(value, str) else values)
            if matlab:
                stored.attrs["MATLAB_class"] = np.bytes_("double")
                top = file[name.partition("/")[0]]
                top.attrs["MATLAB_class"] = np.bytes_("double" if top == stored else "struct")
    if matlab:
        with path.open("r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    return path


def ptyrad(unit: float, kind: str) -> dict[str, Any]:
    """Members that PtyRAD 1.0 writes (io/save.py, make_save_dict); `unit`: metres in one of its lengths."""
    whole = np.round(CORNERS)
    return {
        "ptyrad_version": "1.0.0",
        "optimizable_tensors/obja": np.abs(OBJECT)[None, None],
        "optimizable_tensors/objp": np.angle(OBJECT)[None, None],
        "optimizable_tensors/probe": PROBE,
        "optimizable_tensors/probe_pos_shifts": (CORNERS - whole).astype("f4"),
        "model_attributes/crop_pos": whole.astype("i4"),
        "model_attributes/dx": PIXEL_M / unit,
        "model_attributes/lambd": WAVELENGTH_M / unit,
        "params/init_params/probe_illum_type": kind,
    }


@pytest.mark.parametrize(("unit", "kind"), [(1.0, "xray"), (1e-10, "electron")])
def test_a_reconstruction_of_ptyrad(tmp_path, unit, kind) -> None:
    members = ptyrad(unit, kind)
    if kind == "electron":
        members |= {"model_attributes/dx": 0.15, "model_attributes/lambd": 0.02}
    image = Reconstruction.load(write(tmp_path / "model_iter0200.hdf5", members))
    np.testing.assert_allclose(image.object_, OBJECT, atol=1e-6)
    np.testing.assert_array_equal(image.probe, PROBE)
    np.testing.assert_allclose(image.positions_px, ELEMENTS, rtol=0, atol=1e-6)
    assert image.pixel_size_m == pytest.approx(PIXEL_M if kind == "xray" else 0.15e-10)
    assert image.geometry.energy_eV == (pytest.approx(energy_eV(WAVELENGTH_M)) if kind == "xray" else None)


def test_patterns_and_reconstruction_of_ptyrad_are_a_scan(tmp_path) -> None:
    model = write(tmp_path / "model.hdf5", ptyrad(1.0, "xray"))
    patterns = write(tmp_path / "ptyrad_init_meas_20_16_16.hdf5", {"meas": counts().astype("f4")})
    made = ptychopinn.convert(model, tmp_path / "scan.npz", diffraction=patterns)
    assert made.content == "scan"
    scan = read_scan(tmp_path / "scan.npz")
    np.testing.assert_array_equal(scan.patterns, counts())
    np.testing.assert_allclose(scan.positions_px, ELEMENTS, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(scan.probe, PROBE)
    np.testing.assert_allclose(scan.object_guess, OBJECT, atol=1e-6)
    with pytest.raises(ScanError, match="holds no positions"):
        read_scan(patterns)


def test_slices_of_ptyrad_are_refused(tmp_path) -> None:
    members = ptyrad(1.0, "xray")
    for name in ("obja", "objp"):
        members[f"optimizable_tensors/{name}"] = np.ones((1, 4, *SHAPE))
    with pytest.raises(ScanError, match="must be one mode and one slice"):
        Reconstruction.load(write(tmp_path / "model.hdf5", members))


@pytest.mark.parametrize("first", ["scan_dp.hdf5", "scan_para.hdf5"])
def test_the_two_files_of_fold_slice(tmp_path, first) -> None:
    """plugins/fold_slice of ptychodus 1.7.0."""
    y, x = CORNERS.T * PIXEL_M - 1e-6
    write(tmp_path / "scan_dp.hdf5", {"dp": counts()})
    numbers = {"lambda": WAVELENGTH_M, "dx": PIXEL_M, "angle": 0.0}
    write(tmp_path / "scan_para.hdf5", {"ppX": x[None], "ppY": y[None]} | numbers)
    scan = read_scan(tmp_path / first)
    np.testing.assert_array_equal(scan.patterns, counts())
    np.testing.assert_allclose(scan.positions_px, CORNERS - CORNERS.min(axis=0) + N // 2, rtol=0, atol=1e-5)
    assert scan.pixel_size_m == pytest.approx(PIXEL_M)
    assert scan.geometry.energy_eV == pytest.approx(energy_eV(WAVELENGTH_M))


def shelves(**change: Any) -> dict[str, Any]:
    """Variables in the axes of MATLAB, as PtychoShelves saves them."""
    frames = np.moveaxis(counts(), 0, -1).astype("f8")
    good = np.ones((N, N))
    good[3, 7] = 0
    return {
        "p/fmag": np.sqrt(frames),
        "p/fmask": good,
        "p/lambda": WAVELENGTH_M,
        "p/z": DISTANCE_M,
        "p/ds": DETECTOR_M,
        "p/dx_spec": np.array([[PIXEL_M, PIXEL_M]]),
        "p/positions_real": CORNERS * PIXEL_M,
        "probe": np.moveaxis(PROBE, 0, -1),
    } | change


def test_variables_of_ptychoshelves(tmp_path) -> None:
    scan = read_scan(write(tmp_path / "scan.mat", shelves(), matlab=True))
    np.testing.assert_allclose(np.square(scan.patterns), counts(), atol=1e-9)
    assert scan.domain == "amplitude"
    assert np.flatnonzero(scan.bad_pixels).tolist() == [3 * N + 7]
    np.testing.assert_allclose(scan.positions_px, CORNERS - CORNERS.min(axis=0) + N // 2, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(scan.probe, PROBE)
    assert scan.pixel_size_m == pytest.approx(PIXEL_M)
    assert scan.geometry.distance_m == DISTANCE_M


@pytest.mark.parametrize(("unit", "factor"), [("auto", 1.0), ("um", PIXEL_M * 1e6)])
def test_a_matlab_script_with_plain_names(tmp_path, unit, factor) -> None:
    frames = np.moveaxis(counts(), 0, -1)
    members = {"dp": frames, "positions": CORNERS * factor, "probe": PROBE[0], "dx": PIXEL_M}
    scan = read_scan(write(tmp_path / "scan.mat", members, matlab=True), position_unit=unit)
    np.testing.assert_array_equal(scan.patterns, counts())
    assert scan.domain == "counts"
    assert np.ptp(scan.positions_px - ELEMENTS, axis=0).max() < 1e-6
    np.testing.assert_array_equal(scan.probe[0], PROBE[0])


def test_a_reconstruction_of_ptychoshelves(tmp_path) -> None:
    """find_reconstruction_ROI of fold_slice: a patch begins at round(position + ceil(Y/2 - H/2)), counted from 1."""
    fitted = (CORNERS + 1 - np.ceil((np.array(SHAPE) - N) / 2))[:, ::-1]
    numbers = {"p/lambda": WAVELENGTH_M, "p/dx_spec": np.array([[PIXEL_M, PIXEL_M]])}
    arrays = {"object": OBJECT, "probe": np.moveaxis(PROBE, 0, -1)[..., None], "outputs/probe_positions": fitted}
    image = Reconstruction.load(write(tmp_path / "Niter100.mat", arrays | numbers, matlab=True))
    np.testing.assert_array_equal(image.object_, OBJECT)
    np.testing.assert_array_equal(image.probe, PROBE)
    np.testing.assert_allclose(image.positions_px, ELEMENTS, rtol=0, atol=1e-9)
    assert image.pixel_size_m == pytest.approx(PIXEL_M)


def test_matlab_patterns_in_another_order_name_the_command(tmp_path) -> None:
    path = write(tmp_path / "scan.mat", {"dp": counts(), "positions": CORNERS}, matlab=True)
    with pytest.raises(ScanError, match=r"dp must be \(H, W, N\) in MATLAB.*dp = permute\(dp, \[2 3 1\]\)"):
        read_scan(path)


@pytest.mark.parametrize("kind", ["stack.tif", "stack.npy", "stack.h5", "single.h5", "folder", "frames.lst"])
def test_frames_with_a_table(tmp_path, kind) -> None:
    """Every command reads them; before, `convert` alone did, with a table given."""
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / kind
    if kind == "stack.tif":
        tifffile.imwrite(path, counts())
    elif kind == "stack.npy":
        np.save(path, counts())
    elif path.suffix == ".h5":
        whole = {"images/raw": counts()}
        write(path, whole if kind == "stack.h5" else {f"frame_{n}": frame for n, frame in enumerate(counts())})
    else:
        folder = tmp_path / "folder"
        folder.mkdir()
        for number, frame in enumerate(counts()):
            tifffile.imwrite(folder / f"frame_{number}.tif", frame)
        if kind == "frames.lst":
            path.write_text("".join(f"folder/frame_{n}.tif\n" for n in range(20)))
    y, x = CORNERS.T * PIXEL_M * 1e6
    table = "x_um,y_um\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    (tmp_path / f"{path.stem}.csv").write_text(table)
    with pytest.raises(ScanError, match=r"give --energy-ev \(data.energy_eV\), --distance .*x_px,y_px"):
        read_scan(path)
    numbers = {"energy_eV": energy_eV(WAVELENGTH_M), "distance_m": DISTANCE_M, "detector_pixel_m": DETECTOR_M}
    scan = read_scan(path, **numbers)
    np.testing.assert_array_equal(scan.patterns, counts())
    np.testing.assert_allclose(scan.positions_px, CORNERS - CORNERS.min(axis=0) + N // 2, rtol=0, atol=1e-6)
    given = [f"data.{key}={value!r}" for key, value in numbers.items()]
    assert ptychopinn.info(path, overrides=given).patterns == 20
    assert ptychopinn.convert(path, tmp_path / "out.npz", overrides=given).content == "scan"


@pytest.mark.parametrize(("origin", "offset"), [("auto", 0.0), ("centre", 0.5)])
def test_a_table_in_pixels_needs_no_geometry(tmp_path, origin, offset) -> None:
    np.save(tmp_path / "stack.npy", counts())
    rows = "".join(f"{x!r}\t{y!r}\n" for y, x in ELEMENTS.tolist())
    (tmp_path / "stack_positions.csv").write_text(f"x_px\ty_px\n{rows}")
    np.testing.assert_allclose(
        read_scan(tmp_path / "stack.npy", position_origin=origin).positions_px, ELEMENTS + offset, atol=1e-9
    )


def test_a_folder_without_a_table_is_refused(tmp_path) -> None:
    np.save(tmp_path / "frame_1.npy", counts()[0])
    with pytest.raises(ScanError, match=r"is a folder; .*positions\.csv"):
        read_scan(tmp_path)
