"""Translation by whole and fractional pixels."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ptychopinn.physics import bilinear_shift, fourier_shift, split_position

SIZES = [(8, 8), (7, 9), (6, 5)]


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(7))


def pair(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, 1), (2, -3), (-5, 4)], ids=str)
def test_whole_fourier_shift_is_a_roll(size: tuple[int, int], shift: tuple[int, int]) -> None:
    """Content moves towards larger indices, y first: out[y, x] = in[y - dy, x - dx]."""
    start = image(2, *size)
    expected = torch.roll(start, shift, (-2, -1))
    torch.testing.assert_close(fourier_shift(start, pair(*shift)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fourier_shift_of_a_plane_wave_is_a_phase(size: tuple[int, int]) -> None:
    """exp(2 pi i f.r) becomes exp(2 pi i f.(r - d)), exactly, for any shift."""
    height, width = size
    y, x = torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64)

    def plane(dy: float, dx: float) -> Tensor:
        return torch.exp(2j * math.pi * (2 * (y[:, None] - dy) / height - (x[None, :] - dx) / width))

    torch.testing.assert_close(fourier_shift(plane(0, 0), pair(0.37, -1.81)), plane(0.37, -1.81), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(32, 32), (31, 33)], ids=str)
def test_fourier_shift_of_a_gaussian_is_the_moved_gaussian(size: tuple[int, int]) -> None:
    y, x = (torch.arange(n, dtype=torch.float64) - n // 2 for n in size)

    def gaussian(dy: float, dx: float) -> Tensor:
        return torch.exp(-((y[:, None] - dy) ** 2 + (x[None, :] - dx) ** 2) / 8).to(torch.complex128)

    torch.testing.assert_close(fourier_shift(gaussian(0, 0), pair(0.3, -0.45)), gaussian(0.3, -0.45), rtol=0, atol=1e-8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fourier_shift_keeps_the_energy_and_adds_up(size: tuple[int, int]) -> None:
    start, first, second = image(*size), pair(0.4, -1.3), pair(-2.2, 0.9)
    once = fourier_shift(start, first)
    torch.testing.assert_close(once.norm(), start.norm())
    torch.testing.assert_close(fourier_shift(once, second), fourier_shift(start, first + second))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_whole_bilinear_shift_lets_zeros_in(size: tuple[int, int]) -> None:
    start = image(*size)
    expected = torch.zeros_like(start)
    expected[2:, :-1] = start[:-2, 1:]
    assert torch.equal(bilinear_shift(start, pair(2, -1)), expected)
    assert not bilinear_shift(start, pair(20, 0)).any()


def test_fractional_bilinear_shift_by_hand() -> None:
    start = torch.tensor([[0.0, 4.0], [0.0, 8.0]], dtype=torch.float64)
    expected = torch.tensor([[0.0, 3.0], [0.0, 7.0]], dtype=torch.float64)
    torch.testing.assert_close(bilinear_shift(start, pair(0.25, 0)), expected)
    expected = torch.tensor([[1.0, 3.0], [2.0, 6.0]], dtype=torch.float64)
    torch.testing.assert_close(bilinear_shift(start, pair(0, -0.25)), expected)


@pytest.mark.parametrize("shift", [fourier_shift, bilinear_shift])
def test_leading_axes_broadcast(shift: Callable[[Tensor, Tensor], Tensor]) -> None:
    start, shifts = image(3, 6, 5), torch.stack([pair(0.5, 1), pair(-1.25, 0), pair(0, 2)])
    together = shift(start, shifts)
    alone = torch.stack([shift(start[n], shifts[n]) for n in range(3)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(shift(start[0], shifts)[2], shift(start[0], shifts[2]))


@pytest.mark.parametrize("shift", [fourier_shift, bilinear_shift])
def test_gradients(shift: Callable[[Tensor, Tensor], Tensor]) -> None:
    start, by = image(5, 4).requires_grad_(), pair(0.3, -1.6).requires_grad_()
    assert torch.autograd.gradcheck(shift, (start, by))


def test_split_position() -> None:
    """Nearest pixel; halves go up, so that the remainder lies in [-0.5, 0.5)."""
    whole, rest = split_position(torch.tensor([[1.5, -1.5], [2.49, -0.51], [7.0, -7.0]], dtype=torch.float64))
    assert whole.tolist() == [[2, -1], [2, -1], [7, -7]]
    torch.testing.assert_close(rest, torch.tensor([[-0.5, -0.5], [0.49, 0.49], [0, 0]], dtype=torch.float64))
    whole, rest = split_position(torch.tensor([[3, -4]]))
    assert whole.tolist() == [[3, -4]]
    assert rest.tolist() == [[0, 0]]
