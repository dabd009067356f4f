"""The counts that the solver compares with: the same whether they are kept or made anew, on one rank or on several."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.physics import FarField, Propagator
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.ranks import Ranks
from ptychopinn.simulation import simulate
from ptychopinn.solver import counted, flat_start, refine
from ptychopinn.solver.counted import CountedPatterns


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Patterns of 16 px with counting noise."""
    return simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=5, photons_per_pattern=1e4, seed=2))


def masked(scan: Scan, masks: str) -> Scan:
    bad = np.zeros(scan.patterns.shape, bool)
    bad[:, 3, :5] = True
    if masks == "a mask each":
        bad[-1, 9:, 2] = True
    return replace(scan, bad_pixels={"none": None, "one mask": bad[0], "a mask each": bad}[masks])


@pytest.mark.parametrize("masks", ["none", "one mask", "a mask each"])
@pytest.mark.parametrize("propagator", [FarField(), Fresnel(0.9)], ids=["far field", "near field"])
def test_what_is_kept_is_what_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, scan: Scan, masks: str, propagator: Propagator
) -> None:
    tensors = ScanTensors(masked(scan, masks))
    own = Ranks(1, 2).own(len(tensors))
    assert own.start > 0
    index = torch.tensor([own.start + 3, own.stop - 1, own.start])
    kept = CountedPatterns(tensors, propagator, torch.float64, own)
    monkeypatch.setattr(counted, "KEPT_BYTES", 0)
    anew = CountedPatterns(tensors, propagator, torch.float64, own)
    monkeypatch.setattr(ScanTensors, "amplitude_of", None)  # what was kept is read no more
    found = kept.of(index)
    with pytest.raises(TypeError):
        anew.of(index)
    monkeypatch.undo()
    expected = anew.of(index)
    assert found.counts.dtype == torch.float64
    assert torch.equal(found.counts, expected.counts)
    assert (found.bad is None) == (expected.bad is None) == (masks == "none")
    if found.bad is not None and expected.bad is not None:
        assert torch.equal(found.bad, expected.bad)
    photons, pixels = found.summed()
    recorded, measured = tensors.counts_of(index).double(), tensors.measured_of(index)
    assert float(photons) == pytest.approx(float(recorded.sum()))
    assert float(pixels) == (recorded.numel() if measured is None else int(measured.expand_as(recorded).sum()))


@pytest.mark.parametrize("settings", [{}, {"positions": True, "positions_distortion": True}], ids=["plain", "moved"])
def test_a_scan_too_large_to_keep_gives_the_same_image(
    monkeypatch: pytest.MonkeyPatch, scan: Scan, settings: dict[str, Any]
) -> None:
    scan = masked(scan, "a mask each")
    start, config = flat_start(scan, torch.from_numpy(scan.probe)), RefineConfig(iterations=10, **settings)
    kept = refine(start, ScanTensors(scan), config)
    monkeypatch.setattr(counted, "KEPT_BYTES", 0)
    anew = refine(start, ScanTensors(scan), config)
    assert kept.deviance == anew.deviance
    assert np.array_equal(kept.reconstruction.object_, anew.reconstruction.object_)
