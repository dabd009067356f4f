"""The diffraction model as a whole."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import (
    DiffractionModel,
    FarField,
    detect_patches,
    exit_wave,
    extract_patches,
    fourier_shift,
    intensity,
    to_detector,
)

SHAPE = (21, 24)
SIZES = [(8, 8), (7, 9), (6, 5)]
POSITIONS = torch.tensor([[7.3, 8.8], [11.0, 9.0], [9.5, 16.6]], dtype=torch.float64)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(sum(shape)))


def compact_probe(modes: int, size: tuple[int, int]) -> Tensor:
    """A random smooth probe that is zero at the rim, so that a window may be moved a little."""
    y, x = (torch.arange(n, dtype=torch.float64) - n // 2 for n in size)
    envelope = torch.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / 8)
    ramps = [torch.exp(1j * (0.4 * (m + 1) * y[:, None] - 0.3 * x[None, :])) for m in range(modes)]
    return torch.stack([envelope * ramp for ramp in ramps])


@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
@pytest.mark.parametrize("modes", [1, 2, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_against_a_plain_loop_for_whole_positions(size: tuple[int, int], modes: int, subpixel: str) -> None:
    """The equation, one pattern and one mode at a time, with the slice of the conventions."""
    object_, probe, positions = draw(*SHAPE), draw(modes, *size), POSITIONS.round()
    height, width = size
    expected = torch.zeros(len(positions), *size, dtype=torch.float64)
    for n, (y, x) in enumerate(positions.long().tolist()):
        top, left = y - height // 2, x - width // 2
        for mode in probe:
            wave = mode * object_[top : top + height, left : left + width]
            spectrum = torch.fft.fft2(torch.fft.ifftshift(wave)) / (height * width) ** 0.5
            expected[n] += torch.fft.fftshift(spectrum).abs() ** 2
    model = DiffractionModel(subpixel)
    torch.testing.assert_close(model(object_, positions, probe), expected)
    torch.testing.assert_close(model(object_, positions.long(), probe), expected)


@pytest.mark.parametrize("modes", [1, 2, 3])
def test_energy_is_conserved(modes: int) -> None:
    """The sum of the intensity equals the sum of |probe * patch|^2, for fractional positions too."""
    object_, probe = draw(*SHAPE), draw(modes, 8, 7)
    whole = torch.floor(POSITIONS + 0.5)
    moved = fourier_shift(probe, (POSITIONS - whole)[:, None, :])
    wave = moved * extract_patches(object_, whole.long(), (8, 7)).unsqueeze(1)
    photons = DiffractionModel()(object_, POSITIONS, probe).sum((-2, -1))
    torch.testing.assert_close(photons, wave.abs().square().sum((-3, -2, -1)))


@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
def test_photons_of_the_probe_reach_the_detector_through_an_empty_object(subpixel: str) -> None:
    """sum |probe|^2 is the number of photons per pattern where the object is 1."""
    probe = draw(3, 7, 8)
    expected = DiffractionModel(subpixel)(torch.ones(SHAPE, dtype=torch.complex128), POSITIONS, probe)
    torch.testing.assert_close(expected.sum((-2, -1)), probe.abs().square().sum().expand(3))


def test_modes_are_incoherent_in_the_whole_model() -> None:
    """The pattern of two modes is the sum of their patterns, and not that of the summed wave."""
    object_, probe, model = draw(*SHAPE), draw(2, 8, 8), DiffractionModel()
    together = model(object_, POSITIONS, probe)
    torch.testing.assert_close(together, sum(model(object_, POSITIONS, mode[None]) for mode in probe))
    assert not torch.allclose(together, model(object_, POSITIONS, probe.sum(0, keepdim=True)))


def test_a_position_may_be_reached_from_either_pixel() -> None:
    """At a half the probe may move up from one pixel or down from the next, to the same pattern."""
    y, x = torch.arange(40.0, dtype=torch.float64), torch.arange(41.0, dtype=torch.float64)
    object_ = torch.exp(1j * (torch.sin(y / 3)[:, None] + torch.cos(x / 4)[None, :]))
    model, probe = DiffractionModel(), compact_probe(1, (24, 24))
    near = torch.tensor([[19.4999999, 20.3], [19.5000001, 20.3]], dtype=torch.float64)
    below, above = model(object_, near, probe)
    torch.testing.assert_close(below, above, rtol=0, atol=1e-6 * float(above.max()))


def test_subpixel_rules_agree_on_a_smooth_object() -> None:
    """Shifting the probe and sampling the patch agree to interpolation error; a wrong sign does not."""
    y, x = torch.arange(40.0, dtype=torch.float64), torch.arange(41.0, dtype=torch.float64)
    object_ = torch.exp(1j * (torch.sin(y / 5)[:, None] + torch.cos(x / 6)[None, :]))
    probe, at = compact_probe(2, (24, 24)), torch.tensor([[19.3, 20.4]], dtype=torch.float64)
    by_probe, by_patch = (DiffractionModel(rule)(object_, at, probe) for rule in ("probe", "bilinear"))
    wrong = DiffractionModel("bilinear")(object_, 2 * at.round() - at, probe)
    error = (by_probe - by_patch).norm() / by_probe.norm()
    assert error < 0.02
    assert error < 0.25 * (by_probe - wrong).norm() / by_probe.norm()


def test_swapped_axes_and_flipped_signs_change_the_patterns() -> None:
    object_, probe, model = draw(*SHAPE), draw(1, 6, 6), DiffractionModel()
    right = model(object_, POSITIONS, probe)
    for wrong in (POSITIONS.flip(-1), 2 * POSITIONS.round() - POSITIONS, torch.tensor(SHAPE) - POSITIONS):
        assert (model(object_, wrong, probe) - right).norm() > 0.1 * right.norm()


def test_leading_axes() -> None:
    """Groups, each with an object of its own."""
    objects, probe = draw(2, *SHAPE), draw(2, 6, 5)
    positions = torch.stack((POSITIONS, POSITIONS + 0.4))
    together = DiffractionModel()(objects, positions, probe)
    assert together.shape == (2, 3, 6, 5)
    torch.testing.assert_close(together[1], DiffractionModel()(objects[1], positions[1], probe))


def test_detect_patches_takes_a_probe_for_each_patch() -> None:
    patches, probes = draw(4, 3, 6, 5), draw(4, 3, 2, 6, 5)
    expected = detect_patches(patches, probes, FarField())
    centred = intensity(to_detector(exit_wave(probes[1, 2], patches[1, 2])))  # the model moves photons, not waves
    torch.testing.assert_close(expected[1, 2], centred, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
def test_gradients(subpixel: str) -> None:
    """With respect to object, positions (within their pixel) and probe."""
    object_ = draw(6, 5).requires_grad_()
    positions = torch.tensor([[2.3, 1.8], [3.2, 2.4]], dtype=torch.float64, requires_grad=True)
    probe = draw(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(DiffractionModel(subpixel), (object_, positions, probe))


def test_a_patch_that_leaves_the_object_is_refused() -> None:
    with pytest.raises(PtychoPINNError, match="1 of 3 patches of 8x8 px leave the canvas of 21x24 px"):
        DiffractionModel()(draw(*SHAPE), POSITIONS + torch.tensor([6.6, 0]), draw(1, 8, 8))


def test_an_unknown_subpixel_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="subpixel must be 'probe' or 'bilinear', got 'nearest'"):
        DiffractionModel("nearest")


def test_patterns_follow_the_position_smoothly() -> None:
    """Steps of 0.1 px change them, and change them little."""
    object_, probe, model = draw(*SHAPE), compact_probe(1, (8, 8)), DiffractionModel()
    steps = torch.tensor([[9.1 + 0.1 * k, 10.2] for k in range(4)], dtype=torch.float64)
    patterns = model(object_, steps, probe)
    for one, other in pairwise(patterns):
        assert 0 < (one - other).norm() < 0.5 * one.norm()
