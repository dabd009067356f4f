"""Gradients by hand against those of autograd, in double precision."""

import pytest
import torch
from torch import Tensor

from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.gradients import (
    BACKGROUND_PHOTONS,
    LOSSES,
    MODEL_ERROR,
    DataLoss,
    Estimate,
    Gradients,
    gradients,
)

SIZE = 8
INDEX = torch.tensor([4, 0, 2])


@pytest.fixture
def estimate() -> Estimate:
    """Two complex modes, no symmetry anywhere, fractional positions."""
    draw = torch.Generator().manual_seed(3)
    object_ = 1 + 0.4 * torch.randn(22, 25, dtype=torch.complex128, generator=draw)
    probe = 4 * torch.randn(2, SIZE, SIZE, dtype=torch.complex128, generator=draw)
    low, high = torch.tensor([5.0, 5.0]), torch.tensor([16.0, 19.0])
    positions = low + (high - low) * torch.rand(5, 2, dtype=torch.float64, generator=draw)
    return Estimate(object_, probe, positions)


@pytest.fixture
def amplitude(estimate: Estimate) -> Tensor:
    """(3, H, W): far from what the estimate says, with dark pixels."""
    draw = torch.Generator().manual_seed(4)
    return torch.poisson(torch.full((3, SIZE, SIZE), 9.0, dtype=torch.float64), generator=draw).sqrt() * (
        torch.rand(3, SIZE, SIZE, generator=draw, dtype=torch.float64) > 0.2
    )


def masks() -> list[Tensor | None]:
    """None, one for all patterns, one for each; none of them symmetric."""
    draw = torch.Generator().manual_seed(5)
    return [None, torch.rand(SIZE, SIZE, generator=draw) > 0.3, torch.rand(3, SIZE, SIZE, generator=draw) > 0.3]


