"""Adam on the automatic gradients of PtyRAD's model, object as amplitude and phase."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from other_packages.interface import Found, Image, Method, Stopwatch, canvas, continued
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
    scan: Scan, seconds: Sequence[float], seed: int, *, loss: str, rate: float, probe_rate: float, batch: int
) -> list[Found]:
    """Iterate until the last CPU time; an iteration goes once through all patterns."""
    from ptyrad.core.constraints import CombinedConstraint
    from ptyrad.core.losses import CombinedLoss
    from ptyrad.solver.reconstruction import compute_loss, create_optimizer, make_batches, recon_step

    frame, counts = canvas(scan), scan.counts().astype(np.float32)
    norm = float(counts.mean(0).max())
    model = _model(scan, frame, counts / norm, norm, seed, rate, probe_rate)
    optimizer = create_optimizer({"name": "Adam", "configs": {}}, model.optimizable_params)
    names = ("loss_single", "loss_poissn", "loss_pacbed", "loss_sparse", "loss_simlar")
    losses = CombinedLoss({name: {"state": name == loss, "weight": 1.0} for name in names}, device="cpu")
    off = {name: {"start_iter": None, "step": 1, "end_iter": None} for name in _CONSTRAINTS}
    constraints = CombinedConstraint(off, device="cpu")
    every, done = np.arange(len(scan)), iter(range(1, 10**9))

    def iterate() -> None:
        iteration = next(done)
        batches = make_batches(every, scan.positions_px, batch, mode="random", seed=seed + iteration)
        recon_step(batches, 1, model, optimizer, None, losses, constraints, iteration, compute_loss_fn=compute_loss)

    def take() -> tuple[Image, tuple[int, int], Image]:
        with torch.no_grad():
            object_ = torch.polar(model.opt_obja, model.opt_objp)[0, 0].numpy()
            return object_, frame.origin_px, model.get_complex_probe_view().numpy() * np.sqrt(norm)

    return continued(Stopwatch(seconds, take), iterate)


def _model(
    scan: Scan, frame: Frame, patterns: np.ndarray, norm: float, seed: int, rate: float, probe_rate: float
) -> Any:
    """Its model from arrays; its probe is shifted by the fraction of a position, its patterns have a maximum of 1."""
    from ptyrad.core.models.ptycho import PtychoModel

    size = scan.pattern_size
    corner = scan.positions_px - size // 2 - np.asarray(frame.origin_px)
    whole = np.round(corner)
    rates = {"obja": rate, "objp": rate, "probe": probe_rate, **dict.fromkeys(_UNUSED, 0.0)}
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
        "update_params": {name: {"start_iter": 1, "end_iter": None, "lr": lr} for name, lr in rates.items()},
        "optimizer_params": {},
    }
    model = PtychoModel(start, settings, device="cpu")
    for name in _UNUSED:
        model.optimizable_tensors[name].requires_grad = False
    return model


METHODS = [
    Method(
        "PtyRAD",
        "ptyrad",
        "ptyrad.core.models.ptycho",
        "Adam, amplitude loss, batch 16, rate 0.005 for amplitude and phase, 0.002 for the probe",
        partial(solve, loss="loss_single", rate=5e-3, probe_rate=2e-3, batch=16),
    ),
    Method(
        "PtyRAD, Poisson",
        "ptyrad",
        "ptyrad.core.models.ptycho",
        "the same with its Poisson loss",
        partial(solve, loss="loss_poissn", rate=5e-3, probe_rate=2e-3, batch=16),
    ),
]
