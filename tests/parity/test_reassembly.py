"""Merging of groups and stitching of scans against the numbers of the earlier implementation.

Tolerance of all float32 physics: 1e-4 of each value plus 1e-5 of the largest. Coordinate pairs there are
[x, y]; TensorFlow arrays are (B, H, W, C), PyTorch arrays (B, C, H, W).
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ptychopinn.data.frame import Frame
from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import accumulate, average, bilinear_shift, patch_weight, place_patches
from ptychopinn.reconstruction.stitch import stitch

pytestmark = pytest.mark.shared_data
SCANS = ["n12_M20_random", "n36_M10_grid", "n9_M24_integer"]


def load(path: Path) -> dict[str, Tensor]:
    """The arrays of one file."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "meta_json"}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


@pytest.fixture
def folder(shared_dir: Path) -> Path:
    return shared_dir / "parity"


def same(ours: Tensor, theirs: Tensor) -> None:
    """Equal to the tolerance of the float32 physics."""
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()), check_dtype=False)


def differs(ours: Tensor, theirs: Tensor) -> bool:
    """Far from equal: by more than 5 % of the largest value somewhere."""
    return float((ours - theirs).abs().max()) > 0.05 * float(theirs.abs().max())


def tensorflow_images(images: Tensor) -> Tensor:
    """(B, H, W, C) to (B, G, H, W)."""
    return images.permute(0, 3, 1, 2)


def tensorflow_pairs(pairs: Tensor) -> Tensor:
    """(B, 1, 2, C) of [x, y] to (B, G, 2) of (y, x)."""
    return pairs[:, 0].transpose(1, 2).flip(-1)


def torch_pairs(pairs: Tensor) -> Tensor:
    """(B, C, 1, 2) of [x, y] to (B, G, 2) of (y, x)."""
    return pairs[:, :, 0].flip(-1)


def middle(image: Tensor, rows: int) -> Tensor:
    """The central `rows` by `rows` elements."""
    first = (image.shape[-1] - rows) // 2
    return image[..., first : first + rows, first : first + rows]


