"""Probes: modes, masks, smoothing, normalisation."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ptychopinn.physics import fourier_shift, shifted_probes, support_mask, to_detector
from ptychopinn.physics.illumination import normalise_probe, smooth_probe, with_modes

SIZES = [(8, 8), (7, 9), (16, 15)]


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(17))


def powers(probe: Tensor) -> Tensor:
    return probe.abs().square().sum((-2, -1))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shifted_probes_are_the_shifted_probe(size: tuple[int, int]) -> None:
    """At the sample and at the detector; content moves with the remainder, not against it."""
    probe = draw(2, *size)
    remainder = torch.tensor([[[0.3, -0.45]], [[0.0, 0.0]], [[-0.5, 0.2]]], dtype=torch.float64)
    sample, detector = shifted_probes(probe, remainder)
    assert sample.shape == (3, 1, 2, *size)
    torch.testing.assert_close(sample[0, 0], fourier_shift(probe, remainder[0, 0]))
    torch.testing.assert_close(sample[1, 0], probe)
    torch.testing.assert_close(detector, to_detector(sample))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("have", "modes"), [(1, 1), (1, 2), (1, 7), (2, 3), (3, 3), (3, 2)])
def test_with_modes(size: tuple[int, int], have: int, modes: int) -> None:
    """Total power kept, given modes kept up to one factor, added ones orthogonal with falling power."""
    probe = draw(have, *size)
    result = with_modes(probe, modes, power_ratio=0.3)
    assert result.shape == (modes, *size)
    torch.testing.assert_close(powers(result).sum(), powers(probe).sum())
    kept = min(have, modes)
    factor = (result[0, 0, 0] / probe[0, 0, 0]).real
    torch.testing.assert_close(result[:kept], factor * probe[:kept])
    for number in range(have, modes):
        torch.testing.assert_close(powers(result[number]), 0.3 * powers(result[number - 1]))
        overlap = (result[:number].conj() * result[number]).sum((-2, -1)).abs()
        assert (overlap / (powers(result[:number]) * powers(result[number])).sqrt()).max() < 1e-12


def test_added_modes_stay_where_the_probe_is() -> None:
    """They are the probe times polynomials, and not noise elsewhere."""
    probe = draw(1, 16, 16) * support_mask(16, 4)
    outside = support_mask(16, 4.5) == 0
    assert with_modes(probe, 3)[:, outside].abs().max() < 1e-12 * probe.abs().max()


def test_modes_of_a_masked_narrow_probe_are_finite() -> None:
    """More modes than pixels with light: still orthogonal, and no division by zero."""
    probe = torch.zeros(1, 8, 8, dtype=torch.complex128)
    probe[0, 4, 4] = 2
    result = with_modes(probe, 3).flatten(1)
    gram = result.conj() @ result.T
    assert (gram - torch.diag(gram.diagonal())).abs().max() < 1e-12
    torch.testing.assert_close(gram.diagonal().sum().real.item(), 4.0)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_smooth_probe_is_a_periodic_gaussian_filter(size: tuple[int, int]) -> None:
    """As a library does it, away from the aliasing of a sampled kernel."""
    probe = draw(2, *size)
    smooth = smooth_probe(probe, 1.5)
    for mode, expected in zip(smooth, probe, strict=True):
        real = gaussian_filter(expected.real.numpy(), 1.5, mode="wrap", truncate=10)
        torch.testing.assert_close(mode.real, torch.from_numpy(real), rtol=0, atol=1e-4)
    torch.testing.assert_close(smooth.sum((-2, -1)), probe.sum((-2, -1)))
    assert powers(smooth).sum() < powers(probe).sum()
    assert smooth_probe(probe, 0) is probe


@pytest.mark.parametrize("size", [8, 9])
def test_support_mask(size: int) -> None:
    """A disk about the geometric centre by default, about an element by choice; the rim itself is outside."""
    mask = support_mask(size, size / 4)
    assert torch.equal(mask, mask.flip((0, 1)))
    assert torch.equal(mask, mask.T)
    about_element = support_mask(size, 2, centre=size // 2)
    assert about_element.sum() == 9
    assert about_element[size // 2, size // 2 + 1] == 1
    assert about_element[size // 2, size // 2 + 2] == 0


def test_normalise_probe() -> None:
    """P / (scale mean |mask P|): the mask weighs, and does not cut."""
    probe, mask = draw(1, 8, 8), support_mask(8, 2)
    whole, divisor = normalise_probe(probe, 4.0)
    torch.testing.assert_close(whole.abs().mean().item(), 0.25)
    torch.testing.assert_close(whole * divisor, probe)
    masked, _ = normalise_probe(probe, 4.0, mask)
    torch.testing.assert_close((mask * masked).abs().mean().item(), 0.25)
    assert masked[0, 0, 0] != 0
