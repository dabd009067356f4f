"""A large batch, some patterns at a time: the gradients of the whole, and no more patterns at once."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.losses import data_loss
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import Gradients, gradients
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.simulation import simulate
from ptychopinn.solver import flat_start, refine, solver
from ptychopinn.solver.batch import summed_gradients

WANTED = ("positions_curvature", "strain", "background", "intensities", "blur", "relaxation")


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=3, photons_per_pattern=1e5, seed=9))


@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
def test_the_sums_of_parts_are_those_of_all_patterns(scan: Scan, subpixel: str) -> None:
    count = len(scan)
    draw = torch.Generator().manual_seed(0)
    object_ = 1 + 0.1 * torch.randn(60, 60, dtype=torch.complex128, generator=draw)
    probe = torch.from_numpy(scan.probe).to(torch.complex128)
    modes = 0.1 * torch.randn(2, *probe.shape, dtype=torch.complex128, generator=draw)
    relaxation = ProbeRelaxation(modes, torch.randn(count, 2, dtype=torch.float64, generator=draw))
    now = Estimate(object_, probe, torch.from_numpy(scan.positions_px) + 4, relaxation=relaxation)
    counts = torch.from_numpy(scan.counts()).double()
    model, loss = DiffractionModel(subpixel, background=0.1, blur_px=0.5), data_loss("poisson").value_and_slope
    mean = counts.mean()

    def found(index: torch.Tensor, onto: Any = None) -> Gradients:
        given = Counted.of(model.propagator, counts[index])
        asked = dict.fromkeys(WANTED, True)
        return gradients(model, now, index, given, loss=loss, **asked, mean_photons=mean, onto=onto)

    index = torch.randperm(count, generator=draw)[:50]
    whole, parts = found(index), summed_gradients([*index.split(16), index[:0]], found)
    for field in fields(Gradients):
        one, other = getattr(parts, field.name), getattr(whole, field.name)
        assert other is not None, field.name
        pairs = (
            [(one, other)]
            if torch.is_tensor(other)
            else [(getattr(one, f.name), getattr(other, f.name)) for f in fields(other)]
        )
        for value, expected in pairs:
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


def test_a_large_scan_takes_few_steps_of_as_many_patterns_at_once(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = solver.gradients

    def noted(model: Any, now: Any, index: torch.Tensor, *given: Any, **named: Any) -> Gradients:
        asked.append(len(index))
        return plain(model, now, index, *given, **named)

    monkeypatch.setattr(solver, "gradients", noted)
    config = RefineConfig(iterations=10, batch_size=1)
    start = flat_start(scan, torch.from_numpy(scan.probe))
    few = refine(start, ScanTensors(scan), config)
    assert set(asked) == {1}
    monkeypatch.setattr(solver, "MOST_STEPS", 1000)
    many = refine(start, ScanTensors(scan), config)
    assert few.deviance[-1] < 0.8 * many.deviance[-1]
    assert np.isfinite(few.reconstruction.object_).all()
