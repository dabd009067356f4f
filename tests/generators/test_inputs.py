"""The three inputs: shapes, bad pixels, and the back-projected pattern against its equation."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.generators import INPUTS, GroupView
from ptychopinn.generators.inputs import amplitude, back_projected, log_counts
from ptychopinn.physics import DiffractionModel, intensity, shifted_probes, to_detector

CANVAS = (torch.full((1, 1, 2), 9), (18, 18), DiffractionModel())
"""Position and shape of a canvas that these inputs do not use, and the physics of the patterns."""

MakeView = Callable[..., GroupView]


@pytest.mark.parametrize(
    ("kind", "channels"), [("back_projected", 2), *((kind, 1) for kind in INPUTS if kind != "back_projected")]
)
@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("size", [8, 9])
def test_shapes(make_view: MakeView, kind: str, channels: int, modes: int, size: int) -> None:
    present, stated = INPUTS[kind]
    image = present(make_view(modes=modes, size=size))
    assert image.shape == (2, 4, channels, size, size)
    assert stated == channels
    assert image.dtype == torch.float32


def test_amplitude_and_log_counts_are_what_they_say(make_view: MakeView) -> None:
    view = make_view()
    assert torch.equal(amplitude(view)[:, :, 0], view.amplitude)
    torch.testing.assert_close(log_counts(view)[:, :, 0], torch.log(1 + view.amplitude**2))


def test_a_relative_amplitude_does_not_depend_on_the_photon_number(make_view: MakeView) -> None:
    view = make_view(modes=2)
    brighter = replace(view, amplitude=3 * view.amplitude, probes=3 * view.probes)
    image = INPUTS["relative_amplitude"].present(view)
    torch.testing.assert_close(INPUTS["relative_amplitude"].present(brighter), image)
    photons = view.probes.abs().square().sum((-3, -2, -1))
    torch.testing.assert_close(image[:, :, 0] * photons.sqrt()[..., None, None], view.amplitude)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("per_pattern", [False, True])
def test_what_a_bad_pixel_holds_does_not_matter(make_view: MakeView, kind: str, per_pattern: bool) -> None:
    view, present = make_view(), INPUTS[kind][0]
    measured = torch.ones(2, 4, 16, 16, dtype=torch.bool) if per_pattern else torch.ones(16, 16, dtype=torch.bool)
    measured[..., 8, 3] = False
    garbage = view.amplitude.clone()
    garbage[..., 8, 3] = 1e6
    clean = present(replace(view, measured=measured))
    assert torch.equal(present(replace(view, measured=measured, amplitude=garbage)), clean)
    assert not torch.allclose(present(replace(view, amplitude=garbage)), clean)


def test_a_noise_free_pattern_of_a_flat_object_is_back_projected_to_nothing(make_view: MakeView) -> None:
    view = make_view(modes=2, size=15)
    flat = replace(view, amplitude=intensity(view.detector_probes).sqrt())
    power = view.probes.abs().square().sum(-3)
    relative = power / power.amax((-2, -1), keepdim=True)
    image = back_projected(flat)
    torch.testing.assert_close(image[:, :, 0], relative / (relative + 0.05) - 1)  # 0 but for the regularisation
    assert image[:, :, 0][relative > 0.9].abs().max() < 0.053
    assert image[:, :, 1].abs().max() < 1e-5


def test_a_constant_phase_and_transmission_leave_only_the_transmission(make_view: MakeView) -> None:
    view = make_view()
    amplitude_of_flat = intensity(0.7j * view.detector_probes).sqrt()
    image = back_projected(replace(view, amplitude=amplitude_of_flat))
    power = view.probes.abs().square().sum(-3)
    bright = power > 0.9 * power.amax((-2, -1), keepdim=True)
    torch.testing.assert_close(image[:, :, 0][bright], torch.full_like(image[:, :, 0][bright], -0.3), atol=0.04, rtol=0)


def numpy_back_projected(
    amplitude: NDArray[np.float64],
    probe: NDArray[np.complex128],
    remainder: NDArray[np.float64],
    measured: NDArray[np.bool_] | None,
) -> NDArray[np.complex128]:
    """The equation with numpy's transforms, one pattern (H, W) and one probe (M, H, W)."""
    size = probe.shape[-1]
    frequency = np.fft.fftfreq(size)
    ramp = np.exp(-2j * np.pi * (frequency[:, None] * remainder[0] + frequency[None, :] * remainder[1]))
    moved = np.fft.ifft2(np.fft.fft2(probe) * ramp)
    axes = (-2, -1)
    detector = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(moved, axes), norm="ortho"), axes)
    modulus = np.sqrt(np.sum(np.abs(detector) ** 2, axis=0))
    waves = amplitude * detector * modulus / (modulus**2 + (1e-4 * modulus.max()) ** 2)
    if measured is not None:
        waves = np.where(measured, waves, detector)
    psi = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(waves, axes), norm="ortho"), axes)
    power = np.sum(np.abs(moved) ** 2, axis=0)
    return np.sum(psi * moved.conj(), axis=0) / (power + 0.05 * power.max())


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("masked", [False, True])
def test_back_projected_follows_the_equation(modes: int, size: int, masked: bool) -> None:
    rng = np.random.default_rng(modes + size)
    probe = rng.normal(size=(modes, size, size)) + 1j * rng.normal(size=(modes, size, size))
    remainder = np.array([0.31, -0.44])
    pattern = np.sqrt(rng.poisson(4.0, (size, size)))
    measured = rng.random((size, size)) > 0.2 if masked else None
    expected = numpy_back_projected(pattern, probe, remainder, measured)
    probes, detector = shifted_probes(torch.from_numpy(probe), torch.from_numpy(remainder)[None, None])
    mask = None if measured is None else torch.from_numpy(measured)
    view = GroupView(torch.from_numpy(pattern)[None, None], mask, probes, detector, torch.zeros(1, 1, 2), *CANVAS)
    image = back_projected(view)[0, 0].numpy()
    np.testing.assert_allclose(image[0] + 1j * image[1], expected - 1, atol=1e-10)
    wrong = numpy_back_projected(pattern, probe, -remainder, measured)
    assert np.abs(wrong - expected).max() > 0.01


