"""Gradients by hand against those of autograd, in double precision."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ptychopinn.losses import AmplitudeSquare, DataLoss, Poisson
from ptychopinn.physics import DiffractionModel, Propagator, extract_patches, intensity
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import Gradients, amplitude_change, gradients, tilt_response
from ptychopinn.physics.illumination import exit_wave
from ptychopinn.physics.likelihood import MODEL_ERROR, SOLVER_PHOTONS

SIZE = 8
LOSSES: dict[str, DataLoss] = {"poisson": Poisson(), "amplitude": AmplitudeSquare()}
POISSON = LOSSES["poisson"].value_and_slope
INDEX = torch.tensor([4, 0, 2])
FAR_FIELD = DiffractionModel()


def of(model: DiffractionModel, amplitude: Tensor, measured: Tensor | None = None) -> Counted:
    """Patterns (B, H, W) in sqrt(photons) as the gradients compare with them."""
    return Counted.of(model.propagator, amplitude.square(), measured)


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


def background(kind: str) -> Tensor | None:
    """None, or photons without symmetry."""
    if kind != "background":
        return None
    return torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


@pytest.fixture(params=["no background", "background"])
def model(request: pytest.FixtureRequest, propagator: Propagator) -> DiffractionModel:
    """Every propagator that is registered."""
    return DiffractionModel(propagator=propagator, background=background(request.param))


def by_autograd(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, measured: Tensor | None, loss: str
) -> tuple[Tensor, list[Tensor]]:
    """Loss, and its gradients by object, probe and the positions of `INDEX`, from the forward model."""
    leaves = [value.detach().clone().requires_grad_() for value in (estimate.object_, estimate.probe)]
    positions = estimate.positions_px[INDEX].clone().requires_grad_()
    expected = model(leaves[0], positions, leaves[1])
    values, _ = LOSSES[loss].value_and_slope(expected, amplitude.square())
    total = (values if measured is None else values * measured).sum()
    found = torch.autograd.grad(total, [*leaves, positions])
    return total.detach(), [found[0] / 2, found[1] / 2, found[2]]  # torch's complex gradient is twice the derivative


def test_the_gradient_of_a_held_probe_is_left_out_and_changes_no_other(estimate: Estimate, amplitude: Tensor) -> None:
    whole, held = (
        gradients(
            DiffractionModel(), estimate, INDEX, of(FAR_FIELD, amplitude), loss=POISSON, probe=probe, positions=probe
        )
        for probe in (True, False)
    )
    assert held.probe is held.object_power is held.positions is None
    assert torch.equal(held.object_, whole.object_)
    assert torch.equal(held.probe_power, whole.probe_power)
    only = gradients(DiffractionModel(), estimate, INDEX, of(FAR_FIELD, amplitude), loss=POISSON, probe=False)
    assert only.positions is not None
    assert whole.positions is not None
    assert torch.equal(only.positions, whole.positions)


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
@pytest.mark.parametrize("loss", list(LOSSES))
def test_gradients_are_those_of_autograd(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, loss: str, measured: Tensor | None
) -> None:
    found = gradients(model, estimate, INDEX, of(model, amplitude, measured), loss=LOSSES[loss].value_and_slope)
    total, (by_object, by_probe, by_position) = by_autograd(model, estimate, amplitude, measured, loss)
    torch.testing.assert_close(found.loss, total, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.object_, by_object, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.probe, by_probe, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.positions, by_position, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_the_curvature_of_a_position_is_half_its_fisher_information(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    positions = estimate.positions_px[INDEX]

    def photons(where: Tensor) -> Tensor:
        return model(estimate.object_, where, estimate.probe)

    jacobian = torch.autograd.functional.jacobian(lambda where: photons(where).sum(0), positions)
    weight = (torch.ones(()) if measured is None else measured) / (photons(positions) + SOLVER_PHOTONS)
    expected = torch.einsum("hwna,hwnb,nhw->nab", jacobian, jacobian, weight.expand(3, SIZE, SIZE)) / 2
    found = gradients(model, estimate, INDEX, of(model, amplitude, measured), loss=POISSON, positions_curvature=True)
    torch.testing.assert_close(found.positions_curvature, expected, rtol=1e-9, atol=1e-9)
    assert gradients(model, estimate, INDEX, of(model, amplitude, measured), loss=POISSON).positions_curvature is None


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_the_strain_of_patches_follows_from_strained_objects(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, measured: Tensor | None
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
        return torch.cat([model(canvases[n], positions[n : n + 1], estimate.probe) for n in range(3)])

    seen = torch.ones_like(amplitude, dtype=torch.bool) if measured is None else measured.expand_as(amplitude)
    background = (MODEL_ERROR * amplitude.square()[seen].mean()).square()

    def robust(strain: Tensor) -> Tensor:
        expected, counts = photons(strain) + background, amplitude.square() + background
        return ((expected - counts * expected.log()) / 2)[seen].sum()

    none = torch.zeros(3, 4, dtype=torch.float64)
    straight = Estimate(quadratic(grid), estimate.probe, estimate.positions_px)
    found = gradients(model, straight, INDEX, of(model, amplitude, measured), loss=POISSON, strain=True)
    torch.testing.assert_close(found.strain, torch.autograd.functional.jacobian(robust, none), rtol=1e-8, atol=1e-8)
    jacobian = torch.autograd.functional.jacobian(lambda strain: photons(strain).sum(0), none)
    weight = seen / (photons(none) + background)
    expected = torch.einsum("hwna,hwnb,nhw->nab", jacobian, jacobian, weight) / 2
    torch.testing.assert_close(found.strain_curvature, expected, rtol=1e-8, atol=1e-8)


def test_gradients_of_bilinear_patches(estimate: Estimate, amplitude: Tensor) -> None:
    found = gradients(DiffractionModel("bilinear"), estimate, INDEX, of(FAR_FIELD, amplitude), loss=POISSON)
    total, (by_object, by_probe, _) = by_autograd(DiffractionModel("bilinear"), estimate, amplitude, None, "poisson")
    torch.testing.assert_close(found.loss, total, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.object_, by_object, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.probe, by_probe, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_slope_of_a_loss_is_its_derivative(loss: str) -> None:
    expected = torch.tensor([0.5, 3.0, 40.0], dtype=torch.float64, requires_grad=True)
    values, slope = LOSSES[loss].value_and_slope(expected, torch.tensor([0.0, 4.0, 36.0], dtype=torch.float64))
    torch.testing.assert_close(torch.autograd.grad(values.sum(), expected)[0], slope.detach())


def test_both_losses_agree_at_many_photons() -> None:
    amplitude = torch.tensor([1000.0], dtype=torch.float64)
    expected = (amplitude + 0.5) ** 2
    (poisson, _), (square, _) = (
        LOSSES[name].value_and_slope(expected, amplitude.square()) for name in ("poisson", "amplitude")
    )
    torch.testing.assert_close(poisson, square, rtol=1e-3, atol=0)


def test_dark_pixels_give_finite_gradients(estimate: Estimate) -> None:
    dark = Estimate(torch.zeros_like(estimate.object_), estimate.probe, estimate.positions_px)
    for loss in LOSSES:
        ones = torch.ones(3, SIZE, SIZE, dtype=torch.float64)
        found = gradients(
            DiffractionModel(),
            dark,
            INDEX,
            of(FAR_FIELD, ones),
            loss=LOSSES[loss].value_and_slope,
            positions_curvature=True,
            strain=True,
        )
        assert all(torch.isfinite(value).all() for name, value in vars(found).items() if value is not None)


def test_powers_are_the_placed_squares(estimate: Estimate, amplitude: Tensor) -> None:
    found: Gradients = gradients(DiffractionModel(), estimate, INDEX, of(FAR_FIELD, amplitude), loss=POISSON)
    assert found.probe_power.sum().item() == pytest.approx(3 * estimate.probe.abs().square().sum().item())
    whole = torch.floor(estimate.positions_px[INDEX] + 0.5).long()
    rows = [estimate.object_[y - 4 : y + 4, x - 4 : x + 4].abs().square() for y, x in whole.tolist()]
    torch.testing.assert_close(found.object_power, torch.stack(rows).sum(0))


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_the_change_of_an_amplitude_is_minus_the_gradient_of_its_loss(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    patches = estimate.object_[:SIZE, : 3 * SIZE].unflatten(1, (3, SIZE)).transpose(0, 1).clone().requires_grad_()
    values = LOSSES["amplitude"].value(model.photons(patches, estimate.probe), amplitude.square())
    (gradient,) = torch.autograd.grad((values if measured is None else values * measured).sum(), patches)
    found = amplitude_change(model, patches.detach(), estimate.probe, amplitude, measured)
    torch.testing.assert_close(found, -gradient / 2, rtol=1e-9, atol=1e-9)


def test_a_background_explains_photons_that_no_object_explains(estimate: Estimate) -> None:
    """Where the counts are those of wave and background, the loss has no slope with it and a slope without it."""
    true = DiffractionModel(background=3.0)
    counted = true(estimate.object_, estimate.positions_px[INDEX], estimate.probe).sqrt()
    slopes = [
        gradients(model, estimate, INDEX, of(model, counted), loss=LOSSES["amplitude"].value_and_slope).object_.norm()
        for model in (true, DiffractionModel())
    ]
    assert slopes[0] < 1e-9 * slopes[1]


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_derivatives_by_intensities_are_those_of_the_model(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    """First derivative by the logarithms, and half of the Fisher information; the others see the brighter beam."""
    count = len(estimate.positions_px)
    factors = torch.linspace(0.6, 1.7, count, dtype=torch.float64)
    now = replace(estimate, intensities=factors)
    seen = torch.ones(()) if measured is None else measured

    def photons(logarithm: Tensor) -> Tensor:
        return model(estimate.object_, estimate.positions_px[INDEX], estimate.probe, logarithm.exp())

    def loss(logarithm: Tensor) -> Tensor:
        value, _ = LOSSES["poisson"].value_and_slope(photons(logarithm), amplitude.square())
        return (value * seen).sum()

    logarithm = factors[INDEX].log()
    found = gradients(
        model, now, INDEX, of(model, amplitude, measured), loss=LOSSES["poisson"].value_and_slope, intensities=True
    )
    assert found.intensities is not None
    torch.testing.assert_close(found.intensities.slope, torch.autograd.functional.jacobian(loss, logarithm))
    torch.testing.assert_close(found.loss, loss(logarithm))
    slopes = torch.autograd.functional.jacobian(photons, logarithm).diagonal(dim1=0, dim2=-1).movedim(-1, 0)
    wanted = (slopes.square() / (photons(logarithm) + SOLVER_PHOTONS) * seen).sum((-2, -1)) / 2
    torch.testing.assert_close(found.intensities.curvature, wanted)


@pytest.mark.parametrize("measured", masks(), ids=["all pixels", "one mask", "a mask each"])
def test_the_curvature_of_a_tilt_is_half_its_fisher_information(
    model: DiffractionModel, estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    """A phase ramp over the whole object tilts every exit wave, up to a phase of its own."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in estimate.object_.shape)

    def photons(tilt: Tensor) -> Tensor:
        ramp = torch.exp(1j * (tilt[0] * rows[:, None] + tilt[1] * columns))
        return model(estimate.object_ * ramp, estimate.positions_px[INDEX], estimate.probe)

    still = torch.zeros(2, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(photons, still)
    weight = 1 / (photons(still) + SOLVER_PHOTONS)
    if measured is not None:
        weight = weight * measured
    wanted = torch.einsum("nyxa,nyxb,nyx->ab", slopes, slopes, weight) / 2
    found = tilt_response(model, estimate, INDEX, of(model, amplitude, measured))
    waves = exit_wave(
        model.probes(estimate.probe, model.split(estimate.positions_px[INDEX])[1]),
        extract_patches(estimate.object_, model.split(estimate.positions_px[INDEX])[0], (SIZE, SIZE)),
    )
    torch.testing.assert_close(found.curvature * intensity(waves).sum(), wanted)


def test_the_spread_is_the_covariance_of_the_illuminated_intensity(estimate: Estimate, amplitude: Tensor) -> None:
    """A probe of two pixels, 3 px apart along rows and 1 px along columns."""
    probe = torch.zeros(1, SIZE, SIZE, dtype=torch.complex128)
    probe[0, 2, 4] = probe[0, 5, 5] = 1
    now = Estimate(torch.ones_like(estimate.object_), probe, estimate.positions_px.round())
    wanted = torch.tensor([[2.25, 0.75], [0.75, 0.25]], dtype=torch.float64)
    torch.testing.assert_close(tilt_response(DiffractionModel(), now, INDEX, of(FAR_FIELD, amplitude)).spread, wanted)


@pytest.mark.parametrize("measured", masks(), ids=["all", "one mask", "a mask for each"])
def test_slope_and_curvature_by_a_flat_background(
    estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    photons = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    expected = DiffractionModel()(estimate.object_, estimate.positions_px[INDEX], estimate.probe) + photons
    seen = torch.ones_like(expected, dtype=torch.bool) if measured is None else measured.expand_as(expected)
    value, _ = POISSON(expected, amplitude.square())
    value[seen].sum().backward()
    now = gradients(
        DiffractionModel(background=photons.detach()),
        estimate,
        INDEX,
        of(FAR_FIELD, amplitude, measured),
        loss=POISSON,
        background=True,
    )
    assert now.background is not None
    torch.testing.assert_close(now.background.slope, photons.grad)
    torch.testing.assert_close(
        now.background.curvature, (expected + SOLVER_PHOTONS).reciprocal()[seen].sum().detach() / 2
    )


@pytest.mark.parametrize("measured", masks(), ids=["all", "one mask", "a mask for each"])
def test_slope_and_curvature_by_the_background_of_each_pixel(
    estimate: Estimate, amplitude: Tensor, measured: Tensor | None
) -> None:
    level = 1 + torch.rand(SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    photons = level.clone().requires_grad_()
    expected = DiffractionModel()(estimate.object_, estimate.positions_px[INDEX], estimate.probe) + photons
    seen = torch.ones_like(expected, dtype=torch.bool) if measured is None else measured.expand_as(expected)
    value, _ = POISSON(expected, amplitude.square())
    value[seen].sum().backward()
    now = gradients(
        DiffractionModel(background=level),
        estimate,
        INDEX,
        of(FAR_FIELD, amplitude, measured),
        loss=POISSON,
        background_pattern=True,
    )
    assert now.background is not None
    torch.testing.assert_close(now.background.slope, photons.grad)
    twice = ((expected + SOLVER_PHOTONS).reciprocal() * seen).sum(0).detach()
    torch.testing.assert_close(now.background.curvature, twice / 2)
