"""What holds for every propagator, and what the near field is."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ptychopinn.config import ModelConfig
from ptychopinn.errors import ConfigError, PtychoPINNError
from ptychopinn.physics import (
    DiffractionModel,
    Propagator,
    exit_wave,
    extract_patches,
    intensity,
    place_patches,
    propagator_of,
    shifted_probes,
)
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.physics.illumination import exit_wave_to_patches, shifted_probes_to_probe
from ptychopinn.physics.propagation import PROPAGATORS, cheapest

SIZES = [(8, 8), (7, 9), (6, 5)]
WHOLE = torch.tensor([[4, 5], [9, 7], [17, 19]])
REMAINDER = torch.tensor([[0.3, -0.45], [-0.2, 0.1], [0.0, 0.49]], dtype=torch.float64)
CANVAS = (23, 26)


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(*shape, dtype=torch.complex128, generator=generator)


def mismatch(forward: Tensor, back: Tensor, x: Tensor, y: Tensor) -> float:
    """|<A x, y> - <x, A* y>| relative to |A x| |y|."""
    difference = torch.vdot(forward.flatten(), y.flatten()) - torch.vdot(x.flatten(), back.flatten())
    return float(difference.abs() / (forward.norm() * y.norm()))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_adjoint_is_one(propagator: Propagator, size: tuple[int, int]) -> None:
    x, y = draw(3, 2, *size), draw(3, 2, *size, seed=1)
    assert mismatch(propagator(x), propagator.adjoint(y), x, y) < 1e-10
    assert mismatch(propagator(x), propagator(y), x, y) > 1e-3, "no such test would see a wrong adjoint"


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_energy_is_kept_and_the_adjoint_is_the_inverse(propagator: Propagator, size: tuple[int, int]) -> None:
    wave = draw(3, 2, *size)
    torch.testing.assert_close(propagator(wave).norm(dim=(-2, -1)), wave.norm(dim=(-2, -1)), rtol=1e-12, atol=0)
    torch.testing.assert_close(propagator.adjoint(propagator(wave)), wave, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_linear(propagator: Propagator, size: tuple[int, int]) -> None:
    one, other, factor = draw(2, *size), draw(2, *size, seed=1), 0.7 - 1.9j
    expected = propagator(one) + factor * propagator(other)
    torch.testing.assert_close(propagator(one + factor * other), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_adjoint_of_object_and_probe_to_detector(propagator: Propagator, size: tuple[int, int]) -> None:
    probe, patches, y = draw(2, *size), draw(3, *size), draw(3, 2, *size)
    canvas = draw(*CANVAS)
    waves = propagator(exit_wave(probe, extract_patches(canvas, WHOLE, size)))
    back = place_patches(exit_wave_to_patches(probe, propagator.adjoint(y)), WHOLE, CANVAS)
    assert mismatch(waves, back, canvas, y) < 1e-10
    waves = propagator(exit_wave(shifted_probes(probe, REMAINDER)[0], patches))
    back = shifted_probes_to_probe(exit_wave(propagator.adjoint(y), patches.conj()), REMAINDER)
    assert mismatch(waves, back, probe, y) < 1e-10


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_cheapest_order_gives_the_same_photons(propagator: Propagator, size: tuple[int, int]) -> None:
    waves = draw(3, 2, *size)
    to_detector, to_sample, order, recorded = cheapest(propagator)
    torch.testing.assert_close(intensity(to_detector(waves)), order(intensity(propagator(waves))))
    torch.testing.assert_close(recorded(intensity(to_detector(waves))), intensity(propagator(waves)))
    torch.testing.assert_close(to_sample(to_detector(waves)), waves)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_beams_reach_the_detector_by_the_propagator(propagator: Propagator, size: tuple[int, int]) -> None:
    """Also where a transform is saved."""
    probes, at_detector = DiffractionModel(propagator=propagator).beams(draw(2, *size), REMAINDER)
    torch.testing.assert_close(at_detector, propagator(probes))


def test_gradients_pass(propagator: Propagator) -> None:
    patches, probe = draw(1, 5, 4).requires_grad_(), draw(2, 5, 4).requires_grad_()
    model = DiffractionModel(propagator=propagator)
    assert torch.autograd.gradcheck(lambda *values: model.photons(*values), (patches, probe))


def gaussian(size: int, width: Tensor | complex) -> Tensor:
    """exp(-r^2 / w) about (H//2, W//2)."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.exp(-(axis[:, None] ** 2 + axis**2) / width)


@pytest.mark.parametrize("size", [64, 65])
def test_a_gaussian_beam_spreads_as_in_textbooks(size: int) -> None:
    """exp(-r^2/w) becomes (w / (w + i/(pi F))) exp(-r^2 / (w + i/(pi F))), with r in pixels."""
    number, width = 0.05, 40.0
    grown = width + 1j / (math.pi * number)
    expected = width / grown * gaussian(size, grown)
    torch.testing.assert_close(Fresnel(number)(gaussian(size, width) + 0j), expected, rtol=0, atol=1e-9)


def test_two_steps_are_one_of_both_distances() -> None:
    """1/F is proportional to the distance."""
    wave = draw(32, 32)
    torch.testing.assert_close(Fresnel(0.2)(Fresnel(0.3)(wave)), Fresnel(1 / (1 / 0.2 + 1 / 0.3))(wave))


def test_a_detector_close_to_the_sample_sees_the_exit_wave() -> None:
    wave = draw(16, 16)
    torch.testing.assert_close(Fresnel(1e12)(wave), wave)


def test_too_small_a_fresnel_number_is_refused_with_the_way_out() -> None:
    with pytest.raises(PtychoPINNError, match=r"must be at least 1 / 16 for patterns of 16x18 px, got 0\.05.*larger"):
        Fresnel(0.05)(draw(16, 18))
    with pytest.raises(ConfigError, match="must be positive and finite, got 0"):
        Fresnel(0)


def test_settings_select_the_propagator() -> None:
    assert propagator_of(ModelConfig()).name == "far_field"
    near = propagator_of(ModelConfig(propagation="near_field", fresnel_number=0.1))
    assert isinstance(near, Fresnel)
    assert near.fresnel_number == 0.1
    with pytest.raises(ConfigError, match=r"model\.fresnel_number must be given"):
        propagator_of(ModelConfig(propagation="near_field"))
    with pytest.raises(ConfigError, match=r"model\.propagation = 'middle'.*choose one of far_field, near_field"):
        propagator_of(ModelConfig(propagation="middle"))


PLUGIN = '''
class Copies:
    """The detector lies at the sample."""

    name = "contact"
    is_fourier = False

    def __init__(self, config):
        self.config = config

    def __call__(self, exit_wave):
        return exit_wave

    def adjoint(self, detector_wave):
        return detector_wave
'''


@pytest.fixture
def contact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with one class and one entry point."""
    (tmp_path / "contact_print.py").write_text(PLUGIN, encoding="utf-8")
    about = tmp_path / "contact_print-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: contact-print\nVersion: 1.0\n", encoding="utf-8")
    points = "[ptychopinn.propagators]\ncontact = contact_print:Copies\n"
    (about / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(PROPAGATORS, "entries", dict(PROPAGATORS.entries))
    monkeypatch.setattr(PROPAGATORS, "loaded", dict(PROPAGATORS.loaded))


@pytest.mark.usefixtures("contact")
def test_another_package_adds_one() -> None:
    model = DiffractionModel.of(ModelConfig(propagation="contact"))
    patches, probe = draw(3, 8, 8), draw(2, 8, 8)
    torch.testing.assert_close(model.photons(patches, probe), intensity(probe * patches.unsqueeze(1)))
    assert isinstance(model.propagator, Propagator)
    assert "contact" in PROPAGATORS.names()
