"""Do files pass between this package and cdtools, ptychodus, PtyLab, PtyRAD and the legacy PtychoPINN unchanged?

    pip install cdtools-py ptychodus ptylab ptyrad
    python benchmarks/exchange.py
    python benchmarks/exchange.py --only cdtools,legacy

A simulated scan is written by each of the two sides and read by the other one, as the other program reads it. The table
gives the largest position error after removal of one constant, in object pixels; whether all counts are equal; and the
relative difference, norm(a - b) / norm(b), of the images that this package makes of the file and of the original (20
iterations of the solver, from the probe of the scan) where the coverage is half of its maximum or more. "(object)" is
the difference of the stored objects. Where cdtools or PtyLab reconstruct, it is 1 less the modulus of the complex
correlation of their image, from the same probe, with ours at the best shift. Positions of a reconstruction by PtyRAD
are compared with those that PtyRAD reads, as it fits them. A package that is not installed is left out; PtyRAD 1.0.0
needs Python 3.12, whose f-strings it uses, and only its electron mode runs, so that its lengths are in angstrom here.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ptychopinn
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.scan import PROBE_ESTIMATED

GEOMETRY = Geometry(8800.0, 1.9, 75e-6)
Row = tuple[str, float, bool, float]
ITERATIONS = 20


def main() -> None:
    """Exchange and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(EXCHANGES), help="programs, separated by commas")
    arguments = parser.parse_args()
    scan = simulated()
    original = image_of(scan)
    print("| file | position error, px | counts equal | image difference |")
    print("| --- | --- | --- | --- |")
    for name in arguments.only.split(","):
        package = PACKAGES.get(name)
        if package is not None and (reason := why_not(package)):
            print(f"| {name}: {reason} | | | |")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for label, error, equal, difference in EXCHANGES[name](scan, original, Path(folder)):
                print(f"| {label} | {error:.1e} | {'yes' if equal else 'NO'} | {difference:.2g} |", flush=True)


def why_not(package: str) -> str:
    """Why a package cannot be used; empty if it can."""
    if find_spec(package.partition(".")[0]) is None:
        return f"package {package} is not installed"
    try:
        import_module(package)
    except (ImportError, SyntaxError) as error:
        return f"package {package} cannot be imported ({type(error).__name__}: {error})"
    return ""


def simulated() -> Scan:
    """81 patterns of 48 px with known geometry, at fractional positions."""
    settings = ("object_size_px=110", "probe_size_px=48", "step_px=7", "photons_per_pattern=1e6", "seed=5")
    scan = ptychopinn.simulate(overrides=[f"simulation.{text}" for text in settings]).scan
    pixel = GEOMETRY.far_field_pixel_m(scan.pattern_size)
    assert pixel is not None
    return replace(scan, geometry=GEOMETRY, pixel_size_m=pixel[0])


def image_of(scan: Scan) -> NDArray[Any]:
    """The object by the solver; NaN where the coverage is below half of its maximum."""
    made = ptychopinn.reconstruct(replace(scan, object_guess=None), None, refine=ITERATIONS).reconstruction
    return np.asarray(np.where(made.coverage >= made.coverage.max() / 2, made.object_, np.nan))


def compared(label: str, found: Scan, scan: Scan, original: NDArray[Any]) -> Row:
    """Positions, counts and image of a scan that went through a file."""
    error = float(np.ptp(found.positions_px - scan.positions_px, axis=0).max())
    equal = bool(np.array_equal(found.patterns, scan.patterns))
    known = {key: found.metadata[key] for key in found.metadata if key != PROBE_ESTIMATED}
    placed = aligned(found.positions_px, scan.positions_px)
    image = image_of(replace(found, probe=scan.probe, positions_px=placed, metadata=known))
    if image.shape != original.shape:
        return label, error, equal, float("nan")
    seen = np.isfinite(image) & np.isfinite(original)
    return label, error, equal, float(np.linalg.norm((image - original)[seen]) / np.linalg.norm(original[seen]))


