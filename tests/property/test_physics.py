"""What holds for all arrays and positions: adjoint pairs, energy, shifts, the order of frames."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ptychopinn.physics import extract_patches, fourier_shift, place_patches, to_detector, to_sample

few = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.integers(3, 17)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, *shape: int) -> Tensor:
    """Complex Gaussian numbers."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=shape) + 1j * rng.normal(size=shape))


def inner(one: Tensor, other: Tensor) -> complex:
    return complex((one * other.conj()).sum())


@few
@given(seed=seeds, height=sizes, width=sizes, count=st.integers(1, 6), whole=st.booleans())
def test_placing_is_the_adjoint_of_extracting(seed: int, height: int, width: int, count: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    canvas = drawn(seed, height + 12, width + 9)
    patches = drawn(seed + 1, count, height, width)
    low = np.array([height // 2 + 1, width // 2 + 1])
    positions = low + rng.uniform(0, 1, (count, 2)) * [9, 6]
    at = torch.from_numpy(np.floor(positions).astype(np.int64) if whole else positions)
    forward = inner(extract_patches(canvas, at, (height, width)), patches)
    backward = inner(canvas, place_patches(patches, at, tuple(canvas.shape)))
    assert abs(forward - backward) < 1e-10 * max(1, abs(forward))


@few
@given(seed=seeds, height=sizes, width=sizes, modes=st.integers(1, 4))
def test_propagation_keeps_energy_and_is_undone_by_its_adjoint(seed: int, height: int, width: int, modes: int) -> None:
    wave = drawn(seed, modes, height, width)
    detector = to_detector(wave)
    torch.testing.assert_close(detector.abs().square().sum(), wave.abs().square().sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(to_sample(detector), wave, rtol=0, atol=1e-12)


@few
@given(
    seed=seeds,
    height=sizes.filter(lambda n: n % 2 == 1),
    width=sizes.filter(lambda n: n % 2 == 1),
    one=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    other=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
)
def test_shifts_add_up(seed: int, height: int, width: int, one: tuple, other: tuple) -> None:
    image = drawn(seed, height, width)
    first, second = (torch.tensor(shift, dtype=torch.float64) for shift in (one, other))
    torch.testing.assert_close(
        fourier_shift(fourier_shift(image, first), second), fourier_shift(image, first + second), rtol=0, atol=1e-9
    )


@few
@given(seed=seeds, height=sizes, width=sizes, down=st.integers(-4, 4), right=st.integers(-4, 4))
def test_whole_shifts_roll(seed: int, height: int, width: int, down: int, right: int) -> None:
    image = drawn(seed, height, width)
    moved = fourier_shift(image, torch.tensor([down, right], dtype=torch.float64))
    torch.testing.assert_close(moved, image.roll((down, right), (0, 1)), rtol=0, atol=1e-9)
