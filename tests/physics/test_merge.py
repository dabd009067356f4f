"""Weighted averages of overlapping patches."""

import pytest
import torch
from torch import Tensor

from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import accumulate, average, extract_patches, merge_group, patch_weight
from ptychopinn.physics.merge import EPSILON, WeightKind

SHAPE = (26, 30)
WHOLE = torch.tensor([[9, 7], [8, 14], [15, 12], [14, 21]])
FRACTIONAL = WHOLE + torch.tensor([[0.3, -0.4], [0.0, 0.25], [-0.7, 0.0], [0.1, 0.9]], dtype=torch.float64)
SIZES = [(8, 8), (7, 9), (10, 5)]
KINDS: list[WeightKind] = ["probe", "uniform", "central"]


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(13))


@pytest.mark.parametrize("positions", [WHOLE, FRACTIONAL], ids=["whole", "fractional"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_constant_patches_give_the_constant(size: tuple[int, int], kind: WeightKind, positions: Tensor) -> None:
    """And 1 where there is no weight, whatever the constant."""
    constant = 0.6 - 0.3j
    weight = patch_weight(kind, draw(2, *size))
    patches = torch.full((4, *size), constant, dtype=torch.complex128)
    placed, total = accumulate(patches, weight, positions, SHAPE)
    merged = average(placed, total)
    covered = total > 1e-2
    assert covered.any()
    assert (merged - constant)[covered].abs().max() < 1.01 * EPSILON / 1e-2
    assert torch.equal(merged[total == 0], torch.ones_like(merged[total == 0]))
    assert (average(placed, total, epsilon=1e-300) - constant)[total > 0].abs().max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_patches_cut_from_an_object_give_it_back(size: tuple[int, int], kind: WeightKind) -> None:
    """A random object without symmetry, positions without symmetry, to rounding."""
    object_ = draw(*SHAPE)
    patches = extract_patches(object_, WHOLE, size)
    placed, total = accumulate(patches, patch_weight(kind, draw(2, *size)), WHOLE, SHAPE)
    error = (average(placed, total, epsilon=1e-300) - object_)[total > 0].abs()
    assert error.max() < 1e-12
    assert (total > 0).sum() > size[0] * size[1] / 3


@pytest.mark.parametrize(
    "wrong",
    [WHOLE.flip(-1) + torch.tensor([0, 3]), torch.tensor(SHAPE) - WHOLE, WHOLE + 1, WHOLE.flip(0)],
    ids=["swapped axes", "flipped sign", "one pixel off", "another order"],
)
def test_patches_put_elsewhere_do_not(wrong: Tensor) -> None:
    """The test above sees each of these."""
    object_, size = draw(*SHAPE), (7, 6)
    patches = extract_patches(object_, WHOLE, size)
    placed, total = accumulate(patches, torch.ones(size, dtype=torch.float64), wrong, SHAPE)
    error = (average(placed, total, epsilon=1e-300) - object_)[total > 0].abs()
    assert error.mean() > 0.5


def test_average_is_drawn_to_the_fill_value_where_the_weight_vanishes() -> None:
    weight = torch.tensor([[0.0, EPSILON, 1.0]], dtype=torch.float64)
    expected = torch.tensor([[1.0, 3.0, 5 - 4 * EPSILON]], dtype=torch.float64)
    torch.testing.assert_close(average(5 * weight, weight), expected)
    expected = torch.tensor([[0.0, 2.5, 5 - 5 * EPSILON]], dtype=torch.float64)
    torch.testing.assert_close(average(5 * weight, weight, fill=0), expected)
    expected = torch.tensor([[0.0, 5 * EPSILON, 2.5]], dtype=torch.float64)
    torch.testing.assert_close(average(5 * weight, weight, fill=0, epsilon=1), expected, rtol=1e-5, atol=0)


def test_weights_decide_between_patches() -> None:
    patches = torch.tensor([[[1.0]], [[4.0]]])
    weight = torch.tensor([[[2.0]], [[1.0]]])
    merged = merge_group(patches, weight, torch.tensor([[0, 0], [0, 0]]), (1, 1))
    torch.testing.assert_close(merged, torch.tensor([[2.0]]))


def test_groups_are_merged_apart() -> None:
    patches, weight = draw(3, 4, 8, 8), draw(3, 4, 8, 8).abs()
    positions = torch.stack((WHOLE, WHOLE.flip(0), WHOLE - 1))
    merged = merge_group(patches, weight, positions, SHAPE)
    assert merged.shape == (3, *SHAPE)
    torch.testing.assert_close(merged[1], merge_group(patches[1], weight[1], positions[1], SHAPE))


def test_merging_again_changes_nothing() -> None:
    """Patches cut from a merged group merge to it again: a projection, up to the fill value."""
    patches, weight = draw(4, 8, 8), torch.ones(8, 8, dtype=torch.float64)
    once = merge_group(patches, weight, WHOLE, SHAPE)
    again = merge_group(extract_patches(once, WHOLE, (8, 8)), weight, WHOLE, SHAPE)
    assert (again - once).abs().max() < 10 * EPSILON


def test_a_patch_that_leaves_the_canvas_is_refused() -> None:
    with pytest.raises(PtychoPINNError, match="1 of 4 patches"):
        merge_group(draw(4, 8, 8), torch.ones(8, 8), WHOLE + torch.tensor([0, 6]), SHAPE)


def test_gradients() -> None:
    patches, weight = draw(2, 4, 3).requires_grad_(), (draw(2, 4, 3).abs() + 0.1).requires_grad_()
    positions = torch.tensor([[3, 2], [4, 3]])
    assert torch.autograd.gradcheck(lambda p, w: merge_group(p, w, positions, (7, 6)), (patches, weight))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_kinds_of_weight(size: tuple[int, int]) -> None:
    """Probe intensity over its maximum, summed over modes; ones; ones on the central half of each axis."""
    height, width = size
    probe = draw(3, 2, *size)
    power = probe.abs().square().sum(1)
    torch.testing.assert_close(patch_weight("probe", probe), power / power.amax((-2, -1), keepdim=True))
    assert torch.equal(patch_weight("uniform", probe), torch.ones(3, *size, dtype=torch.float64))
    central = patch_weight("central", probe)
    assert central.sum() == 3 * (height - 2 * (height // 4)) * (width - 2 * (width // 4))
    assert torch.equal(central, central.flip((-2, -1)))
    assert central[0, height // 2, width // 2] == 1
    assert central[0, 0, 0] == 0