def aligned(positions: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions less the constant by which they differ: frames of two programs need not agree."""
    return np.asarray(positions - (positions - goal).mean(axis=0))


def with_cdtools(scan: Scan, original: NDArray[Any], folder: Path) -> Iterator[Row]:
    """CXI files in both directions, and a reconstruction by cdtools."""
    from cdtools.datasets import Ptycho2DDataset
    from cdtools.models import FancyPtycho
    from cdtools.tools.interactions import translations_to_pixel

    masked = replace(scan, bad_pixels=np.eye(scan.pattern_size, dtype=bool))
    theirs = Ptycho2DDataset.from_cxi(str(write_scan(masked, folder / "masked.cxi")))
    model = FancyPtycho.from_dataset(theirs, n_modes=1, probe_support_radius=scan.pattern_size // 2, dm_rank=None)
    pixels = translations_to_pixel(model.obj_basis, theirs.translations).numpy()
    error = float(np.ptp(pixels - scan.positions_px, axis=0).max())
    equal = np.array_equal(theirs.patterns.numpy(), scan.patterns) and np.array_equal(
        theirs.mask.numpy(), ~masked.bad_pixels
    )
    unmasked = Ptycho2DDataset.from_cxi(str(write_scan(scan, folder / "ours.cxi")))
    yield "ours, read by cdtools", error, bool(equal), correlation_with(unmasked, FancyPtycho, original, scan)
    again = Ptycho2DDataset.from_cxi(str(folder / "ours.cxi"))
    again.to_cxi(str(folder / "theirs.cxi"))
    yield compared("written by cdtools, read by ours", read_scan(folder / "theirs.cxi"), scan, original)


def correlation_with(dataset: Any, model_class: Any, original: NDArray[Any], scan: Scan) -> float:
    """1 - modulus of the complex correlation of the reconstruction by cdtools with ours, on what both cover."""
    import torch

    torch.manual_seed(0)
    size = dataset.patterns.shape[-1]
    model = model_class.from_dataset(dataset, n_modes=1, oversampling=1, probe_support_radius=size // 2, dm_rank=None)
    probe = torch.from_numpy(scan.probe[0].astype(np.complex64))
    model.probe_norm.fill_(probe.abs().max())
    model.probe.data[0] = probe / model.probe_norm
    dataset.patterns = dataset.patterns.to(torch.float32)  # its optimiser takes no unsigned integers
    for _ in model.Adam_optimize(60, dataset, lr=0.02, batch_size=10):
        pass
    return correlation(model.obj.detach().numpy(), original)


def correlation(theirs: NDArray[Any], original: NDArray[Any]) -> float:
    """1 - modulus of the complex correlation of an image with ours, on what both cover, at the best shift."""
    rows, columns = (np.flatnonzero(np.isfinite(original).sum(axis=axis) > 30) for axis in (1, 0))
    middle = original[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    middle = np.where(np.isfinite(middle), middle, np.nanmean(middle))
    middle = middle - middle.mean()
    padded = np.zeros(theirs.shape, complex)
    padded[: middle.shape[0], : middle.shape[1]] = middle
    window = np.zeros(theirs.shape)
    window[: middle.shape[0], : middle.shape[1]] = 1

    def slid(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.fft.ifft2(np.fft.fft2(a) * np.conj(np.fft.fft2(b))))

    count = middle.size
    power = slid(np.abs(theirs) ** 2, window).real - np.abs(slid(theirs, window)) ** 2 / count
    best = np.abs(slid(theirs, padded)) / np.sqrt(np.maximum(power, 1e-9) * np.sum(np.abs(middle) ** 2))
    valid = best[: theirs.shape[0] - middle.shape[0] + 1, : theirs.shape[1] - middle.shape[1] + 1]
    return float(1 - valid.max())


def with_ptychodus(scan: Scan, original: NDArray[Any], folder: Path) -> Iterator[Row]:
    """Product and diffraction files in both directions."""
    from ptychodus.api.assemble import AssembledDiffractionData
    from ptychodus.api.geometry import PixelGeometry
    from ptychodus.api.io import load_product, save_diffraction_data, save_product

    image = ptychopinn.Reconstruction(
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape, np.float32),
        origin_px=np.zeros(2, np.int64),
        positions_px=scan.positions_px,
        probe=scan.probe,
        pixel_size_m=scan.pixel_size_m,
        geometry=scan.geometry,
    )
    product = load_product(image.save(folder / "ours.h5"))
    geometry = product.object_.get_geometry()
    points = product.probe_positions
    pixels = np.stack(
        [
            geometry.map_probe_positions_to_object_y_px(points),
            geometry.map_probe_positions_to_object_x_px(points),
        ],
        axis=1,
    )
    error = float(np.abs(pixels + 0.5 - scan.positions_px).max())
    probe = product.probes.get_array()[0]
    same_probe = np.array_equal(probe, scan.probe.astype(np.complex64))
    difference = np.linalg.norm(product.object_.get_array()[0] - scan.object_guess) / np.linalg.norm(scan.object_guess)
    yield "our product, read by ptychodus 1.7.0 (object)", error, bool(same_probe), float(difference)
    save_product(folder / "product.h5", product)
    bad = np.zeros(scan.patterns.shape[1:], bool)
    side = PixelGeometry(75e-6, 75e-6)
    save_diffraction_data(
        folder / "diffraction.h5", AssembledDiffractionData(np.arange(len(scan)), scan.patterns, side, bad)
    )
    yield compared("written by ptychodus, read by ours", read_scan(folder / "product.h5"), scan, original)
    yield from _training_data(scan, original, folder)


def _training_data(scan: Scan, original: NDArray[Any], folder: Path) -> Iterator[Row]:
    """Training data of ptychodus: HDF5 of ours read there, NPZ for PtychoPINN of theirs read here."""
    from ptychodus.api.io import (
        load_diffraction_data,
        load_product,
        save_ptychopinn_training_data,
        save_training_data,
    )
    from ptychodus.api.reconstruct import prepare_reconstruct_input
    from ptychodus.plugins.training_data_file import TrainingDataDiffractionFileReader, TrainingDataProductFileReader

    path = write_scan(scan, folder / "training.h5")
    product = TrainingDataProductFileReader().read(path)
    geometry = product.object_.get_geometry()
    y = geometry.map_probe_positions_to_object_y_px(product.probe_positions)
    x = geometry.map_probe_positions_to_object_x_px(product.probe_positions)
    error = float(np.abs(np.stack([y, x], axis=1) + 0.5 - scan.positions_px).max())
    frames = np.concatenate([array.get_patterns() for array in TrainingDataDiffractionFileReader().read(path)])
    same = np.linalg.norm(product.object_.get_array()[0] - scan.object_guess) / np.linalg.norm(scan.object_guess)
    equal = bool(np.array_equal(frames, scan.patterns))
    yield "our training data, read by ptychodus (object)", error, equal, float(same)
    given = prepare_reconstruct_input(
        load_diffraction_data(folder / "diffraction.h5"),
        load_product(folder / "product.h5"),
        index_filter=lambda index: True,
    )
    for writer, name in ((save_training_data, "training.h5"), (save_ptychopinn_training_data, "training.npz")):
        writer(folder / f"their_{name}", given)
        yield compared(f"{name} by ptychodus, read by ours", read_scan(folder / f"their_{name}"), scan, original)


def with_ptylab(scan: Scan, original: NDArray[Any], folder: Path) -> Iterator[Row]:
    """A measured file of PtyLab's layout, read by both, and the reconstruction that PtyLab makes of it."""
    import h5py
    import PtyLab

    assert scan.pixel_size_m is not None
    path, made = folder / "data.hdf5", folder / "result.hdf5"
    with h5py.File(path, "w") as file:
        file["ptychogram"] = scan.patterns.astype(np.float32)
        file["encoder"] = (scan.positions_px - scan.positions_px.mean(axis=0)) * scan.pixel_size_m
        numbers = {"wavelength": GEOMETRY.wavelength_m, "zo": GEOMETRY.distance_m, "dxd": 75e-6}
        for name, value in (numbers | {"entrancePupilDiameter": 20 * scan.pixel_size_m}).items():
            file[name] = value
    data, theirs, settings, _, engine = PtyLab.easyInitialize(path, PtyLab.Engines.ePIE, "CPM", True)
    theirs.initialProbe, theirs.initialObject = "circ", "ones"
    theirs.initializeObjectProbe()
    theirs.probe[...] = scan.probe[0]
    settings.gpuSwitch = settings.probePowerCorrectionSwitch = False
    engine.numIterations, engine.betaProbe, engine.betaObject = 60, 0, 0.5
    np.random.seed(0)  # noqa: NPY002 - PtyLab draws the order of positions from it
    engine.reconstruct()
    error = float(np.ptp(data.encoder / theirs.dxo - scan.positions_px, axis=0).max())
    equal = bool(np.array_equal(data.ptychogram, scan.patterns))
    yield "measured, read by PtyLab", error, equal, correlation(theirs.object.squeeze(), original)
    yield compared("measured in the layout of PtyLab, read by ours", read_scan(path), scan, original)
    theirs.saveResults(str(made), "all")
    yield compared("reconstruction by PtyLab, read by ours", read_scan(made, diffraction=path), scan, original)


def with_ptyrad(scan: Scan, original: NDArray[Any], folder: Path) -> Iterator[Row]:
    """The patterns of PtyRAD and the reconstruction that it makes of them, as it reads it and as ours does."""
    import h5py
    from ptyrad.io.load import load_ptyrad
    from ptyrad.params.ptyrad_params import PtyRADParams
    from ptyrad.solver import PtyRADSolver

    assert scan.pixel_size_m is not None
    assert scan.object_guess is not None
    path, size, pixel = folder / "meas.h5", scan.pattern_size, scan.pixel_size_m * 1e10
    with h5py.File(path, "w") as file:
        file["meas"] = scan.patterns.astype(np.float32)
    start = {
        **{"probe_kv": 300.0, "probe_conv_angle": 0.01, "probe_pmode_max": 1, "obj_omode_max": 1, "obj_Nlayer": 1},
        **{"meas_Npix": size, "pos_N_scans": len(scan), "pos_N_scan_slow": 9, "pos_N_scan_fast": 9},
        **{"pos_scan_step_size": 7 * pixel, "meas_calibration": {"mode": "dx", "value": pixel}},
        **{"obj_slice_thickness": 1.0, "meas_normalization": {"mode": "divide_const", "value": 1.0}},
        **{"meas_source": "file", "meas_params": {"path": str(path), "key": "meas"}},
        **{"probe_source": "custom", "probe_params": scan.probe[:1]},
        **{"pos_source": "custom", "pos_params": scan.positions_px - size // 2},
        **{"obj_source": "custom", "obj_params": np.ones((1, 1, *scan.object_guess.shape), np.complex64)},
    }
    out = {"output_dir": str(folder / "out"), "save_result": ["model"], "copy_params": False}
    asked = PtyRADParams(init_params=start, recon_params={"NITER": 15, "SAVE_ITERS": 15, **out}).model_dump()
    PtyRADSolver(asked, device="cpu", seed=0).reconstruct()
    made = next((folder / "out").rglob("*.hdf5"))
    stored = load_ptyrad(str(made))
    model, fitted = stored["model_attributes"], stored["optimizable_tensors"]
    theirs = model["crop_pos"] + fitted["probe_pos_shifts"] + size // 2
    found = read_scan(made, diffraction=path)
    object_ = (fitted["obja"] * np.exp(1j * fitted["objp"])).reshape(found.object_guess.shape)
    error = float(np.abs(found.positions_px - theirs).max())
    difference = float(np.linalg.norm(found.object_guess - object_) / np.linalg.norm(object_))
    equal = bool(np.array_equal(found.patterns, scan.patterns))
    yield "reconstruction by PtyRAD, read by PtyRAD and ours (object)", error, equal, difference
    there = replace(scan, positions_px=np.asarray(theirs, np.float64))
    yield compared("reconstruction by PtyRAD, read by ours", found, there, image_of(there))


def with_legacy(scan: Scan, original: NDArray[Any], folder: Path) -> Iterator[Row]:
    """NPZ files with pickled members, and the keys that the legacy reader takes from ours."""
    x, y = scan.positions_px[:, 1], scan.positions_px[:, 0]
    members: dict[str, Any] = {
        "xcoords": x,
        "ycoords": y,
        "xcoords_start": x,
        "ycoords_start": y,
        "diff3d": scan.patterns,
        "probeGuess": scan.probe[0],
        "objectGuess": None,
        "scan_index": np.zeros(len(scan), int),
        "_metadata": np.array({"schema_version": "1.0.0"}, dtype=object),
    }
    np.savez(folder / "legacy.npz", **members)
    yield compared("NPZ of the legacy PtychoPINN, read by ours", read_scan(folder / "legacy.npz"), scan, original)
    with np.load(write_scan(scan, folder / "ours.npz"), allow_pickle=False) as stored:
        ours = {key: stored[key] for key in ("xcoords", "ycoords", "xcoords_start", "ycoords_start", "diff3d")}
        same = np.linalg.norm(stored["objectGuess"] - scan.object_guess) / np.linalg.norm(scan.object_guess)
    error = max(float(np.abs(ours[key] - (x if key[0] == "x" else y)).max()) for key in ours if "coords" in key)
    equal = bool(np.array_equal(ours["diff3d"], scan.patterns))
    yield "our NPZ, by the keys of the legacy reader (object)", error, equal, float(same)


EXCHANGES: dict[str, Callable[[Scan, NDArray[Any], Path], Iterator[Row]]] = {
    "cdtools": with_cdtools,
    "ptychodus": with_ptychodus,
    "ptylab": with_ptylab,
    "ptyrad": with_ptyrad,
    "legacy": with_legacy,
}
PACKAGES = {"cdtools": "cdtools", "ptychodus": "ptychodus", "ptylab": "PtyLab", "ptyrad": "ptyrad.solver"}


if __name__ == "__main__":
    main()
