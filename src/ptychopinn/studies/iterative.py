"""The iterative solver LSQML of pty-chi, where that is installed, as a row beside our networks.

Odstrcil, Menzel, Guizar-Sicairos 2018, Iterative least-squares solver for generalized maximum-likelihood ptychography
(doi:10.1364/OE.26.003108), as pty-chi 2 implements it.
"""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.data.device import choose_device
from ptychopinn.data.frame import Frame, check_one_image, nearest_pixel
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.physics import place_patches

logger = logging.getLogger("ptychopinn.studies")
PATTERNS_PER_STEP = 64
MOMENTUM_GAIN = 0.5
"""The value that pty-chi's own option advises to start with; 0, its default, switches the momentum off."""


def has_ptychi() -> bool:
    """Whether pty-chi can be imported, with all that it needs itself."""
    try:
        import_module("ptychi.api.task")
    except ImportError:
        return False
    return True


def solve_with_ptychi(
    scan: Scan,
    probe: NDArray[np.complex64],
    *,
    epochs: int,
    seed: int,
    fit_probe: bool = False,
    device: str = "cpu",
) -> Reconstruction:
    """Reconstruct one scan iteratively from an object that is 1 everywhere.

    Args:
        scan: patterns and positions.
        probe: (M, H, W), sqrt(photons), where the solver starts.
        epochs: passes over the patterns.
        seed: of the order of patterns.
        fit_probe: fit the probe too, from the second epoch on.
        device: as in `training.device`.

    Returns:
        The object in the frame of the scan; coverage is the placed power of the probe.

    Raises:
        ConfigError: pty-chi cannot be imported.
        ScanError: the patterns do not make one image.
    """
    if not has_ptychi():
        raise ConfigError("pty-chi cannot be imported; pip install ptychi")
    check_one_image(scan)
    windows = Frame.of_positions(scan.positions_px, scan.pattern_size, margin=2)
    options = ptychi_options("LSQML", epochs, seed, choose_device(device))
    options.reconstructor_options.batch_size = PATTERNS_PER_STEP
    options.reconstructor_options.momentum_acceleration_gain = MOMENTUM_GAIN
    options.probe_options.optimization_plan.start = 1
    options.probe_options.optimizable = fit_probe
    logger.info("pty-chi: %d epochs of LSQML on %d patterns", epochs, len(scan))
    with globals_kept():
        task = import_module("ptychi.api.task").PtychographyTask(options, **ptychi_data(scan, windows, probe))
        task.run()
        object_ = task.get_data_to_cpu("object", as_numpy=True)[0]
        fitted = task.get_data_to_cpu("probe", as_numpy=True)[0]
    frame = Frame.of_scan(scan, windows)
    return Reconstruction(
        object_=windows.moved(object_, frame, fill=1),
        coverage=windows.moved(illuminated(scan, windows, probe), frame, fill=0),
        origin_px=np.asarray(frame.origin_px),
        positions_px=scan.positions_px,
        probe=fitted * scan.pattern_size,
        pixel_size_m=scan.pixel_size_m,
        metadata={"source": scan.source, "backend": "pty-chi LSQML"},
    )


@contextmanager
def globals_kept() -> Iterator[None]:
    """It sets torch's default device and type and all global random generators; put them back."""
    dtype, numpy_state, python_state = torch.get_default_dtype(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(dtype)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def ptychi_options(engine: str, epochs: int, seed: int, device: torch.device | None = None) -> Any:
    """Options of an engine by the name of its class, such as `LSQML`, `BH` or `RPIE`, for data of `ptychi_data`."""
    api = import_module("ptychi.api")
    options = getattr(api, f"{engine}Options")()
    options.object_options.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    options.object_options.position_origin_coords = np.array([-0.5, -0.5])
    solver = options.reconstructor_options
    solver.num_epochs, solver.random_seed = epochs, seed
    solver.default_device = api.Devices.GPU if device is not None and device.type == "cuda" else api.Devices.CPU
    return options


def ptychi_data(scan: Scan, windows: Frame, probe: NDArray[np.complex64]) -> dict[str, Any]:
    """What a task of pty-chi takes.

    Its patch begins at position - (N-1)/2, and its probe is ours / N since its FFT is not unitary.
    """
    y_px, x_px = (scan.positions_px - np.asarray(windows.origin_px)).T
    data = {
        "diffraction_data": scan.counts(),
        "object_data": np.ones((1, *windows.shape), np.complex64),
        "probe_data": probe[None] / scan.pattern_size,
        "probe_position_y_px": y_px,
        "probe_position_x_px": x_px,
    }
    return data if scan.bad_pixels is None else {**data, "valid_pixel_mask": ~scan.bad_pixels}


def illuminated(scan: Scan, windows: Frame, probe: NDArray[np.complex64]) -> NDArray[np.float32]:
    """(Y, X): power of the probe placed at all positions, over its maximum."""
    whole = nearest_pixel(scan.positions_px) - np.asarray(windows.origin_px)
    power = torch.from_numpy((np.abs(probe) ** 2).sum(0)).expand(len(whole), -1, -1)
    placed = place_patches(power, torch.from_numpy(whole), windows.shape)
    return (placed / placed.max()).numpy()