def scan_of(data: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Central patches (N, M, M), weights of one (M, M), positions (N, 2) less their mean."""
    patches = middle(data["in_patches"][..., 0], int(data["M"]))
    offsets = data["in_global_offsets"][:, 0, 0].flip(-1)
    return patches, torch.ones(patches.shape[1:]), offsets - offsets.mean(0)


@pytest.mark.parametrize("name", SCANS)
def test_reassemble_position(folder: Path, name: str) -> None:
    """Central M px shifted by +(offset - mean) and divided by 1e-9 + shifted ones, on M + 2 pad px.

    The pad is the largest offset, rounded up to whole and then to even; positions are exact in float64.
    """
    data = load(folder / "reassembly" / f"{name}.npz")
    patches, weight, positions = scan_of(data)
    pad = int(positions.abs().max().ceil())
    rows = len(weight) + 2 * (pad + pad % 2)
    placed, total = accumulate(patches, weight, rows // 2 + positions, (rows, rows))
    same(placed, data["tf_shift_and_sum"][..., 0])
    same(average(placed, total, fill=0, epsilon=1e-9), data["tf_reassemble_position"][..., 0])
    for wrong in (-positions, positions.flip(-1)):
        placed, _ = accumulate(patches, weight, rows // 2 + wrong, (rows, rows))
        assert differs(placed, data["tf_shift_and_sum"][..., 0])


@pytest.mark.parametrize("name", SCANS)
def test_reassemble_position_is_our_stitch(folder: Path, name: str) -> None:
    """`stitch` gives the same where the weight is well above our epsilon, and 1 instead of 0 outside."""
    data = load(folder / "reassembly" / f"{name}.npz")
    patches, weight, positions = scan_of(data)
    theirs = data["tf_reassemble_position"][..., 0]
    rows = theirs.shape[0]
    object_, coverage = stitch(patches, weight, positions, Frame((-(rows // 2), -(rows // 2)), (rows, rows)))
    covered = torch.from_numpy(coverage)
    well = covered * data["torch_counts"].max() > 0.1
    same(torch.from_numpy(object_)[well], theirs[well])
    assert (torch.from_numpy(object_)[covered == 0] == 1).all()


@pytest.mark.parametrize("name", SCANS)
def test_barycentric_accumulator(folder: Path, name: str) -> None:
    """Sum and count, with uniform weights and with |P|^2; their positions mean the same element as ours."""
    data = load(folder / "reassembly" / f"{name}.npz")
    patches, weight, relative = scan_of(data)
    same(patches, data["torch_in_patches_cropped"])
    rows, columns = data["torch_canvas_shape"].tolist()
    positions = data["torch_in_positions_px"].flip(-1)
    torch.testing.assert_close(positions.double(), relative + rows // 2, rtol=0, atol=1e-4)
    placed, count = accumulate(patches, weight, positions, (rows, columns))
    same(placed, data["torch_canvas"])
    same(count, data["torch_counts"])
    placed, total = accumulate(patches, data["torch_probe_mag_sq"], positions, (rows, columns))
    same(placed, data["torch_weighted_canvas"])
    same(total, data["torch_weighted_weights"])


@pytest.mark.parametrize("name", SCANS)
def test_divergence_patches_that_leave_the_canvas_are_refused(folder: Path, name: str) -> None:
    """The accumulator drops them in silence: its small canvas holds exactly the patches that fit whole."""
    data = load(folder / "reassembly" / f"{name}.npz")
    patches, weight, _ = scan_of(data)
    positions = data["torch_small_canvas_positions"].flip(-1)
    shape = (data["torch_small_canvas"].shape[0], data["torch_small_canvas"].shape[1])
    first = positions - len(weight) // 2
    fits = ((first >= 0) & (first + len(weight) <= torch.tensor(shape))).all(-1)
    lost = int((~fits).sum())
    assert 0 < lost < len(patches)
    with pytest.raises(PtychoPINNError, match=f"{lost} of {len(patches)} patches"):
        accumulate(patches, weight, positions, shape)
    placed, count = accumulate(patches[fits], weight, positions[fits], shape)
    same(placed, data["torch_small_canvas"])
    same(count, data["torch_small_counts"])


@pytest.mark.parametrize("name", SCANS)
def test_divergence_the_canvas_does_not_follow_the_mean(folder: Path, name: str) -> None:
    """Theirs is centred on the mean of the used positions, so that leaving one out moves the whole image.

    Ours has an origin in the object frame: what the remaining patches cover stays where it is.
    """
    data = load(folder / "reassembly" / f"{name}.npz")
    patches, weight, _ = scan_of(data)
    offsets = data["in_global_offsets"][:, 0, 0].flip(-1)
    frame = Frame.of_positions(offsets.floor().long().numpy(), len(weight), margin=2)
    whole, _ = stitch(patches, weight, offsets, frame)
    part, coverage = stitch(patches[:-1], weight, offsets[:-1], frame)
    _, last = stitch(patches[-1:], weight, offsets[-1:], frame)
    apart = (coverage > 0) & (last == 0)
    assert apart.sum() > len(weight) ** 2
    assert np.array_equal(whole[apart], part[apart])
    moved, _ = stitch(patches[:-1], weight, offsets[:-1] - offsets[:-1].mean(0) + offsets.mean(0), frame)
    assert not np.allclose(whole[apart], moved[apart], atol=1e-3)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_tensorflow_reassemble_patches(folder: Path, gridsize: int) -> None:
    """sum_c shift(p_c) / (sum_c shift(central ones) + 0.001): placed sum and weight of different weights.

    The mean that is taken off the offsets runs over the batch too: even gridsize 1 depends on the batch.
    """
    data = load(folder / "forward" / f"patches_gs{gridsize}.npz")
    patches, offsets = tensorflow_images(data["in_patches"]), tensorflow_pairs(data["in_offsets"])
    rows = data["tf_mk_norm"].shape[1]
    positions = rows // 2 - (offsets - offsets.mean((0, 1)))
    central = patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64)).expand(patches.shape)
    placed = place_patches(patches, positions, (rows, rows))
    weight = place_patches(central, positions, (rows, rows))
    same(weight + 1e-3, data["tf_mk_norm"][..., 0])
    merged = average(placed, weight, fill=0, epsilon=1e-3)
    same(merged, data["tf_reassemble_patches"][..., 0])
    same(middle(merged, 64), data["tf_trim"][..., 0])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_divergence_merge_is_weighted_on_both_sides(folder: Path, gridsize: int) -> None:
    """TensorFlow divides unmasked patches by a masked count: up to 4000 times the object beside the centre.

    Ours weighs both sums alike, so that merged patches stay within the range of the patches.
    """
    data = load(folder / "forward" / f"patches_gs{gridsize}.npz")
    patches, offsets = tensorflow_images(data["in_patches"]), tensorflow_pairs(data["in_offsets"])
    rows = data["tf_mk_norm"].shape[1]
    central = patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64))
    ours = average(*accumulate(patches, central, rows // 2 - (offsets - offsets.mean((0, 1))), (rows, rows)))
    assert ours.abs().max() < 1.01 * patches.abs().max()
    assert data["tf_reassemble_patches"].abs().max() > 500 * patches.abs().max()


def torch_merge(data: dict[str, Tensor], weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over a group of shift(p_c) shift(w), and of shift(w), (B, Y, X): shifted apart, then multiplied.

    Windows leave the canvas here, so the patches are padded to it and moved.
    """
    patches, rows = data["in_patches_bchw"], data["out_uniform"].shape[-1]
    margin, shift = (rows - 64) // 2, -torch_pairs(data["in_offsets_bc12"])
    moved, weights = (
        bilinear_shift(torch.nn.functional.pad(image, (margin,) * 4), shift)
        for image in (patches, weight.expand(patches.shape))
    )
    return (moved * weights).sum(1), weights.sum(1)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_with_central_mask(folder: Path, gridsize: int) -> None:
    """Division by the weight + 0.001.

    Where the weight is as small as that, the division enlarges the rounding of their shift (1e-6 of a weight
    of 7e-4): there the product with the divisor is compared. Then patches are cut again, at plus the offsets.
    """
    data = load(folder / "forward" / f"torch_patches_gs{gridsize}.npz")
    central = patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64))
    placed, weight = torch_merge(data, central)
    assert torch.equal(weight > 0, data["out_central_mask_bool"])
    theirs = data["out_central_mask"]
    same(average(placed, weight, fill=0, epsilon=1e-3) * (weight + 1e-3), theirs * (weight + 1e-3))
    well = weight > 0.1
    same(average(placed, weight, fill=0, epsilon=1e-3)[well], theirs[well])
    moved = bilinear_shift(theirs[:, None], torch_pairs(data["in_offsets_bc12"]))
    same(middle(moved, 64), data["out_extract_from_central"])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_uniform(folder: Path, gridsize: int) -> None:
    """The same weights without the 0.001."""
    data = load(folder / "forward" / f"torch_patches_gs{gridsize}.npz")
    placed, weight = torch_merge(data, patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64)))
    same(average(placed, weight, fill=0, epsilon=1e-12), data["out_uniform"])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_weighted_by_the_probe(folder: Path, gridsize: int) -> None:
    """Weight |P|^2; zero where the weight is below 1e-6 of its maximum."""
    data = load(folder / "forward" / f"torch_patches_gs{gridsize}.npz")
    placed, weight = torch_merge(data, data["in_probe"].abs().square())
    covered = weight > 1e-6 * weight.max()
    assert torch.equal(covered, data["out_probe_weighted"] != 0)
    same(average(placed, weight, fill=0, epsilon=1e-20) * covered, data["out_probe_weighted"])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_of_cropped_patches(folder: Path, gridsize: int) -> None:
    """The plain barycentric merge of the central 20 px; offsets less their mean, over the batch too."""
    data = load(folder / "forward" / f"torch_patches_gs{gridsize}.npz")
    offsets, rows = torch_pairs(data["in_offsets_bc12"]), data["out_crop20"].shape[-1]
    positions = rows // 2 - (offsets - offsets.mean((0, 1)))
    placed, weight = accumulate(middle(data["in_patches_bchw"], 20), torch.ones(20, 20), positions, (rows, rows))
    assert torch.equal(weight > 0, data["out_crop20_bool"])
    same(average(placed, weight, fill=0, epsilon=1e-9), data["out_crop20"])


def test_divergence_the_group_canvas_holds_every_window(folder: Path) -> None:
    """In PyTorch the merged canvas of gridsize 1 is no larger than a patch, and what moves out of it is lost.

    Ours refuses such a canvas; on one that holds the windows nothing is lost.
    """
    data = load(folder / "forward" / "torch_patches_gs1.npz")
    patches, offsets = data["in_patches_bchw"], torch_pairs(data["in_offsets_bc12"])
    assert data["out_uniform"].shape == (2, 64, 64)
    with pytest.raises(PtychoPINNError, match="2 of 2 patches of 64x64 px leave the canvas of 64x64 px"):
        place_patches(patches, 32 - offsets, (64, 64))
    placed = place_patches(patches, 36 - offsets, (72, 72))
    torch.testing.assert_close(placed.sum(), patches.sum(), rtol=1e-4, atol=0)
