"""Engines of pty-chi: LSQML with momentum, the bilinear Hessian, PIE, Adam, and its progressive resolution."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from other_packages.interface import Found, Image, Method, Stopwatch, canvas, continued, planned
from ptychopinn.data.scan import Scan
from ptychopinn.studies.iterative import MOMENTUM_GAIN, globals_kept, ptychi_data, ptychi_options

Configure = Callable[[Any, Any], None]
"""Set the options of an engine, given them and its module `ptychi.api`."""


def solve(scan: Scan, seconds: Sequence[float], seed: int, engine: str, configure: Configure) -> list[Found]:
    """Iterate until the last CPU time; an iteration goes once through all patterns."""
    frame = canvas(scan)
    with globals_kept():
        options = _options(engine, configure, seed)
        solver = options.reconstructor_options
        solver.batch_size = min(solver.batch_size, len(scan))
        if engine == "BH":
            options.probe_options.rho *= float(np.abs(scan.probe).max()) / scan.pattern_size
        task = import_module("ptychi.api.task").PtychographyTask(options, **ptychi_data(scan, frame, scan.probe))
        return continued(Stopwatch(seconds, partial(_estimate, task, frame.origin_px, scan)), partial(task.run, 1))


def solve_coarse_to_fine(
    scan: Scan, seconds: Sequence[float], seed: int, engine: str, configure: Configure
) -> list[Found]:
    """Its progressive resolution: as many iterations on half the resolution as then on the whole."""
    return planned(partial(_coarse_to_fine, scan, seed, engine, configure), seconds)


def _coarse_to_fine(scan: Scan, seed: int, engine: str, configure: Configure, iterations: int) -> Found:
    frame = canvas(scan)
    workflows = import_module("ptychi.workflows.progressive_resolution")
    plan = import_module("ptychi.api.options.workflow").ProgressiveResolutionWorkflowOptions(
        num_resolution_levels=2, num_epochs_all_levels=[iterations, iterations]
    )
    with globals_kept():
        options = _options(engine, configure, seed)
        data = ptychi_data(scan, frame, scan.probe)
        work = workflows.ProgressiveResolutionWorkflow(options, **data, workflow_options=plan)
        before = time.process_time()
        work.run()
        cpu_s = time.process_time() - before
        object_, origin, probe = _estimate(work.get_full_resolution_task(), frame.origin_px, scan)
    return Found(object_, origin, probe, iterations, cpu_s)


def _options(engine: str, configure: Configure, seed: int) -> Any:
    api = import_module("ptychi.api")
    options = ptychi_options(engine, 1, seed)
    options.probe_options.optimization_plan.start = 0
    configure(options, api)
    return options


def _estimate(task: Any, origin_px: tuple[int, int], scan: Scan) -> tuple[Image, tuple[int, int], Image]:
    object_ = task.get_data_to_cpu("object", as_numpy=True)[0]
    probe = task.get_data_to_cpu("probe", as_numpy=True)[0]
    return object_, origin_px, np.asarray(probe * scan.pattern_size)


def lsqml(options: Any, api: Any, *, batch: int = 32, gain: float = MOMENTUM_GAIN, mode: str = "UNIFORM") -> None:
    """Least squares with the step of momentum that its authors advise."""
    solver = options.reconstructor_options
    solver.batch_size, solver.momentum_acceleration_gain = batch, gain
    solver.batching_mode = getattr(api.BatchingModes, mode)


def bilinear(options: Any, api: Any, *, batch: int, method: str, rho: float) -> None:
    """Bilinear Hessian: gradient descent in batches or conjugate gradients on all patterns.

    Its `rho` weighs changes of the probe against those of the object; here it is relative to the largest modulus of the
    probe, since at a hundredth of the photons the engine stands still with the `rho` that suits the higher dose.
    """
    solver = options.reconstructor_options
    solver.method, solver.batch_size = method, batch
    options.probe_options.rho = rho


def pie(options: Any, api: Any, *, object_step: float, probe_step: float, batch: int) -> None:
    """(Regularised) PIE."""
    options.reconstructor_options.batch_size = batch
    options.object_options.alpha, options.probe_options.alpha = object_step, probe_step


def adam(options: Any, api: Any, *, rate: float, probe_rate: float, batch: int) -> None:
    """Adam on automatic gradients."""
    options.reconstructor_options.batch_size = batch
    for parameter, step in ((options.object_options, rate), (options.probe_options, probe_rate)):
        parameter.optimizer, parameter.step_size = api.Optimizers.ADAM, step


METHODS = [
    Method(
        "pty-chi LSQML",
        "ptychi",
        "ptychi.api.task",
        "momentum 0.5, batch 32, spread over the scan",
        partial(solve, engine="LSQML", configure=lsqml),
    ),
    Method(
        "pty-chi LSQML, coarse to fine",
        "ptychi",
        "ptychi.workflows.progressive_resolution",
        "LSQML as above, after as many iterations on half the resolution",
        partial(solve_coarse_to_fine, engine="LSQML", configure=lsqml),
    ),
    Method(
        "pty-chi bilinear Hessian",
        "ptychi",
        "ptychi.api.task",
        "gradient descent with its step, batch 32, rho 0.13 of the largest modulus of the probe (conjugate gradients "
        "on all patterns were slower)",
        partial(solve, engine="BH", configure=partial(bilinear, batch=32, method="GD", rho=0.13)),
    ),
    Method(
        "pty-chi rPIE",
        "ptychi",
        "ptychi.api.task",
        "alpha 0.1, batch 1",
        partial(solve, engine="RPIE", configure=partial(pie, object_step=0.1, probe_step=0.1, batch=1)),
    ),
    Method(
        "pty-chi Adam",
        "ptychi",
        "ptychi.api.task",
        "automatic gradients, rate 0.005",
        partial(solve, engine="AutodiffPtychography", configure=partial(adam, rate=5e-3, probe_rate=1e-3, batch=16)),
    ),
]
