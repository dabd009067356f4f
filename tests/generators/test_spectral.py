"""Spectral convolutions against plain transforms, their adjoint, and what sampling does to them."""

import sys

import pytest
import torch
from torch import Tensor

from ptychopinn.errors import MissingExtraError
from ptychopinn.generators.spectral import AxialConvolution, SpectralConvolution

SIZES = [(16, 16), (15, 12), (12, 15), (9, 8), (3, 7), (1, 2)]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(3))


def make(kind: type, channels_in: int = 3, channels_out: int = 2, modes: int = 4) -> torch.nn.Module:
    torch.manual_seed(1)
    return kind(channels_in, channels_out, modes).double()


def by_plain_transforms(layer: SpectralConvolution, image: Tensor) -> Tensor:
    """Wave by wave, with complex numbers."""
    height, width = image.shape[-2:]
    matrices, modes = layer.matrices(), layer.modes
    spectrum = torch.fft.rfft2(image)
    mixed = torch.zeros(len(image), matrices.shape[1], *spectrum.shape[-2:], dtype=spectrum.dtype)
    for row in range(-modes, modes + 1):
        for column in range(modes + 1):
            if 2 * abs(row) < height and 2 * column < width:
                wave = matrices[:, :, row + modes, column]
                mixed[:, :, row % height, column] = spectrum[:, :, row % height, column] @ wave
    return torch.fft.irfft2(mixed, s=(height, width))


def along_axis(image: Tensor, weight: Tensor, axis: int) -> Tensor:
    """One axis by plain transforms."""
    size, spectrum = image.shape[axis], torch.fft.rfft(image, dim=axis).movedim(axis, -1)
    mixed = torch.zeros(*spectrum.shape[:1], weight.shape[-1] // 2, *spectrum.shape[2:], dtype=spectrum.dtype)
    for wave in range(min(len(weight), (size + 1) // 2)):
        matrix = torch.complex(*weight[wave].chunk(2, dim=-1))
        mixed[..., wave] = torch.einsum("bcn,cd->bdn", spectrum[..., wave], matrix)
    return torch.fft.irfft(mixed, n=size).movedim(-1, axis)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_a_product_in_fourier_space(size: tuple[int, int]) -> None:
    layer, image = make(SpectralConvolution), random(2, 3, *size)
    torch.testing.assert_close(layer(image), by_plain_transforms(layer, image))


@pytest.mark.parametrize("size", SIZES)
def test_along_the_axes_it_is_two_such_products(size: tuple[int, int]) -> None:
    layer, image = make(AxialConvolution), random(2, 3, *size)
    expected = along_axis(image, layer.rows, 2) + along_axis(image, layer.columns, 3)
    torch.testing.assert_close(layer(image), expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_rows_of_both_signs_have_weights_of_their_own(sign: int) -> None:
    layer, (y, x) = make(SpectralConvolution, 1, 1), torch.meshgrid(*2 * [torch.arange(16)], indexing="ij")
    wave = torch.cos(2 * torch.pi * (sign * 2 * y + 3 * x) / 16).double()[None, None]
    amplitude = layer.matrices()[0, 0, 4 + sign * 2, 3].abs()
    assert not torch.isclose(amplitude, layer.matrices()[0, 0, 4 - sign * 2, 3].abs(), rtol=0.1)
    torch.testing.assert_close(layer(wave).square().mean().sqrt(), amplitude / 2**0.5)


@pytest.mark.parametrize(("waves", "kept"), [((0, 4), True), ((4, 0), True), ((0, 5), False), ((-5, 2), False)])
def test_waves_beyond_the_highest_frequency_are_left_out(waves: tuple[int, int], kept: bool) -> None:
    y, x = torch.meshgrid(*2 * [torch.arange(16, dtype=torch.float64)], indexing="ij")
    image = torch.cos(2 * torch.pi * (waves[0] * y + waves[1] * x) / 16).expand(1, 3, 16, 16)
    largest = make(SpectralConvolution)(image).abs().max()
    assert largest > 0.1 if kept else largest < 1e-12


@pytest.mark.parametrize("kind", [SpectralConvolution, AxialConvolution])
@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_the_gradient_is_the_adjoint(kind: type, size: tuple[int, int]) -> None:
    layer, image = make(kind), random(2, 3, *size).requires_grad_()
    output = layer(image)
    other = random(*output.shape).roll(1, -1)
    (back,) = torch.autograd.grad(output, image, other)
    torch.testing.assert_close((output * other).sum(), (image * back).sum(), rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(layer, image)


@pytest.mark.parametrize("kind", [SpectralConvolution, AxialConvolution])
def test_gradients_of_the_weights(kind: type) -> None:
    layer, image = make(kind, modes=2), random(1, 3, 6, 5)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def run(*values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (image,))

    assert torch.autograd.gradcheck(run, weights)


@pytest.mark.parametrize("kind", [SpectralConvolution, AxialConvolution])
@pytest.mark.parametrize("size", [12, 13])
def test_twice_as_fine_a_sampling_gives_the_same_there(kind: type, size: int) -> None:
    """An image of few waves, by Fourier interpolation."""
    layer, coarse = make(kind), make(SpectralConvolution, 3, 3)(random(1, 3, size, size))
    spectrum = torch.fft.fftshift(torch.fft.fft2(coarse), (-2, -1))
    before = size - size // 2
    padded = torch.nn.functional.pad(spectrum, (before, size - before) * 2)
    fine = torch.fft.ifft2(torch.fft.ifftshift(padded, (-2, -1))).real * 4
    torch.testing.assert_close(fine[..., ::2, ::2], coarse)
    torch.testing.assert_close(layer(fine)[..., ::2, ::2], layer(coarse))


@pytest.mark.parametrize("kind", [SpectralConvolution, AxialConvolution])
def test_arithmetic_stays_float32_under_autocast(kind: type) -> None:
    layer, image = make(kind).float(), random(1, 3, 16, 16, dtype=torch.float32)
    expected = layer(image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(image), expected)
        assert layer(image.bfloat16()).dtype == torch.float32


def test_without_the_library_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neuralop.layers.spectral_convolution", None)
    with pytest.raises(MissingExtraError, match=r"spectral=neuraloperator .*pip install 'neuraloperator>=2.0'"):
        SpectralConvolution(2, 2, 3, "neuraloperator")


@pytest.mark.optional("neuralop")
@pytest.mark.parametrize("size", [(16, 16), (64, 32), (16, 15)])
def test_the_library_gives_the_same_numbers(size: tuple[int, int]) -> None:
    own, image = make(SpectralConvolution).float(), random(2, 3, *size, dtype=torch.float32)
    engine = SpectralConvolution(3, 2, 4, "neuraloperator")
    engine.load_state_dict(own.state_dict(), strict=True)
    expected = own(image)
    torch.testing.assert_close(engine(image), expected)
    torch.testing.assert_close(own.to_library()(image), expected)
    gradients = [torch.autograd.grad(layer(image).square().sum(), layer.weight)[0] for layer in (own, engine)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.optional("neuralop")
def test_weights_go_to_the_library_and_back() -> None:
    own = make(SpectralConvolution).float()
    assert torch.equal(SpectralConvolution.from_library(own.to_library()).weight, own.weight)
    with pytest.raises(ValueError, match=r"keeps 4 x 3 waves; must be"):
        SpectralConvolution.from_library(type(own.to_library())(2, 2, (4, 5), bias=False))
    with pytest.raises(ValueError, match=r"keeps 5 x 3 waves and has a bias"):
        SpectralConvolution.from_library(type(own.to_library())(2, 2, (5, 5)))
