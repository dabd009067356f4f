"""Stitching under its older name, against the earlier implementation's numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ptycho_torch import reassembly_alpha, reassembly_beta
from ptycho_torch.reassembly import VectorizedBarycentricAccumulator
from ptychopinn.errors import PtychoPINNError

SCANS = ["n12_M20_random", "n36_M10_grid", "n9_M24_integer"]


def load(path: Path) -> dict[str, Tensor]:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name.startswith("torch_")}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_and_weights_of_batches(shared_dir: Path, name: str, weighted: bool) -> None:
    data = load(shared_dir / "parity" / "reassembly" / f"{name}.npz")
    accumulator = VectorizedBarycentricAccumulator(tuple(data["torch_canvas_shape"].tolist()))
    weight = data["torch_probe_mag_sq"] if weighted else None
    for batch in (slice(0, 5), slice(5, None)):
        accumulator.add(data["torch_in_patches_cropped"][batch], data["torch_in_positions_px"][batch], weight)
    canvas, weights = (
        (data["torch_weighted_canvas"], data["torch_weighted_weights"])
        if weighted
        else (
            data["torch_canvas"],
            data["torch_counts"],
        )
    )
    same(accumulator.canvas, canvas)
    same(accumulator.counts, weights)
    image = accumulator.get_reconstruction()
    well = weights > 1e-3 * weights.max()
    same(image[well], (canvas / weights)[well])
    assert (image[weights == 0] == 0).all()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SCANS)
def test_divergence_patches_that_leave_the_canvas_are_refused(shared_dir: Path, name: str) -> None:
    """The earlier accumulator drops them in silence."""
    data = load(shared_dir / "parity" / "reassembly" / f"{name}.npz")
    accumulator = VectorizedBarycentricAccumulator(tuple(data["torch_small_canvas"].shape))
    with pytest.raises(
        PtychoPINNError, match=f"of {len(data['torch_in_patches_cropped'])} patches of .* leave the canvas"
    ):
        accumulator.add(data["torch_in_patches_cropped"], data["torch_small_canvas_positions"])


def test_all_paths_lead_to_one_class() -> None:
    for module in (reassembly_alpha, reassembly_beta):
        assert module.VectorizedBarycentricAccumulator is VectorizedBarycentricAccumulator


def test_canvas_and_counts_may_be_the_callers() -> None:
    accumulator = VectorizedBarycentricAccumulator((20, 24), "cpu")
    canvas, counts = torch.zeros(20, 24, dtype=torch.complex64), torch.zeros(20, 24)
    patches, positions = torch.ones(2, 8, 8, dtype=torch.complex64), torch.tensor([[6.0, 5.0], [14.0, 12.0]])
    accumulator.accumulate_batch(canvas, counts, patches, positions, 4)
    assert counts.sum() == 2 * 16
    assert torch.equal(canvas.real, counts)
    assert counts[5, 6] == counts[12, 14] == 1
    assert counts[5, 10] == accumulator.counts.sum() == 0
