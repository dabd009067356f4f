"""Several probes on one object: the gradients are those of each probe's patterns alone, put together."""

import pytest
import torch

from ptychopinn.losses import data_loss
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import gradients
from ptychopinn.physics.several_probes import SeveralProbes

COUNT, MODES, SIZE = 3, 2, 8


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def estimate() -> Estimate:
    """Three probes of two modes each, and a scan of 12 patterns in which the probes take turns."""
    places = torch.rand(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 14 + 5
    number = torch.arange(12) % COUNT
    doses = torch.linspace(0.5, 1.5, 12, dtype=torch.float64)
    return Estimate(
        1 + 0.1 * drawn(24, 24, seed=0),
        drawn(COUNT * MODES, SIZE, SIZE, seed=1),
        places,
        several=SeveralProbes(number, COUNT),
        doses=doses,
    )


def test_gradients_are_those_of_each_probe_alone(estimate: Estimate) -> None:
    model, loss = DiffractionModel(), data_loss("poisson").value_and_slope
    index = torch.tensor([7, 0, 4, 5, 11, 9])
    counts = torch.poisson(
        torch.full((12, SIZE, SIZE), 3.0, dtype=torch.float64), generator=torch.Generator().manual_seed(5)
    )

    def found(now: Estimate, some: torch.Tensor) -> object:
        return gradients(model, now, some, Counted.of(model.propagator, counts[some]), loss=loss, intensities=True)

    together = found(estimate, index)
    assert estimate.several is not None
    assert together.object_power.shape == (COUNT, SIZE, SIZE)
    summed = torch.zeros_like(estimate.object_)
    for probe in range(COUNT):
        own = index[estimate.several.number[index] == probe]
        modes = slice(probe * MODES, (probe + 1) * MODES)
        one = Estimate(estimate.object_, estimate.probe[modes], estimate.positions_px, intensities=estimate.doses)
        alone = found(one, own)
        summed += alone.object_
        torch.testing.assert_close(together.probe[modes], alone.probe)
        torch.testing.assert_close(together.object_power[probe], alone.object_power)
        at = estimate.several.number[index] == probe
        torch.testing.assert_close(together.losses[at], alone.losses)
        torch.testing.assert_close(together.positions[at], alone.positions)
        torch.testing.assert_close(together.intensities.slope[at], alone.intensities.slope)
    torch.testing.assert_close(together.object_, summed)


def test_the_beam_is_the_mean_over_the_patterns(estimate: Estimate) -> None:
    assert estimate.several is not None
    powers = estimate.probe.abs().square().unflatten(0, (COUNT, MODES)).sum(1)
    torch.testing.assert_close(estimate.beam(), powers.mean(0))
    torch.testing.assert_close(estimate.probes(torch.tensor([4]))[0], estimate.probe[2:4])


def test_a_rank_without_patterns_has_gradients_of_the_same_shapes(estimate: Estimate) -> None:
    model, loss = DiffractionModel(), data_loss("poisson").value_and_slope
    some = torch.arange(0)
    found = gradients(
        model, estimate, some, Counted.of(model.propagator, torch.zeros(0, SIZE, SIZE)), loss=loss, intensities=True
    )
    assert found.probe.shape == estimate.probe.shape
    assert found.object_power.shape == (COUNT, SIZE, SIZE)
