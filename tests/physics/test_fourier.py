"""The centred transform: unitary, centred, with the sign of the convention."""

import math

import pytest
import torch
from torch import Tensor

from ptychopinn.physics import FarField, Propagator, to_detector, to_sample
from ptychopinn.physics.fourier import centre_zero_frequency, frequencies

SIZES = [(8, 8), (7, 9), (6, 5)]


def wave(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_far_field_is_unitary(size: tuple[int, int]) -> None:
    """Energy is kept, and the adjoint is the inverse."""
    exit_wave, far = wave(2, 3, *size), FarField()
    detector_wave = far(exit_wave)
    torch.testing.assert_close(detector_wave.abs().square().sum(), exit_wave.abs().square().sum())
    torch.testing.assert_close(far.adjoint(detector_wave), exit_wave)
    assert isinstance(far, Propagator)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_plane_wave_meets_the_detector_at_its_frequency(size: tuple[int, int]) -> None:
    """exp(2 pi i (y / H - 2 x / W)) about (H//2, W//2) gives one real pixel at (H//2 + 1, W//2 - 2)."""
    height, width = size
    y = torch.arange(height, dtype=torch.float64) - height // 2
    x = torch.arange(width, dtype=torch.float64) - width // 2
    phase = 2 * math.pi * (y[:, None] / height - 2 * x[None, :] / width)
    expected = torch.zeros(size, dtype=torch.complex128)
    expected[height // 2 + 1, width // 2 - 2] = math.sqrt(height * width)
    torch.testing.assert_close(to_detector(torch.exp(1j * phase)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_centre_of_sample_and_of_detector(size: tuple[int, int]) -> None:
    """A dot at element (H//2, W//2) of one side is a constant on the other."""
    dot = torch.zeros(size, dtype=torch.complex128)
    dot[size[0] // 2, size[1] // 2] = 1
    constant = torch.full(size, 1 / math.sqrt(size[0] * size[1]), dtype=torch.complex128)
    torch.testing.assert_close(to_detector(dot), constant)
    torch.testing.assert_close(to_sample(dot), constant)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_centre_zero_frequency_of_a_recorded_pattern(size: tuple[int, int]) -> None:
    """A pattern of the plain transform becomes that of the centred one."""
    image = wave(*size)
    recorded = torch.fft.fft2(torch.fft.ifftshift(image), norm="ortho").abs().square()
    torch.testing.assert_close(centre_zero_frequency(recorded), to_detector(image).abs().square())


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_frequencies(size: int) -> None:
    expected = torch.fft.fftshift(torch.fft.fftfreq(size, dtype=torch.float64))
    torch.testing.assert_close(frequencies(size, dtype=torch.float64), expected)
    assert frequencies(size)[size // 2] == 0