def test_counts_where_the_detector_wave_is_exactly_zero_give_finite_numbers() -> None:
    """A flat probe lights one detector pixel; counts elsewhere must not become infinity times zero."""
    probe = torch.ones(1, 1, 1, 16, 16, dtype=torch.complex64)
    view = GroupView(torch.full((1, 1, 16, 16), 30.0), None, probe, to_detector(probe), torch.zeros(1, 1, 2), *CANVAS)
    assert (view.detector_probes == 0).any()
    assert back_projected(view).isfinite().all()


def test_the_phase_of_a_wave_at_the_rounding_error_is_not_used() -> None:
    """Outside the aperture of a zone plate the wave is rounding error; its phase must not reach the network."""
    generator = torch.Generator().manual_seed(5)
    size = 32
    inside = (torch.arange(size) - size // 2).abs() < 5
    aperture = (inside[:, None] & inside[None, :]).to(torch.complex64)
    probe = to_detector(aperture).conj()[None, None, None]
    counts = torch.poisson(torch.full((1, 1, size, size), 3.0), generator=generator)

    def shown(noise: float) -> torch.Tensor:
        rounding = noise * torch.randn(aperture.shape, generator=generator, dtype=torch.complex64)
        waves = (aperture + torch.where(aperture == 0, rounding, 0))[None, None, None]
        return back_projected(GroupView(counts.sqrt(), None, probe, waves, torch.zeros(1, 1, 2), *CANVAS))

    exact = shown(0.0)
    assert (shown(1e-7) - exact).norm() < 1e-4 * exact.norm()
    assert (shown(1e-2) - exact).norm() > 0.01 * exact.norm()
