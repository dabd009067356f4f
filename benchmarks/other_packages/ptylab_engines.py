"""mPIE and momentum quasi-Newton of PtyLab: one pattern a step, positions rounded to whole pixels."""

import contextlib
import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from other_packages.interface import Finished, Found, Image, Method, Stopwatch
from ptychopinn.data.scan import Scan

_WAVELENGTH_M, _PIXEL_M, _DISTANCE_M = 1e-10, 7.5e-5, 2.0
"""Any values do: all lengths are in pixels."""


def solve(scan: Scan, seconds: Sequence[float], seed: int, engine: str, settings: dict[str, float]) -> list[Found]:
    """Iterate until the last CPU time; an iteration goes once through all patterns."""
    np.random.seed(seed)  # noqa: NPY002 - the engine draws from the global generator
    with contextlib.redirect_stdout(io.StringIO()):
        made, centre = _engine(scan, engine, settings)
        watch = Stopwatch(seconds, partial(_estimate, made.reconstruction, centre))
        made.showReconstruction = lambda loop, force=False: watch.iterated()
        made._prepareReconstruction()
        watch.start()
        with contextlib.suppress(Finished):
            made.reconstruct()
    return watch.found


def _engine(scan: Scan, name: str, settings: dict[str, float]) -> tuple[Any, tuple[int, int]]:
    import PtyLab
    from PtyLab.Engines import mPIE, mqNewton
    from PtyLab.Monitor.Monitor import DummyMonitor

    data = PtyLab.ExperimentalData("test:nodata", "CPM")
    centre = np.floor(scan.positions_px.mean(0)).astype(int)
    data.ptychogram, data.wavelength, data.dxd, data.zo = scan.counts(), _WAVELENGTH_M, _PIXEL_M, _DISTANCE_M
    data._setData()
    object_pixel_m = _WAVELENGTH_M * _DISTANCE_M / (data.Nd * _PIXEL_M)
    data.encoder = (scan.positions_px - centre) * object_pixel_m
    params = PtyLab.Params()
    reconstruction = PtyLab.Reconstruction(data, params)
    reconstruction.npsm = len(scan.probe)
    reconstruction.initializeObjectProbe()
    reconstruction.object = np.ones_like(reconstruction.initialGuessObject)
    reconstruction.probe = scan.probe[None, None, :, None].astype(np.complex64)
    engine: Callable[..., Any] = {"mPIE": mPIE, "mqNewton": mqNewton}[name]
    made = engine(reconstruction, data, params, DummyMonitor())
    made.numIterations = 10**6
    for key, value in settings.items():
        setattr(made, key, value)
    y, x = (int(value) for value in centre)
    return made, (y, x)


def _estimate(state: Any, centre: tuple[int, int]) -> tuple[Image, tuple[int, int], Image]:
    object_ = state.object[0, 0, 0, 0]
    half = int(state.No) // 2
    return object_, (centre[0] - half, centre[1] - half), state.probe[0, 0, :, 0]


METHODS = [
    Method(
        "PtyLab mPIE",
        "ptylab",
        "PtyLab",
        "its defaults (steps 0.25, alpha 0.1, feedback 0.3, friction 0.7); whole-pixel positions",
        partial(solve, engine="mPIE", settings={}),
    ),
    Method(
        "PtyLab mPIE, small steps",
        "ptylab",
        "PtyLab",
        "steps 0.1, which are better at low dose; whole-pixel positions",
        partial(solve, engine="mPIE", settings={"betaObject": 0.1, "betaProbe": 0.1}),
    ),
    Method(
        "PtyLab mqNewton",
        "ptylab",
        "PtyLab",
        "its defaults; whole-pixel positions",
        partial(solve, engine="mqNewton", settings={}),
    ),
]
