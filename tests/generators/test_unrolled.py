"""Stages of physics and network on one canvas."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError
from ptychopinn.generators import GroupScene, GroupView, Unrolled, changed_patches, stages_of
from ptychopinn.generators.unrolled import (
    LOCAL_PX,
    MOMENTUM,
    NOISE_UNITS,
    REGULARISATION,
    local_mean,
    photon_floor,
    solve,
)
from ptychopinn.physics import (
    DiffractionModel,
    amplitude,
    detect_patches,
    exit_wave,
    extract_patches,
    place_patches,
    shifted_probes,
    to_detector,
)
from ptychopinn.physics.propagation import FarField

MakeScene = Callable[..., GroupView]
CANVAS = (29, 31)


def random_object(batch: int, seed: int = 0) -> Tensor:
    """(B, Y, X), amplitude 0.7 to 1, phase up to 0.5 rad."""
    random = torch.Generator().manual_seed(seed)
    modulus = 0.7 + 0.3 * torch.rand(batch, *CANVAS, generator=random)
    return torch.polar(modulus, torch.rand(batch, *CANVAS, generator=random) - 0.5)


def rough_beam(modes: int, size: int) -> Tensor:
    """(M, H, W): a Gaussian spot on a random wave, so that no part of the detector is dark; later modes are weaker."""
    y, x = torch.meshgrid(*(torch.arange(size) - size // 2 for _ in range(2)), indexing="ij")
    spot = 10 * torch.exp(-(y**2 + x**2) / (2 * (size / 7) ** 2) + 0.05j * (y**2 - 0.3 * x**2))
    wave = torch.randn(modes, size, size, dtype=torch.complex64, generator=torch.Generator().manual_seed(9))
    return spot * (2 + wave) / torch.arange(1, modes + 1)[:, None, None]


@pytest.fixture
def make_scene() -> MakeScene:
    """B groups of 20 noise-free patterns of `random_object` on a jittered grid."""

    def build(
        batch: int = 1, modes: int = 1, size: int = 14, bilinear: bool = False, masked: bool = False
    ) -> GroupView:
        random = torch.Generator().manual_seed(3)
        grid = torch.cartesian_prod(torch.arange(4), torch.arange(5)) * 3 + size // 2 + 2
        whole = (grid + torch.randint(0, 3, (batch, 20, 2), generator=random)).long()
        remainder = torch.rand(batch, 20, 2, generator=random) - 0.5
        positions = whole + remainder if bilinear else whole
        probes, detector = shifted_probes(
            rough_beam(modes, size), torch.zeros_like(remainder) if bilinear else remainder
        )
        patches = extract_patches(random_object(batch), positions, (size, size))
        measured = torch.rand(size, size, generator=random) > 0.1 if masked else None
        counted = detect_patches(patches, probes, FarField()).sqrt()
        return GroupView(counted, measured, probes, detector, remainder, positions, CANVAS, DiffractionModel())

    return build


def untrained(**settings: object) -> Unrolled:
    torch.manual_seed(0)
    return Unrolled(GeneratorConfig(**{"architecture": "unrolled", "width": 2, "levels": 1, **settings}))


def numpy_solver(view: GroupView, steps: int) -> np.ndarray:
    """The accelerated solver in loops, one group, double precision."""
    probes, positions = view.probes[0].numpy().astype(complex), view.positions_px[0].numpy()
    counted, size = view.amplitude[0].numpy().astype(float), view.amplitude.shape[-1]
    windows = [np.s_[y : y + size, x : x + size] for y, x in positions - size // 2]
    weight = np.zeros(CANVAS)
    for window, probe in zip(windows, probes, strict=True):
        weight[window] += (np.abs(probe) ** 2).sum(0)
    floor = weight + REGULARISATION * weight.max()
    before = ahead = np.ones(CANVAS, complex)
    pace = 1.0
    for _ in range(steps):
        change = np.zeros(CANVAS, complex)
        for n, window in enumerate(windows):
            waves = np.fft.fftshift(
                np.fft.fft2(np.fft.ifftshift(probes[n] * ahead[window], axes=(-2, -1)), norm="ortho"), axes=(-2, -1)
            )
            modulus = np.sqrt((np.abs(waves) ** 2).sum(0))
            ratio = counted[n] / modulus
            if view.measured is not None:
                ratio[~view.measured.numpy()] = 1
            back = np.fft.fftshift(
                np.fft.ifft2(np.fft.ifftshift(ratio * waves, axes=(-2, -1)), norm="ortho"), axes=(-2, -1)
            )
            change[window] += (probes[n].conj() * (back - probes[n] * ahead[window])).sum(0)
        stepped = ahead + change / floor
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = stepped + min((pace - 1) / faster, MOMENTUM) * (stepped - before)
        before, pace = stepped, faster
    return before


@pytest.mark.parametrize("modes", [1, 2])
@pytest.mark.parametrize("size", [14, 15])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_an_untrained_stage_is_the_plain_solver(
    make_scene: MakeScene, modes: int, size: int, masked: bool, steps: int
) -> None:
    view = make_scene(1, modes, size, masked=masked)
    canvas = untrained(stages=1, physics_steps=steps).canvases(GroupScene(view))[0][0].detach()
    expected = numpy_solver(view, steps)
    np.testing.assert_allclose(canvas, expected, atol=2e-4)
    assert np.abs(expected - 1).max() > 0.1


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("modes", [1, 2])
def test_the_true_object_is_a_fixed_point_and_another_is_drawn_to_it(
    make_scene: MakeScene, bilinear: bool, modes: int
) -> None:
    scene = GroupScene(make_scene(2, modes, bilinear=bilinear))
    truth = random_object(2)
    kept, change = solve(scene, truth, 5)
    torch.testing.assert_close(kept, truth, atol=1e-4, rtol=0)
    assert change.abs().max() < 1e-4
    lit = scene.weight > 0.3 * scene.weight.max()
    wrong = truth + 0.1 * (random_object(2, seed=5) - 0.8)
    nearer = solve(scene, wrong, 20)[0]
    assert (nearer - truth)[lit].abs().mean() < 0.6 * (wrong - truth)[lit].abs().mean()


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("modes", [1, 3])
def test_back_projection_is_the_gradient_of_the_amplitude_misfit(
    make_scene: MakeScene, bilinear: bool, masked: bool, modes: int
) -> None:
    r"""\(-\partial \sum (|D| - a)^2 / \partial \bar O\), which autograd gives twice over."""
    view = make_scene(2, modes, bilinear=bilinear, masked=masked)
    canvas = random_object(2, seed=7).requires_grad_()
    patches = extract_patches(canvas, view.positions_px, (14, 14))
    misfit = (amplitude(to_detector(exit_wave(view.probes, patches))) - view.amplitude).square()
    (misfit if view.measured is None else misfit * view.measured).sum().backward()
    with torch.no_grad():
        sent_back = GroupScene(view).back_project(canvas)
    assert canvas.grad is not None
    torch.testing.assert_close(sent_back, -canvas.grad / 2, atol=1e-3 * float(sent_back.abs().max()), rtol=1e-3)


def test_what_a_bad_pixel_holds_does_not_matter(make_scene: MakeScene) -> None:
    view = make_scene(masked=True)
    assert view.measured is not None
    filled = replace(view, amplitude=torch.where(view.measured, view.amplitude, torch.full((), 1e4)))
    patches = torch.ones(1, 20, 14, 14, dtype=torch.complex64)
    assert torch.equal(changed_patches(view, patches), changed_patches(filled, patches))


def test_a_dark_pattern_gives_finite_numbers(make_scene: MakeScene) -> None:
    view = make_scene()
    dark = replace(view, probes=torch.zeros_like(view.probes))
    assert changed_patches(dark, torch.ones(1, 20, 14, 14, dtype=torch.complex64)).abs().max() == 0


def test_the_weight_is_the_placed_power(make_scene: MakeScene) -> None:
    view = make_scene(2, 2)
    expected = place_patches(view.probes.abs().square().sum(-3), view.positions_px, CANVAS)
    torch.testing.assert_close(GroupScene(view).weight, expected)


def without_local_mean(images: Tensor) -> Tensor:
    real, imaginary = (
        gaussian_filter(part.numpy(), (0, LOCAL_PX, LOCAL_PX), mode="constant", truncate=3)
        for part in (images.real, images.imag)
    )
    return images - torch.complex(torch.from_numpy(real), torch.from_numpy(imaginary))


def test_the_network_corrects_in_units_of_the_noise_what_is_not_smooth(make_scene: MakeScene) -> None:
    view = make_scene(2)
    model = untrained(stages=1)
    plain = model.canvases(GroupScene(view))[0].detach()
    with torch.no_grad():
        model.network[0].head.bias.copy_(torch.tensor([3.0, -2.0]) / NOISE_UNITS)
    corrected = model.canvases(GroupScene(view))[0].detach()
    noise = photon_floor(GroupScene(view).weight).rsqrt()
    expected = without_local_mean((3 - 2j) * noise)
    torch.testing.assert_close(corrected - plain, expected, atol=1e-5, rtol=1e-4)


def test_what_is_smooth_is_left_to_the_solver() -> None:
    rows, columns = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    for period_px, least, most in ((100, 0.95, 1.0), (4, 0.0, 0.001)):
        wave = torch.cos(2 * torch.pi * (rows + 0.5 * columns) / period_px).expand(1, 2, -1, -1)
        kept = (local_mean(wave) / wave.abs().amax())[..., 50:150, 50:150].abs().amax()
        assert least <= kept <= most


def test_patches_are_cut_from_the_canvas_of_every_stage(make_scene: MakeScene) -> None:
    view = make_scene(2)
    model = untrained(stages=3)
    for network in model.network:
        nn.init.normal_(network.head.weight, std=0.3)
    canvases = model.canvases(GroupScene(view))
    patches = model.stage_patches(view)
    assert len(patches) == len(canvases) == 3
    for one, canvas in zip(patches, canvases, strict=True):
        torch.testing.assert_close(one, extract_patches(canvas, view.positions_px, (14, 14)))
    assert torch.equal(model(view), patches[-1])
    assert not torch.equal(patches[1], patches[2])


def test_the_loss_of_a_stage_trains_its_own_network_alone(make_scene: MakeScene) -> None:
    model = untrained(stages=2)
    model.canvases(GroupScene(make_scene()))[1].abs().sum().backward()
    first, second = (network.head.weight.grad for network in model.network)
    assert first is None or first.abs().max() == 0
    assert second.abs().max() > 0


def test_passes_are_counted(make_scene: MakeScene) -> None:
    class Counting:
        def __init__(self, scene: GroupScene) -> None:
            self.scene, self.count, self.weight = scene, 0, scene.weight

        def back_project(self, canvas: Tensor) -> Tensor:
            self.count += 1
            return self.scene.back_project(canvas)

    model = untrained(stages=3, physics_steps=2)
    for first, expected in ((None, 6), (5, 9)):
        scene = Counting(GroupScene(make_scene()))
        model.canvases(scene, first)
        assert scene.count == model.passes(first) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, 0), ({"architecture": "unrolled"}, 1), ({"architecture": "unrolled", "stages": 0}, 0), ({"stages": 4}, 4)],
)
def test_stages_are_those_of_the_recipe_or_of_the_architecture(settings: dict[str, object], expected: int) -> None:
    assert stages_of(GeneratorConfig(**settings)) == expected


def test_every_architecture_and_output_can_be_unrolled(make_scene: MakeScene) -> None:
    for settings in ({"architecture": "fno"}, {"output": "amplitude_phase"}, {"output": "circular_phase"}):
        model = untrained(stages=1, **settings)
        plain = untrained(stages=1)(make_scene())
        torch.testing.assert_close(model(make_scene()), plain, atol=1e-5, rtol=0)
        nn.init.normal_(model.network[0].head.weight, std=0.3)
        assert not torch.allclose(model(make_scene()), plain, atol=1e-3)


def test_stacked_patterns_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.generator\.grouping=single"):
        untrained(grouping="stacked")
