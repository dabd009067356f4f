"""The smooth field by which a scan is bent: its functions, and where it takes positions and images."""

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig
from ptychopinn.solver.positions import PositionMover, carried


def spread(count: int) -> torch.Tensor:
    """Whole positions, more along rows than along columns."""
    draw = torch.Generator().manual_seed(1)
    return (torch.rand(count, 2, dtype=torch.float64, generator=draw) * torch.tensor([40.0, 70.0])).round() + 5


def test_positions_and_object_are_moved_by_the_same_field() -> None:
    start = spread(200)
    draw = torch.Generator().manual_seed(2)
    gradient = torch.randn(200, 4, dtype=torch.float64, generator=draw)
    mover = PositionMover(start, RefineConfig(positions_distortion=True, positions_step_px=0.4))
    assert mover.degree == 6
    moved, field = mover.bent(start, gradient, 1e-3 * torch.eye(4, dtype=torch.float64).expand(200, 4, 4))
    shift = field.on((60, 90))[start[:, 0].long(), start[:, 1].long()]
    torch.testing.assert_close(start + shift, moved)
    assert 0.01 < (moved - start).norm(dim=-1).amax() <= 0.4 + 1e-9


def test_the_strain_of_the_patches_gives_the_field_back() -> None:
    """Half of the way to a field, from the strains that it would take away."""
    start = spread(200)
    first, last = start.amin(0), start.amax(0)
    y, x = (2 * (start - first) / (last - first) - 1).unbind(-1)
    field = torch.stack((0.1 * x * y, 0.05 * (3 * y**2 - 1) - 0.1 * x), 1)
    by_y, by_x = 2 / (last - first)
    flat = torch.zeros_like(x)
    strain = torch.stack((0.1 * x * by_y, 0.1 * y * by_x, 0.3 * y * by_y, flat - 0.1 * by_x), 1)
    light = 1e9
    config = RefineConfig(positions_distortion=True, positions_step_px=1)
    moved, _ = PositionMover(start, config).bent(
        start, light * strain, light * torch.eye(4, dtype=torch.float64).expand(200, 4, 4)
    )
    torch.testing.assert_close(moved - start, -0.5 * (field - field.mean(0)), atol=1e-5, rtol=0)


def test_the_prior_alone_takes_a_field_back() -> None:
    start = spread(200)
    mover = PositionMover(start, RefineConfig(positions_distortion=True, positions_step_px=10))
    away = start + 0.02 * (start - start.mean(0)) @ torch.tensor([[1.0, 0.3], [0.0, -1.0]], dtype=torch.float64)
    nothing = torch.zeros(200, 4, dtype=torch.float64), torch.zeros(200, 4, 4, dtype=torch.float64)
    moved, _ = mover.bent(away, *nothing)
    left, before = (value - start - (value - start).mean(0) for value in (moved, away))
    torch.testing.assert_close(left, before / 2, atol=1e-6, rtol=0)


def test_images_go_where_the_field_says() -> None:
    image = torch.zeros(1, 12, 15, dtype=torch.complex64)
    image[0, 4, 6] = 1 - 2j
    field = torch.tensor([2.0, -1.0]).expand(12, 15, 2)
    moved = carried(image, field)
    assert moved[0, 6, 5].item() == pytest.approx(1 - 2j, abs=1e-5)
    assert moved.abs().sum().item() == pytest.approx(abs(1 - 2j), abs=1e-4)


@pytest.mark.parametrize(
    ("count", "degree"), [(5, 0), (20, 0), (21, 1), (41, 1), (42, 2), (105, 4), (196, 6), (900, 6)]
)
def test_few_positions_are_bent_little(count: int, degree: int) -> None:
    mover = PositionMover(spread(count), RefineConfig(positions_distortion=True))
    assert mover.degree == degree
    assert mover.bends == (degree > 0)
    assert not PositionMover(spread(count), RefineConfig()).bends


def test_a_line_of_positions_is_not_bent() -> None:
    line = torch.from_numpy(np.stack((np.full(60, 20.0), np.arange(60.0)), 1))
    mover = PositionMover(line, RefineConfig(positions_distortion=True))
    assert not mover.bends
    zero = torch.zeros(60, 2, dtype=torch.float64), torch.zeros(60, 2, 2, dtype=torch.float64)
    assert torch.isfinite(mover.moved(line, *zero)).all()
