"""Solve drawn scans and keep what a prior is trained on: what it is shown, and the truth in the gauge of the image."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import open_npz
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.alignment import align
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior.canvas import PriorCanvas, canvas_of
from ptychopinn.solver import estimate_of, flat_start, refine
from ptychopinn.solver.penalties import EDGE, smoothness_by_dose
from ptychopinn.solver.solver import photons_per_px, placed_power
from ptychopinn.studies.prior.scans import DrawnScan, draw_scan

logger = logging.getLogger("ptychopinn.studies")
FITTED_COVERAGE = 0.2
"""Coverage, relative to its maximum, from which pixels decide how the truth lies on the image."""
AS_CHOSEN = 0.6
"""Part of the scans that are solved with the penalty that the solver chooses; the rest have weaker ones."""
WEAKEST = 0.1
"""Of the chosen weight."""


@dataclass(frozen=True)
class Solved:
    """One training example, arrays (Y, X)."""

    object_: NDArray[np.complex64]
    step: NDArray[np.complex64]
    power: NDArray[np.float32]
    coverage: NDArray[np.float32]
    truth: NDArray[np.complex64]
    """In the gauge of the image: translation, phase ramp and complex scale by least squares."""
    facts: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write an NPZ file beside the target and rename it."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, facts=np.array(json.dumps(self.facts)), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Solved":
        """Read what `save` wrote."""
        with open_npz(path) as arrays:
            facts = json.loads(str(arrays["facts"]))
            return cls(**{name: arrays[name] for name in _ARRAYS}, facts=facts)


_ARRAYS = ("object_", "step", "power", "coverage", "truth")


def solve_seed(seed: int) -> Solved:
    """Draw a scan, solve it, and find out how its truth lies on the image."""
    drawn = draw_scan(seed)
    rng = np.random.default_rng([seed, 1])
    start = flat_start(drawn.scan, torch.from_numpy(drawn.scan.probe))
    tensors = ScanTensors(drawn.scan)
    config = _settings(drawn, start, tensors, rng)
    image = refine(start, tensors, config).reconstruction
    return example(image, tensors, drawn, {"iterations": config.iterations, "smoothness": config.smoothness})


def example(image: Reconstruction, tensors: ScanTensors, drawn: DrawnScan, facts: dict[str, Any]) -> Solved:
    """What a prior learns from one image of a drawn scan."""
    model = DiffractionModel()
    with torch.inference_mode():
        canvas = canvas_of(image, tensors, model)
    truth = aligned_truth(canvas, drawn)
    coverage = image.in_frame(canvas.frame.origin_px, canvas.frame.shape)[1]
    return Solved(
        canvas.object_.numpy(), canvas.step.numpy(), canvas.power.numpy(), coverage, truth, drawn.facts | facts
    )


def aligned_truth(canvas: PriorCanvas, drawn: DrawnScan) -> NDArray[np.complex64]:
    """The truth (Y, X) on the canvas of an image and in its gauge."""
    truth = drawn.scan.object_guess
    assert truth is not None
    own = Frame((0, 0), (truth.shape[0], truth.shape[1]))
    placed = own.moved(truth, canvas.frame, fill=1)
    known = own.moved(np.ones(truth.shape, np.float32), canvas.frame, fill=0) > 0
    power = canvas.power.numpy()
    bright = known & canvas.covered.numpy() & (power > FITTED_COVERAGE * power.max())
    return align(placed, canvas.object_.numpy(), mask=bright, support=known).object_.astype(np.complex64)


def _settings(drawn: DrawnScan, start: Reconstruction, tensors: ScanTensors, rng: np.random.Generator) -> RefineConfig:
    positions = drawn.facts["position_error_px"] > 0 and rng.uniform() < 0.5
    config = RefineConfig(iterations=int(rng.choice([30, 40], p=[0.7, 0.3])), positions=positions)
    if rng.uniform() < AS_CHOSEN:
        return config
    frame = Frame.of_positions(start.positions_px, start.probe.shape[-1], margin=2)
    dose = photons_per_px(tensors, placed_power(estimate_of(start, frame, tensors.device), config.batch_size))
    factor = float(np.exp(rng.uniform(np.log(WEAKEST), 0)))
    return config.changed(smoothness=factor * smoothness_by_dose(dose), edge_preserving=EDGE)
