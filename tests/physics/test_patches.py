"""Extraction and placement of object windows."""

import inspect

import pytest
import torch
from torch import Tensor

from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import add_weighted, bilinear_shift, check_inside, extract_patches, place_patches

SIZES = [(8, 8), (7, 9), (6, 5)]
SHAPE = (23, 30)


def canvas(*lead: int) -> Tensor:
    return torch.randn(*lead, *SHAPE, dtype=torch.complex128, generator=torch.Generator().manual_seed(11))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_position_is_where_the_middle_element_lies(size: tuple[int, int]) -> None:
    """patch = object_[y - H//2 : y - H//2 + H, x - W//2 : x - W//2 + W], y first."""
    (height, width), object_ = size, canvas()
    patch = extract_patches(object_, torch.tensor([[9, 14]]), size)[0]
    top, left = 9 - height // 2, 14 - width // 2
    assert torch.equal(patch, object_[top : top + height, left : left + width])
    assert patch[height // 2, width // 2] == object_[9, 14]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fractional_window_is_the_canvas_shifted_back(size: tuple[int, int]) -> None:
    """Bilinear: moving the content by minus the remainder, then cutting at the whole position."""
    object_, whole, rest = canvas(), torch.tensor([[9, 14]]), torch.tensor([0.3, -0.45], dtype=torch.float64)
    expected = extract_patches(bilinear_shift(object_, -rest), whole, size)
    torch.testing.assert_close(extract_patches(object_, whole + rest, size), expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fractional_window_of_a_ramp_is_exact(size: tuple[int, int]) -> None:
    """Linear interpolation reproduces y + 100 x at the position itself."""
    y, x = torch.arange(SHAPE[0], dtype=torch.float64), torch.arange(SHAPE[1], dtype=torch.float64)
    position = torch.tensor([[10.25, 12.6]], dtype=torch.float64)
    patch = extract_patches(y[:, None] + 100 * x[None, :], position, size)[0]
    torch.testing.assert_close(patch[size[0] // 2, size[1] // 2].item(), 10.25 + 1260)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_whole_positions_in_floating_point_give_the_same(size: tuple[int, int]) -> None:
    """Also in the last window that still fits, of which a larger one would leave the canvas."""
    last = torch.tensor([[side - length + length // 2 for side, length in zip(SHAPE, size, strict=True)]])
    first = torch.tensor([[length // 2 for length in size]])
    for position in (first, last):
        whole = extract_patches(canvas(), position, size)
        assert torch.equal(extract_patches(canvas(), position.double(), size), whole)
        placed = place_patches(whole, position, SHAPE)
        assert torch.equal(place_patches(whole, position.double(), SHAPE), placed)


@pytest.mark.parametrize("beyond", [(-1, 0), (0, -1), (1, 0), (0, 1), (-0.01, 0), (0, 0.01)], ids=str)
def test_a_window_that_leaves_the_canvas_is_refused(beyond: tuple[float, float]) -> None:
    """The earlier system drops such patches in silence."""
    size = (8, 7)
    edge = torch.tensor([[4, 3], [SHAPE[0] - 4, SHAPE[1] - 4]])
    check_inside(edge, size, SHAPE)
    outside = edge[int(sum(beyond) > 0)] + torch.tensor(beyond)
    positions = torch.stack((edge[0].to(outside.dtype), outside))
    message = "1 of 2 patches of 8x7 px leave the canvas of 23x30 px; shift the positions"
    with pytest.raises(PtychoPINNError, match=message):
        extract_patches(canvas(), positions, size)
    with pytest.raises(PtychoPINNError, match=message):
        place_patches(torch.ones(2, *size), positions, SHAPE)


def test_a_position_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(PtychoPINNError, match="1 of 1 patches"):
        extract_patches(canvas(), torch.tensor([[float("nan"), 9.0]]), (4, 4))


def test_groups_have_canvases_of_their_own() -> None:
    """Leading axes are kept apart, and must agree."""
    canvases = canvas(2, 3)
    positions = torch.tensor([[[8, 9], [12, 20]], [[7, 7], [9, 9]], [[10, 11], [6, 22]]]).expand(2, 3, 2, 2)
    patches = extract_patches(canvases, positions, (5, 6))
    assert patches.shape == (2, 3, 2, 5, 6)
    assert torch.equal(patches[1, 2], extract_patches(canvases[1, 2], positions[1, 2], (5, 6)))
    placed = place_patches(patches, positions, SHAPE)
    assert torch.equal(placed[0, 1], place_patches(patches[0, 1], positions[0, 1], SHAPE))
    with pytest.raises(ValueError, match="same leading axes"):
        inspect.unwrap(extract_patches)(canvases, positions[0], (5, 6))


def test_overlapping_windows_add_up() -> None:
    placed = place_patches(torch.ones(2, 2, 2), torch.tensor([[1, 1], [2, 2]]), (3, 3))
    assert placed.tolist() == [[1, 1, 0], [1, 2, 1], [0, 1, 1]]


@pytest.mark.parametrize("whole", [True, False])
def test_gradients(whole: bool) -> None:
    """With respect to canvas and patches, and to fractional positions."""
    positions = torch.tensor([[2.3, 1.9], [3.2, 2.6]], dtype=torch.float64)
    image = canvas()[:6, :5].clone().requires_grad_()
    windows = canvas(2)[:, :3, :2].clone().requires_grad_()
    at = positions.long() if whole else positions.requires_grad_()
    assert torch.autograd.gradcheck(lambda c, p: extract_patches(c, p, (3, 2)), (image, at))
    assert torch.autograd.gradcheck(lambda w, p: place_patches(w, p, (6, 5)), (windows, at))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_windows_cut_row_by_row_equal_those_with_a_gradient(size: tuple[int, int]) -> None:
    """Without a gradient windows are copied as blocks; both ways give the same numbers, overlaps included."""
    positions = torch.tensor([[9, 14], [10, 15], [9, 14], [12, 11]])
    recorded = canvas().requires_grad_()
    patches = extract_patches(recorded, positions, size)
    assert torch.equal(extract_patches(canvas(), positions, size), patches)
    placed = place_patches(patches, positions, SHAPE)
    assert placed.requires_grad
    torch.testing.assert_close(place_patches(patches.detach(), positions, SHAPE), placed.detach())


@pytest.mark.parametrize("recorded", [False, True], ids=["rows", "index"])
@pytest.mark.parametrize("rest", [0.0, 0.3])
def test_patches_that_are_added_to_a_canvas_are_placed_on_it(rest: float, recorded: bool) -> None:
    """Patches whose gradient is recorded, and fractional positions, take the way of an accelerator."""
    random = torch.Generator().manual_seed(5)
    patches = torch.randn(6, 7, 9, dtype=torch.complex128, generator=random)
    weight = torch.rand(6, 7, 9, dtype=torch.float64, generator=random)
    positions = torch.stack((torch.arange(6) + 4, 2 * torch.arange(6) + 5), dim=1)
    where = positions + rest if rest else positions
    before, total = canvas(), canvas().abs()
    expected = before + place_patches(weight * patches, where, SHAPE), total + place_patches(weight, where, SHAPE)
    with torch.no_grad() if not recorded else torch.enable_grad():
        add_weighted(before, total, patches.requires_grad_(recorded), weight, where)
    for made, other in zip((before, total), expected, strict=True):
        torch.testing.assert_close(made.detach(), other.detach(), rtol=1e-12, atol=1e-12)
    with pytest.raises(PtychoPINNError, match="leave the canvas"):
        add_weighted(canvas(), total.detach(), patches, weight, positions + 20)
