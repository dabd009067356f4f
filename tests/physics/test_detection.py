"""Intensity, amplitude and counts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ptychopinn.physics import amplitude, count_photons, intensity


def wave(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("modes", [1, 2, 3])
def test_modes_are_summed_incoherently(modes: int) -> None:
    """Intensities add, not waves: the earlier two-mode forward model adds the waves."""
    detector_wave = wave(4, modes, 6, 5)
    each = [detector_wave[:, m].abs().square() for m in range(modes)]
    torch.testing.assert_close(intensity(detector_wave), sum(each))
    coherent = detector_wave.sum(1).abs().square()
    assert torch.allclose(intensity(detector_wave), coherent) == (modes == 1)


def test_modes_of_opposite_sign_do_not_cancel() -> None:
    one = wave(1, 6, 5)
    torch.testing.assert_close(intensity(torch.cat((one, -one))), 2 * one[0].abs().square())


def test_intensity_does_not_see_a_phase_of_each_mode() -> None:
    detector_wave = wave(3, 6, 5)
    turned = detector_wave * torch.exp(1j * torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64))[:, None, None]
    torch.testing.assert_close(intensity(turned), intensity(detector_wave))


def test_amplitude_is_the_root_of_the_intensity() -> None:
    detector_wave = wave(4, 3, 6, 5)
    torch.testing.assert_close(amplitude(detector_wave).square(), intensity(detector_wave))


@pytest.mark.parametrize("measure", [intensity, amplitude])
def test_gradients(measure: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(measure, (wave(2, 3, 2, 3).requires_grad_(),))


@pytest.mark.parametrize("modes", [1, 2])
def test_gradient_of_the_amplitude_at_zero_is_not_nan(modes: int) -> None:
    """Amplitude and absolute error once trained to NaN: sqrt(|z|^2) has no gradient at zero."""
    dark = torch.zeros(modes, 2, 2, dtype=torch.complex64, requires_grad=True)
    (gradient,) = torch.autograd.grad((amplitude(dark) - 1).abs().sum(), dark)
    assert not gradient.any()
    (careless,) = torch.autograd.grad((torch.sqrt(intensity(dark)) - 1).abs().sum(), dark)
    assert torch.isnan(careless.real).all()


def test_counts_are_poisson_and_repeatable() -> None:
    expected = torch.tensor([0.0, 3.0, 200.0]).expand(20000, 3)
    counts = count_photons(expected, torch.Generator().manual_seed(1))
    assert torch.equal(counts, count_photons(expected, torch.Generator().manual_seed(1)))
    assert torch.equal(counts, counts.round())
    torch.testing.assert_close(counts.mean(0), expected[0], rtol=0.02, atol=0)
    torch.testing.assert_close(counts.var(0), expected[0], rtol=0.05, atol=0)
