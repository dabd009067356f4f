"""What the network may depend on, and what it leaves alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from ptychopinn.data.frame import Frame
from ptychopinn.prior import Prior, PriorCanvas, PriorNetwork, PriorRecipe, load_prior


def canvas(shape: tuple[int, int] = (37, 50)) -> PriorCanvas:
    generator = torch.Generator().manual_seed(1)
    fields = torch.randn(4, *shape, generator=generator)
    covered = torch.zeros(shape, dtype=torch.bool)
    covered[3:-4, 5:-2] = True
    object_ = torch.where(covered, torch.complex(1 + 0.1 * fields[0], 0.1 * fields[1]), torch.ones(shape) + 0j)
    power = 100 * torch.exp(0.1 * fields[2])
    return PriorCanvas(
        Frame((0, 0), shape), object_, power, 0.01 * torch.complex(fields[2], fields[3]) * covered, covered
    )


@pytest.mark.parametrize("shape", [(37, 50), (64, 64), (9, 13)])
def test_any_canvas_gets_a_correction_of_its_shape_within_what_is_covered(prior: Prior, shape: tuple[int, int]) -> None:
    seen = canvas(shape)
    correction = prior.network.correction(seen)
    assert correction.shape == shape
    assert (correction[~seen.covered] == 0).all()
    assert correction.abs().max() > 0


def test_an_untrained_network_corrects_nothing(recipe: PriorRecipe) -> None:
    assert PriorNetwork(recipe).correction(canvas()).abs().max() == 0


def test_a_global_phase_of_the_object_turns_the_correction_alike(prior: Prior) -> None:
    seen = canvas()
    turn = torch.exp(torch.tensor(2.3j))
    turned = replace(seen, object_=torch.where(seen.covered, seen.object_ * turn, seen.object_), step=seen.step * turn)
    torch.testing.assert_close(
        prior.network.correction(turned), prior.network.correction(seen) * turn, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("change", [lambda x: x.T, lambda x: x.flip(0, 1), lambda x: x.flip(0, 1).T])
def test_the_correction_of_a_turned_image_is_turned(
    prior: Prior, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    seen = canvas((48, 64))
    parts = {name: change(getattr(seen, name)) for name in ("object_", "power", "step", "covered")}
    mirrored = replace(seen, frame=Frame((0, 0), tuple(parts["covered"].shape)), **parts)
    expected = change(prior.network.correction(seen))
    torch.testing.assert_close(prior.network.correction(mirrored), expected, rtol=1e-3, atol=1e-5)
    alone = prior.network.correction(mirrored, orientations=1)
    assert (alone - change(prior.network.correction(seen, orientations=1))).abs().max() > 1e-3


def test_the_correction_has_hardly_any_mean(prior: Prior) -> None:
    seen = canvas((120, 120))
    with torch.no_grad():
        prior.network.last.bias.fill_(2.0)  # a constant of two sigma
        prior.network.last.weight.zero_()
    inner = prior.network.correction(seen)[30:-30, 30:-30]
    sigma = 0.5 * seen.power[30:-30, 30:-30].rsqrt()
    assert (inner.abs() / sigma).max() < 0.02


def test_no_correction_exceeds_the_limit(prior: Prior) -> None:
    with torch.no_grad():
        prior.network.last.weight.mul_(1e6)
    seen = canvas()
    moved = prior.network.correction(seen).abs() * 2 * seen.power.sqrt()
    assert moved.max() <= 2 * 2**0.5 * prior.recipe.limit_sigma


def test_half_of_the_noise_level_halves_a_correction_of_the_same_output(prior: Prior) -> None:
    with torch.no_grad():
        prior.network.first.weight.zero_()  # the output depends on no input
        prior.network.last.bias.copy_(torch.tensor([1.0, -1.0]))
    seen = canvas()
    brighter = replace(seen, power=4 * seen.power)
    torch.testing.assert_close(prior.network.correction(brighter), prior.network.correction(seen) / 2)


def test_half_precision_gives_nearly_the_same_output(prior: Prior) -> None:
    features = torch.randn(1, 8, 37, 50, generator=torch.Generator().manual_seed(2))
    whole, half = (prior.network(features, half=half) for half in (False, True))
    assert half.dtype == torch.float32
    assert not torch.equal(whole, half)
    assert (whole - half).norm() < 0.02 * whole.norm()


def test_half_precision_gives_nearly_the_same_correction_by_the_prior_in_the_box() -> None:
    network, seen = load_prior("default").network, canvas((90, 70))
    whole, half = (network.correction(seen, half=half) for half in (False, True))
    sigma = 0.5 * seen.power.rsqrt()
    assert 0 < ((whole - half).abs() / sigma).square().mean().sqrt() < 0.02
    assert (whole.abs() / sigma).square().mean().sqrt() > 0.2


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_an_image_in_tiles_is_that_of_the_whole(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = PriorNetwork(PriorRecipe(levels=levels, width=4)).eval()
    torch.nn.init.normal_(network.last.weight, std=0.3)
    seen = canvas((212, 330))
    whole = network.correction(seen)
    monkeypatch.setattr("ptychopinn.prior.network.TILE_PX", 64)
    torch.testing.assert_close(network.correction(seen), whole, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(PriorNetwork, "margin_px", 0)
    assert (network.correction(seen) - whole).abs().max() > 1e-3


@pytest.mark.parametrize("length", [5, 64, 65, 200, 1023])
def test_tiles_cover_a_side_once_and_begin_at_coarse_pixels(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptychopinn.prior.network.TILE_PX", 64)
    parts = [part for part, _, _ in PriorNetwork(PriorRecipe(levels=4, width=4))._tiles(length)]
    assert [pixel for part in parts for pixel in range(part.start, part.stop)] == list(range(length))
    assert all(part.start % 8 == 0 and part.stop - part.start <= 64 for part in parts)
    assert len(parts) == -(-length // 64)


def test_a_tile_that_is_not_covered_is_not_computed(prior: Prior, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = canvas((64, 96))
    seen.covered[:, 40:] = False
    monkeypatch.setattr("ptychopinn.prior.network.TILE_PX", 32)
    shapes: list[torch.Size] = []
    prior.network.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    correction = prior.network.correction(seen, orientations=1)
    assert len(shapes) == 4
    assert (correction[:, 40:] == 0).all()
    assert correction[:, :40].abs().max() > 0
