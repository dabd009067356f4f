"""Every linear map of the physics against its adjoint: <A x, y> = <x, A* y>."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ptychopinn.physics import (
    FarField,
    accumulate,
    bilinear_shift,
    exit_wave,
    extract_patches,
    fourier_shift,
    place_patches,
    shifted_probes,
    to_detector,
    to_sample,
)
from ptychopinn.physics.fourier import centre_zero_frequency, uncentre_zero_frequency
from ptychopinn.physics.illumination import (
    exit_wave_to_patches,
    exit_wave_to_probe,
    shifted_probes_to_probe,
    smooth_probe,
)

SIZES = [(8, 8), (7, 9), (6, 5)]
CANVAS = (23, 26)
WHOLE = torch.tensor([[[4, 5], [9, 7], [17, 19]], [[10, 4], [5, 12], [12, 11]]])
FRACTIONAL = torch.tensor([[[4.3, 5.9], [9.0, 7.5], [16.2, 18.8]], [[10.1, 4.7], [5.6, 12.2], [12.0, 11.0]]]).double()
REMAINDER = torch.tensor([[0.3, -0.45], [-0.2, 0.1], [0.0, 0.49]], dtype=torch.float64)
SHIFT = torch.tensor([1.3, -2.6], dtype=torch.float64)
MODES = 2
POSITIONS = 3


class Case(NamedTuple):
    """A linear map, what should be its adjoint, and a vector from the domain and the range of the map."""

    apply: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]
    x: Tensor
    y: Tensor


def draw(*shape: int) -> Tensor:
    """Complex Gaussian numbers, the same ones for the same shape."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=torch.complex128, generator=generator)


def cases(size: tuple[int, int]) -> dict[str, Case]:
    """All linear maps by name, on patches of that size."""
    waves = draw(POSITIONS, MODES, *size)
    probe, patches, image = draw(MODES, *size), draw(POSITIONS, *size), draw(*size)
    canvases, groups = draw(2, *CANVAS), draw(2, POSITIONS, *size)
    weight = draw(*size).abs()
    far = FarField()
    return {
        "to_detector": Case(to_detector, to_sample, image, draw(*size)),
        "to_sample": Case(to_sample, to_detector, image, draw(*size)),
        "FarField": Case(far, far.adjoint, waves, draw(*waves.shape)),
        "centre_zero_frequency": Case(centre_zero_frequency, uncentre_zero_frequency, image, draw(*size)),
        "fourier_shift": Case(
            lambda x: fourier_shift(x, SHIFT), lambda y: fourier_shift(y, -SHIFT), image, draw(*size)
        ),
        "bilinear_shift": Case(
            lambda x: bilinear_shift(x, SHIFT), lambda y: bilinear_shift(y, -SHIFT), image, draw(*size)
        ),
        "extract_whole": Case(
            lambda x: extract_patches(x, WHOLE, size),
            lambda y: place_patches(y, WHOLE, CANVAS),
            canvases,
            groups,
        ),
        "extract_fractional": Case(
            lambda x: extract_patches(x, FRACTIONAL, size),
            lambda y: place_patches(y, FRACTIONAL, CANVAS),
            canvases,
            groups,
        ),
        "accumulate": Case(
            lambda x: accumulate(x, weight, FRACTIONAL, CANVAS)[0],
            lambda y: weight * extract_patches(y, FRACTIONAL, size),
            groups,
            canvases,
        ),
        "exit_wave_of_patches": Case(
            lambda x: exit_wave(probe, x), lambda y: exit_wave_to_patches(probe, y), patches, waves
        ),
        "exit_wave_of_probe": Case(
            lambda x: exit_wave(x, patches), lambda y: exit_wave_to_probe(patches, y), probe, waves
        ),
        "shifted_probes": Case(
            lambda x: shifted_probes(x, REMAINDER)[0],
            lambda y: shifted_probes_to_probe(y, REMAINDER),
            probe,
            waves,
        ),
        "smooth_probe": Case(lambda x: smooth_probe(x, 1.3), lambda y: smooth_probe(y, 1.3), probe, draw(MODES, *size)),
        "object_to_detector": Case(
            lambda x: far(exit_wave(probe, extract_patches(x, WHOLE[0], size))),
            lambda y: place_patches(exit_wave_to_patches(probe, far.adjoint(y)), WHOLE[0], CANVAS),
            draw(*CANVAS),
            waves,
        ),
        "probe_to_detector": Case(
            lambda x: far(exit_wave(shifted_probes(x, REMAINDER)[0], patches)),
            lambda y: shifted_probes_to_probe(exit_wave(far.adjoint(y), patches.conj()), REMAINDER),
            probe,
            waves,
        ),
    }


NAMES = list(cases(SIZES[0]))


def mismatch(pair: Case) -> float:
    """|<A x, y> - <x, A* y>| relative to |A x| |y|."""
    image, back = pair.apply(pair.x), pair.adjoint(pair.y)
    difference = torch.vdot(image.flatten(), pair.y.flatten()) - torch.vdot(pair.x.flatten(), back.flatten())
    return float(difference.abs() / (image.norm() * pair.y.norm()))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_adjoint(name: str, size: tuple[int, int]) -> None:
    assert mismatch(cases(size)[name]) < 1e-10


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_linear(name: str, size: tuple[int, int]) -> None:
    """Complex-linear, so that the inner products above say all there is to say."""
    pair = cases(size)[name]
    other, factor = draw(*pair.x.shape, 1)[..., 0], 0.7 - 1.9j
    together = pair.apply(pair.x + factor * other)
    torch.testing.assert_close(together, pair.apply(pair.x) + factor * pair.apply(other), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_wrong_adjoint_is_detected(size: tuple[int, int]) -> None:
    """What one gets wrong: the conjugate, a sign, the order of the axes, one pixel."""
    patches, waves, probe = draw(POSITIONS, *size), draw(POSITIONS, MODES, *size), draw(MODES, *size)
    wrong: dict[str, Callable[[Tensor], Tensor]] = {
        "exit_wave_of_patches": lambda y: (probe * y).sum(-3),
        "exit_wave_of_probe": lambda y: (patches.unsqueeze(-3) * y).sum(0),
        "to_detector": to_detector,
        "fourier_shift": lambda y: fourier_shift(y, SHIFT),
        "bilinear_shift": lambda y: bilinear_shift(y, -SHIFT.flip(0)),
        "extract_whole": lambda y: place_patches(y, WHOLE + 1, CANVAS),
        "extract_fractional": lambda y: place_patches(y, FRACTIONAL.flip(-1), CANVAS),
        "accumulate": lambda y: extract_patches(y, FRACTIONAL, size),
        "shifted_probes": lambda y: shifted_probes_to_probe(y, -REMAINDER),
    }
    assert waves.is_complex()
    for name, adjoint in wrong.items():
        assert mismatch(cases(size)[name]._replace(adjoint=adjoint)) > 1e-3, name


def test_a_real_probe_would_hide_the_missing_conjugate() -> None:
    """Why the data above are complex."""
    probe, patches, waves = draw(MODES, 8, 8).real + 0j, draw(POSITIONS, 8, 8), draw(POSITIONS, MODES, 8, 8)
    pair = Case(lambda x: exit_wave(probe, x), lambda y: (probe * y).sum(-3), patches, waves)
    assert mismatch(pair) < 1e-10


def test_uncentring_differs_from_centring_for_odd_sizes() -> None:
    image = draw(7, 9)
    assert not torch.equal(centre_zero_frequency(centre_zero_frequency(image)), image)
    assert torch.equal(uncentre_zero_frequency(centre_zero_frequency(image)), image)
