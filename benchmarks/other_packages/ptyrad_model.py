"""Adam on the automatic gradients of PtyRAD's model, object as amplitude and phase."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from other_packages.interface import Found, Method, canvas, planned
from ptychopinn.data.frame import Frame
from ptychopinn.data.scan import Scan

_UNUSED = ("obj_tilts", "slice_thickness", "probe_pos_shifts")
_CONSTRAINTS = (
    *("pos_recenter", "ortho_pmode", "probe_mask_k", "probe_mask_r", "fix_probe_int", "obj_rblur", "obj_zblur"),
    *("kr_filter", "kz_filter", "kr_thresh", "complex_ratio", "mirrored_amp", "obj_z_recenter", "obja_thresh"),
    *("objp_postiv", "tilt_smooth"),
)
"""None of its constraints is used."""


def solve(
    scan: Scan,
    seconds: Sequence[float],
    seed: int,
    *,
    rates: tuple[float, float],
    batch: int,
    cosine: bool,
    loss: str = "loss_single",
) -> list[Found]:
    """One run for each CPU time; `rates` are those of the object and of the probe.

    With `cosine` they decrease to 0, as its scheduler offers, which is better from about 30 iterations on.
    """

    def run(iterations: int) -> Found:
        return _solve(scan, seed, loss, rates, batch, cosine, iterations)

    return planned(run, seconds)


def _solve(
    scan: Scan, seed: int, loss: str, rates: tuple[float, float], batch: int, cosine: bool, iterations: int
) -> Found:
    from ptyrad.core.constraints import CombinedConstraint
    from ptyrad.core.losses import CombinedLoss
    from ptyrad.solver.reconstruction import (
        compute_loss,
        create_optimizer,
        create_scheduler,
        make_batches,
        recon_step,
    )

    frame, counts = canvas(scan), scan.counts().astype(np.float32)
    norm = float(counts.mean(0).max())
    model = _model(scan, frame, counts / norm, norm, seed, rates)
    optimizer = create_optimizer({"name": "Adam", "configs": {}}, model.optimizable_params)
    schedule = {"name": "CosineAnnealingLR", "configs": {"T_max": iterations}}
    scheduler = create_scheduler(schedule if cosine else None, optimizer)
    names = ("loss_single", "loss_poissn", "loss_pacbed", "loss_sparse", "loss_simlar")
    losses = CombinedLoss({name: {"state": name == loss, "weight": 1.0} for name in names}, device="cpu")
    off = {name: {"start_iter": None, "step": 1, "end_iter": None} for name in _CONSTRAINTS}
    constraints, every = CombinedConstraint(off, device="cpu"), np.arange(len(scan))
    before = time.process_time()
    for iteration in range(1, iterations + 1):
        batches = make_batches(every, scan.positions_px, min(batch, len(scan)), mode="random", seed=seed + iteration)
        recon_step(
            batches, 1, model, optimizer, scheduler, losses, constraints, iteration, compute_loss_fn=compute_loss
        )
    cpu_s = time.process_time() - before
    with torch.no_grad():
        object_ = torch.polar(model.opt_obja, model.opt_objp)[0, 0].numpy()
        probe = model.get_complex_probe_view().numpy() * np.sqrt(norm)
    return Found(object_, frame.origin_px, probe, iterations, cpu_s)


def _model(scan: Scan, frame: Frame, patterns: np.ndarray, norm: float, seed: int, rates: tuple[float, float]) -> Any:
    """Its model from arrays; its probe is shifted by the fraction of a position, its patterns have a maximum of 1."""
    from ptyrad.core.models.ptycho import PtychoModel

    size = scan.pattern_size
    corner = scan.positions_px - size // 2 - np.asarray(frame.origin_px)
    whole = np.round(corner)
    rate_of = {"obja": rates[0], "objp": rates[0], "probe": rates[1], **dict.fromkeys(_UNUSED, 0.0)}
    start = {
        "measurements": patterns,
        "obj": np.ones((1, 1, *frame.shape), np.complex64),
        "obj_tilts": np.zeros((1, 2), np.float32),
        "slice_thickness": 1.0,
        "probe": (scan.probe / np.sqrt(norm)).astype(np.complex64),
        "probe_pos_shifts": (corner - whole).astype(np.float32),
        "omode_occu": np.ones(1, np.float32),
        "H": np.ones((size, size), np.complex64),
        "N_scan_slow": len(scan),
        "N_scan_fast": 1,
        "crop_pos": whole.astype(np.int32),
        "dx": 1.0,
        "dk": 1 / size,
        "lambd": 0.01,
        "random_seed": seed,
        "length_unit": "px",
        "scan_affine": None,
        "meas_Npix": size,
        "simu_Npix": size,
        "simu_match_mode": None,
        "recon_provenance": None,
    }
    settings = {
        "detector_blur_std": None,
        "update_params": {name: {"start_iter": 1, "end_iter": None, "lr": lr} for name, lr in rate_of.items()},
        "optimizer_params": {},
    }
    model = PtychoModel(start, settings, device="cpu")
    for name in _UNUSED:
        model.optimizable_tensors[name].requires_grad = False
    return model


_SETTINGS = (
    "Adam, amplitude loss (its Poisson loss was slower), batch 32, rates 0.02 for the object and 0.01 for the probe"
)
METHODS = [
    Method(
        "PtyRAD",
        "ptyrad",
        "ptyrad.solver.reconstruction",
        f"{_SETTINGS}, decreasing to 0 along a cosine",
        partial(solve, rates=(0.02, 0.01), batch=32, cosine=True),
    ),
    Method(
        "PtyRAD, constant rates",
        "ptyrad",
        "ptyrad.solver.reconstruction",
        _SETTINGS,
        partial(solve, rates=(0.02, 0.01), batch=32, cosine=False),
    ),
]
