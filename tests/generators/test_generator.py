"""Input, network and output together: two ways to see a group."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators import INPUTS, GroupView, SinglePass

MakeView = Callable[..., GroupView]
MakeGenerator = Callable[..., SinglePass]


def patterns_of(view: GroupView, order: list[int]) -> GroupView:
    """The same view with other patterns, or the same in another order, in every group."""
    names = ("amplitude", "probes", "detector_probes", "relative_px")
    return replace(view, **{name: getattr(view, name)[:, order] for name in names})


@pytest.mark.parametrize(("kind", "grouping"), list(product(INPUTS, ["single", "stacked"])))
def test_the_first_patches_are_exactly_one(make_view: MakeView, kind: str, grouping: str) -> None:
    generator = SinglePass(GeneratorConfig(input=kind, grouping=grouping, width=2, levels=1), 4)
    patches = generator(make_view(size=15))
    assert patches.dtype == torch.complex64
    assert torch.equal(patches, torch.ones(2, 4, 15, 15, dtype=torch.complex64))


def test_the_output_is_one_plus_the_network(make_view: MakeView, make_generator: MakeGenerator) -> None:
    generator, view = make_generator(grouping="stacked"), make_view()
    raw = generator.network(generator.network_input(view).flatten(1, 2))
    patches = generator(view)
    for pattern in range(4):
        torch.testing.assert_close(patches[:, pattern].real, 1 + raw[:, 2 * pattern])
        torch.testing.assert_close(patches[:, pattern].imag, raw[:, 2 * pattern + 1])


@pytest.mark.parametrize("kind", INPUTS)
def test_single_permuting_patterns_permutes_patches(
    make_view: MakeView, make_generator: MakeGenerator, kind: str
) -> None:
    generator, view, order = make_generator(input=kind), make_view(), [2, 0, 3, 1]
    patches = generator(view)
    torch.testing.assert_close(generator(patterns_of(view, order)), patches[:, order])
    assert not torch.allclose(patches, patches[:, order], atol=1e-3)


def test_single_a_patch_does_not_depend_on_its_companions(make_view: MakeView, make_generator: MakeGenerator) -> None:
    generator, view = make_generator(), make_view()
    patches = generator(view)
    changed = view.amplitude.clone()
    changed[:, 1:] = changed[:, 1:].flip(-1) * 2
    others = generator(replace(view, amplitude=changed))
    torch.testing.assert_close(others[:, 0], patches[:, 0])
    assert not torch.allclose(others[:, 1:], patches[:, 1:], atol=1e-3)
    torch.testing.assert_close(generator(patterns_of(view, [3])), patches[:, 3:])


@pytest.mark.parametrize("changed", [0, 3])
def test_stacked_every_patch_depends_on_every_pattern(
    make_view: MakeView, make_generator: MakeGenerator, changed: int
) -> None:
    generator, view = make_generator(grouping="stacked"), make_view()
    amplitude = view.amplitude.clone()
    amplitude[:, changed] = amplitude[:, changed].flip(-1)
    moved = (generator(replace(view, amplitude=amplitude)) - generator(view)).abs().amax((-2, -1))
    assert moved.shape == (2, 4)
    assert moved.min() > 1e-3


def test_stacked_groups_do_not_see_each_other(make_view: MakeView, make_generator: MakeGenerator) -> None:
    generator, view = make_generator(grouping="stacked"), make_view()
    names = ("amplitude", "probes", "detector_probes", "relative_px")
    alone = replace(view, **{name: getattr(view, name)[1:] for name in names})
    torch.testing.assert_close(generator(alone), generator(view)[1:])


def test_the_input_is_normalised_by_the_frozen_statistics(make_view: MakeView, make_generator: MakeGenerator) -> None:
    generator, view = make_generator(input="amplitude"), make_view()
    generator.normalise_by(0.75, 0.5)
    torch.testing.assert_close(generator.network_input(view).squeeze(2), (view.amplitude - 0.75) / 0.5)
    assert {"input_mean", "input_deviation"} <= set(generator.state_dict())


def test_bfloat16_stays_near_float32_and_returns_complex64(make_view: MakeView, make_generator: MakeGenerator) -> None:
    view = make_view()
    exact, rough = make_generator()(view), make_generator(precision=torch.bfloat16)(view)
    assert rough.dtype == torch.complex64
    difference = (rough - exact).abs().mean() / (exact - 1).abs().mean()
    assert 0 < difference < 0.05


def test_a_detached_view_gives_no_gradient_to_the_probe(make_view: MakeView, make_generator: MakeGenerator) -> None:
    view = make_view()
    probes = view.probes.clone().requires_grad_()
    assert replace(view, probes=probes).probes.requires_grad
    assert not replace(view, probes=probes).detached().probes.requires_grad
