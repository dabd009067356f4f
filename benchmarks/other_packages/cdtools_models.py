"""Adam on the automatic gradients of cdtools' `FancyPtycho`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from other_packages.interface import Found, Image, Method, Stopwatch, continued
from ptychopinn.data.scan import Scan

_WAVELENGTH_M, _PIXEL_M, _DISTANCE_M, _MARGIN_PX = 1e-10, 7.5e-5, 2.0, 10
"""Any lengths do; the object reaches that far beyond the outermost windows."""


def solve(scan: Scan, seconds: Sequence[float], seed: int, *, loss: str, rate: float, batch: int) -> list[Found]:
    """Iterate until the last CPU time; an iteration goes once through all patterns."""
    from cdtools.reconstructors import AdamReconstructor

    torch.manual_seed(seed)
    model, dataset, origin = _model(scan, loss)
    steps = AdamReconstructor(model, dataset).optimize(
        10**6, lr=rate, batch_size=batch, thread=False, calculation_width=batch
    )

    def take() -> tuple[Image, tuple[int, int], Image]:
        with torch.no_grad():
            return model.obj.numpy(), origin, (model.probe * model.probe_norm).numpy()

    return continued(Stopwatch(seconds, take), partial(next, steps))


def _model(scan: Scan, loss: str) -> tuple[Any, Any, tuple[int, int]]:
    """Its model with our probe; a patch begins at the whole part of the position, the probe is shifted by the rest."""
    from cdtools.datasets import Ptycho2DDataset
    from cdtools.models import FancyPtycho
    from cdtools.tools.initializers import exit_wave_geometry
    from cdtools.tools.interactions import pixel_to_translations

    basis = torch.tensor([[0.0, -_PIXEL_M], [-_PIXEL_M, 0.0], [0.0, 0.0]])
    detector = {"distance": _DISTANCE_M, "basis": basis, "corner": None}
    shape = torch.Size((scan.pattern_size, scan.pattern_size))
    pixel = exit_wave_geometry(basis, shape, _WAVELENGTH_M, _DISTANCE_M)
    corner = scan.positions_px - scan.pattern_size // 2
    first = np.floor(corner.min(0))
    translations = pixel_to_translations(pixel, torch.as_tensor(corner - first, dtype=torch.float32))
    dataset = Ptycho2DDataset(
        translations,
        torch.as_tensor(scan.counts(), dtype=torch.float32),
        wavelength=_WAVELENGTH_M,
        detector_geometry=detector,
        mask=None if scan.bad_pixels is None else ~scan.bad_pixels,
    )
    model = FancyPtycho.from_dataset(dataset, n_modes=len(scan.probe), obj_padding=_MARGIN_PX, loss=loss, units="um")
    with torch.no_grad():
        model.min_translation.fill_(-_MARGIN_PX)
        norm = float(np.abs(scan.probe).max())
        model.probe_norm.fill_(norm)
        model.probe.copy_(torch.from_numpy(scan.probe / norm))
    model.translation_offsets.requires_grad = model.weights.requires_grad = False
    y, x = (int(value) - _MARGIN_PX for value in first)
    return model, dataset, (y, x)


METHODS = [
    Method(
        "cdtools",
        "cdtools-py",
        "cdtools",
        "FancyPtycho, Adam, amplitude loss, rate 0.02, batch 20",
        partial(solve, loss="amplitude mse", rate=0.02, batch=20),
    ),
]