def by_autograd(
    estimate: Estimate, amplitude: Tensor, measured: Tensor | None, loss: DataLoss, subpixel: str
) -> tuple[Tensor, list[Tensor]]:
    """Loss, and its gradients by object, probe and the positions of `INDEX`, from the forward model."""
    leaves = [value.detach().clone().requires_grad_() for value in (estimate.object_, estimate.probe)]
    positions = estimate.positions_px[INDEX].clone().requires_grad_()
    expected = DiffractionModel(subpixel)(leaves[0], positions, leaves[1])
    values, _ = LOSSES[loss](expected, amplitude)
    total = (values if measured is None else values * measured).sum()
    found = torch.autograd.grad(total, [*leaves, positions])
    return total.detach(), [found[0] / 2, found[1] / 2, found[2]]  # torch's complex gradient is twice the derivative


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
@pytest.mark.parametrize("loss", list(LOSSES))
def test_gradients_are_those_of_autograd(
    estimate: Estimate, amplitude: Tensor, loss: DataLoss, measured: Tensor | None
) -> None:
    found = gradients(estimate, INDEX, amplitude, measured, loss=loss)
    total, (by_object, by_probe, by_position) = by_autograd(estimate, amplitude, measured, loss, "probe")
    torch.testing.assert_close(found.loss, total, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.object_, by_object, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.probe, by_probe, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.positions, by_position, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_the_curvature_of_a_position_is_half_its_fisher_information(
    estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    positions = estimate.positions_px[INDEX]

    def photons(where: Tensor) -> Tensor:
        return DiffractionModel("probe")(estimate.object_, where, estimate.probe)

    jacobian = torch.autograd.functional.jacobian(lambda where: photons(where).sum(0), positions)
    weight = (torch.ones(()) if measured is None else measured) / (photons(positions) + BACKGROUND_PHOTONS)
    expected = torch.einsum("hwna,hwnb,nhw->nab", jacobian, jacobian, weight.expand(3, SIZE, SIZE)) / 2
    found = gradients(estimate, INDEX, amplitude, measured, positions_curvature=True).positions_curvature
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert gradients(estimate, INDEX, amplitude, measured).positions_curvature is None


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_the_strain_of_patches_follows_from_strained_objects(
    estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    """An object of the second degree, whose central differences are exact, strained about each window's centre."""
    centre = torch.floor(estimate.positions_px[INDEX] + 0.5)
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in estimate.object_.shape)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)

    def quadratic(where: Tensor) -> Tensor:
        y, x = where.unbind(-1)
        return torch.complex(1 + 0.05 * y - 0.003 * x * y, 0.2 - 0.04 * x + 0.002 * y**2 - 0.001 * x**2)

    def photons(strain: Tensor) -> Tensor:
        arms = grid - centre[:, None, None]
        canvases = quadratic(grid - torch.einsum("nab,nyxb->nyxa", strain.view(3, 2, 2), arms))
        positions = estimate.positions_px[INDEX]
        model = DiffractionModel("probe")
        return torch.cat([model(canvases[n], positions[n : n + 1], estimate.probe) for n in range(3)])

    seen = torch.ones_like(amplitude, dtype=torch.bool) if measured is None else measured.expand_as(amplitude)
    background = (MODEL_ERROR * amplitude.square()[seen].mean()).square()

    def robust(strain: Tensor) -> Tensor:
        expected, counts = photons(strain) + background, amplitude.square() + background
        return ((expected - counts * expected.log()) / 2)[seen].sum()

    none = torch.zeros(3, 4, dtype=torch.float64)
    straight = Estimate(quadratic(grid), estimate.probe, estimate.positions_px)
    found = gradients(straight, INDEX, amplitude, measured, strain=True)
    torch.testing.assert_close(found.strain, torch.autograd.functional.jacobian(robust, none), rtol=1e-8, atol=1e-8)
    jacobian = torch.autograd.functional.jacobian(lambda strain: photons(strain).sum(0), none)
    weight = seen / (photons(none) + background)
    expected = torch.einsum("hwna,hwnb,nhw->nab", jacobian, jacobian, weight) / 2
    torch.testing.assert_close(found.strain_curvature, expected, rtol=1e-8, atol=1e-8)


def test_gradients_of_bilinear_patches(estimate: Estimate, amplitude: Tensor) -> None:
    found = gradients(estimate, INDEX, amplitude, subpixel="bilinear")
    total, (by_object, by_probe, _) = by_autograd(estimate, amplitude, None, "poisson", "bilinear")
    torch.testing.assert_close(found.loss, total, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.object_, by_object, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.probe, by_probe, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_slope_of_a_loss_is_its_derivative(loss: DataLoss) -> None:
    expected = torch.tensor([0.5, 3.0, 40.0], dtype=torch.float64, requires_grad=True)
    values, slope = LOSSES[loss](expected, torch.tensor([0.0, 2.0, 6.0], dtype=torch.float64))
    torch.testing.assert_close(torch.autograd.grad(values.sum(), expected)[0], slope.detach())


def test_both_losses_agree_at_many_photons() -> None:
    amplitude = torch.tensor([1000.0], dtype=torch.float64)
    expected = (amplitude + 0.5) ** 2
    (poisson, _), (square, _) = (LOSSES[name](expected, amplitude) for name in ("poisson", "amplitude"))
    torch.testing.assert_close(poisson, square, rtol=1e-3, atol=0)


def test_dark_pixels_give_finite_gradients(estimate: Estimate) -> None:
    dark = Estimate(torch.zeros_like(estimate.object_), estimate.probe, estimate.positions_px)
    for loss in LOSSES:
        ones = torch.ones(3, SIZE, SIZE, dtype=torch.float64)
        found = gradients(dark, INDEX, ones, loss=loss, positions_curvature=True, strain=True)
        assert all(torch.isfinite(value).all() for value in vars(found).values())


def test_powers_are_the_placed_squares(estimate: Estimate, amplitude: Tensor) -> None:
    found: Gradients = gradients(estimate, INDEX, amplitude)
    assert found.probe_power.sum().item() == pytest.approx(3 * estimate.probe.abs().square().sum().item())
    whole = torch.floor(estimate.positions_px[INDEX] + 0.5).long()
    rows = [estimate.object_[y - 4 : y + 4, x - 4 : x + 4].abs().square() for y, x in whole.tolist()]
    torch.testing.assert_close(found.object_power, torch.stack(rows).sum(0))
