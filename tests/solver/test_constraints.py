"""Which updates and constraints a recipe turns on, in which order, and named ones."""

from pathlib import Path

import pytest
import torch

import ptychopinn
from ptychopinn.config import RefineConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ConfigError
from ptychopinn.solver import CONSTRAINTS, State, flat_start, refine
from ptychopinn.solver.background import FlatBackground
from ptychopinn.solver.constraints import constraints_of
from ptychopinn.solver.distortion import DistortionStep
from ptychopinn.solver.low_frequencies import LowFrequencyPhase
from ptychopinn.solver.penalties import penalties_of
from ptychopinn.solver.positions import PositionStep
from ptychopinn.solver.solver import updates_of


def named(config: RefineConfig) -> list[str]:
    start = torch.zeros(40, 2, dtype=torch.float64)
    distortion = DistortionStep(start, config)
    phase = LowFrequencyPhase(config, [], lambda: pytest.fail("no step is taken here"))
    chosen = [
        *updates_of(config, []),
        *penalties_of(config),
        *constraints_of(config, [FlatBackground()], phase, PositionStep(start, config, distortion), distortion),
    ]
    return [type(item).__name__ for item in chosen]


def test_the_order_is_object_probe_positions_distortion_modes_photons() -> None:
    assert named(RefineConfig(positions=True)) == [
        "ObjectStep",
        "ProbeStep",
        "ObjectTerm",
        "LowFrequencyPhase",
        "FlatBackground",
        "PositionStep",
        "DistortionStep",
        "OrthogonalModes",
        "HeldPhotons",
    ]
    off = RefineConfig(object=False, probe=False, smoothness=0)
    assert named(off) == ["FlatBackground"]
    further = RefineConfig(probe=False, smoothness=0, single_material=1, penalties={"total_variation": 2, "x": 0})
    assert named(further) == ["ObjectStep", "EstimatedMaterial", "ObjectTerm", "LowFrequencyPhase", "FlatBackground"]
    bent = RefineConfig(positions=True, positions_distortion=True)
    assert "LowFrequencyPhase" not in named(bent)


class Halved:
    def apply(self, state: State) -> None:
        state.estimate.object_ = state.estimate.object_ / 2


class Raised:
    def apply(self, state: State) -> None:
        state.estimate.object_ = state.estimate.object_ + 1


def test_named_constraints_are_applied_in_their_order(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONSTRAINTS, "entries", CONSTRAINTS.entries | {"halved": Halved, "raised": Raised})
    start = flat_start(scan, torch.from_numpy(scan.probe))
    for order, level in ((("halved", "raised"), 1.5), (("raised", "halved"), 1.0)):
        config = RefineConfig(iterations=1, object=False, constraints=order)
        made = refine(start, ScanTensors(scan), config).reconstruction
        assert made.object_[made.coverage > 0.1] == pytest.approx(level)


def test_a_named_penalty_acts_on_the_object(scan: Scan) -> None:
    start, tensors = flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan)
    rough = []
    for penalties in ({}, {"total_variation": 1e4}):
        image = refine(start, tensors, RefineConfig(iterations=6, smoothness=0, penalties=penalties)).reconstruction
        rough.append(abs(image.object_[20:-20, 15:-15][1:] - image.object_[20:-20, 15:-15][:-1]).mean())
    assert rough[1] < 0.5 * rough[0]


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("loss=gaussian", r"reconstruction\.refine\.loss = 'gaussian' is not registered; choose one of amplitude"),
        ("penalties={calm: 1}", r"reconstruction\.refine\.penalties = 'calm' is not registered"),
        ("constraints=[symmetry]", r"reconstruction\.refine\.constraints = 'symmetry' is not registered"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_written(
    override: str, found: str, scan: Scan, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=found):
        ptychopinn.reconstruct(scan, None, tmp_path / "out", refine=2, overrides=[f"reconstruction.refine.{override}"])
    assert not (tmp_path / "out").exists()
