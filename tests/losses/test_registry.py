"""Every registered loss and penalty: its derivative is that of its value; names are found, and bad ones refused."""

import pytest
import torch
from torch import Tensor

from ptychopinn.config import LossConfig
from ptychopinn.errors import ConfigError
from ptychopinn.losses import (
    DATA_LOSSES,
    LIKELIHOOD,
    PENALTIES,
    AmplitudeSquare,
    DataLoss,
    Penalty,
    Poisson,
    data_loss,
    data_terms,
    gradient_by_autograd,
    penalty,
    penalty_terms,
    slope_by_autograd,
)

LOSSES = sorted(DATA_LOSSES.entries)
KINDS = sorted(PENALTIES.entries)


def photons() -> tuple[Tensor, Tensor]:
    """Expected photons from nearly none to many, counts from none to far more than expected."""
    expected = torch.tensor([[1e-4, 0.5, 3.0, 40.0, 900.0]], dtype=torch.float64).expand(4, 5)
    counts = torch.tensor([[0.0], [1.0], [7.0], [1000.0]], dtype=torch.float64).expand(4, 5)
    return expected.clone(), counts.clone()


def complex_object() -> Tensor:
    """An object with contrast in amplitude and phase, nowhere zero."""
    draw = torch.Generator().manual_seed(0)
    real, imaginary = 0.3 * torch.randn(2, 6, 7, dtype=torch.float64, generator=draw)
    return torch.exp(torch.complex(real, imaginary))


@pytest.mark.parametrize("name", LOSSES)
def test_the_slope_is_the_derivative_of_the_value(name: str) -> None:
    loss = data_loss(name)
    expected, counts = photons()
    value, slope = loss.value_and_slope(expected, counts)
    by_autograd = slope_by_autograd(loss.value, expected, counts)
    torch.testing.assert_close(value, by_autograd[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(slope, by_autograd[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_dark_pixels_have_finite_slopes(name: str) -> None:
    loss, counts = data_loss(name), torch.tensor([0.0, 2.0])
    dark = torch.zeros(2, requires_grad=True)
    loss.value(dark, counts).sum().backward()
    assert torch.isfinite(dark.grad).all()
    assert all(torch.isfinite(part).all() for part in loss.value_and_slope(dark.detach(), counts))


@pytest.mark.parametrize("name", ["poisson", "amplitude"])
def test_losses_of_the_solver_have_the_curvature_of_squared_amplitudes(name: str) -> None:
    counts = torch.tensor([1e6], dtype=torch.float64)
    expected = (counts.sqrt() + 0.5).square()
    torch.testing.assert_close(
        data_loss(name).value(expected, counts), torch.tensor([0.25]).double(), rtol=1e-3, atol=0
    )


def test_the_poisson_losses_of_training_and_solver_differ_in_what_is_stated() -> None:
    """Where neither the offsets nor the limit of the slope matter, one is twice the other."""
    expected, counts = torch.tensor([400.0], dtype=torch.float64), torch.tensor([450.0], dtype=torch.float64)
    for ours, theirs in zip(
        LIKELIHOOD.value_and_slope(expected, counts), Poisson().value_and_slope(expected, counts), strict=True
    ):
        torch.testing.assert_close(ours, 2 * theirs, rtol=2e-3, atol=0)
    assert float(LIKELIHOOD.value(counts, counts)) == 0


@pytest.mark.parametrize("name", KINDS)
def test_the_gradient_of_a_penalty_is_that_of_its_mean_times_the_pixels(name: str) -> None:
    kind, object_ = penalty(name), complex_object()
    torch.testing.assert_close(kind.gradient(object_), gradient_by_autograd(kind.value, object_), rtol=1e-6, atol=1e-9)
    assert kind.gradient(object_).abs().max() > 1e-3


@pytest.mark.parametrize("name", KINDS)
def test_the_mean_over_several_images_is_that_of_each(name: str) -> None:
    image, kind = complex_object(), penalty(name)
    assert float(kind.value(torch.stack((image, image)))) == pytest.approx(float(kind.value(image)))
    assert float(kind.value(torch.full((2, 6, 7), 0.5 + 0.5j))) == pytest.approx(0, abs=1e-6)


def test_derivatives_are_found_under_inference_mode() -> None:
    with torch.inference_mode():
        expected, counts = photons()
        torch.testing.assert_close(
            slope_by_autograd(AmplitudeSquare().value, expected, counts)[1],
            AmplitudeSquare().value_and_slope(expected, counts)[1],
        )
        assert gradient_by_autograd(penalty("smoothness").value, complex_object()).abs().max() > 0


def test_terms_of_weight_zero_are_not_made() -> None:
    config = LossConfig(poisson_weight=0, terms={"amplitude": 0.5, "never_registered": 0}, penalties={"smoothness": 2})
    assert data_terms(config) == {"amplitude": (0.5, AmplitudeSquare())}
    assert list(penalty_terms(config)) == ["smoothness"]
    assert data_terms(LossConfig()) == {"poisson": (1.0, LIKELIHOOD)}


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"refine\.loss = 'gaussian' is not registered; .*amplitude_mae"):
        data_loss("gaussian")
    with pytest.raises(ConfigError, match=r"model\.loss\.penalties .*'calm' is not registered; .*edge_preserving"):
        penalty_terms(LossConfig(penalties={"calm": 1}))


def test_what_lacks_a_method_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATA_LOSSES, "entries", {"half": object})
    with pytest.raises(ConfigError, match="data loss 'half' must have photons_power, value, value_and_slope, got"):
        data_loss("half")


def test_every_entry_satisfies_its_protocol() -> None:
    assert all(isinstance(data_loss(name), DataLoss) for name in LOSSES)
    assert all(isinstance(penalty(name), Penalty) for name in KINDS)
