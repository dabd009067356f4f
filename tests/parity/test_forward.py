"""Forward model, shifts, patches and probes against the numbers of the earlier implementation.

Tolerance of all float32 physics: 1e-4 of each value plus 1e-5 of the largest. Coordinate pairs there are
[x, y]; TensorFlow arrays are (B, H, W, C), PyTorch arrays (B, C, H, W).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import (
    DiffractionModel,
    accumulate,
    amplitude,
    average,
    bilinear_shift,
    detect_patches,
    exit_wave,
    extract_patches,
    patch_weight,
    place_patches,
    support_mask,
    to_detector,
)
from ptychopinn.physics import FarField
from ptychopinn.physics.illumination import normalise_probe
from ptychopinn.physics.scaling import rms_scale

pytestmark = pytest.mark.shared_data
FAR = FarField()


class Fixture:
    """The arrays of one file, as tensors."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as archive:
            self.arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.arrays[name]))

    def meta(self, name: str) -> int:
        """A number of the file's description."""
        return int(json.loads(str(self.arrays["meta_json"]))[name])


@pytest.fixture
def forward(shared_dir: Path) -> Path:
    return shared_dir / "parity" / "forward"


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


def object_of(data: Fixture) -> Tensor:
    return data["in_amp"] * torch.exp(1j * data["in_phi"])


@pytest.mark.parametrize("size", [64, 128])
def test_forward_amplitude(forward: Path, size: int) -> None:
    """fftshift(abs(fft2(O P))) / sqrt(H W), both backends; centring the input changes only phases."""
    data = Fixture(forward / f"diffract_N{size}.npz")
    ours = amplitude(FAR(exit_wave(data["in_probe"][None], object_of(data))))
    same(ours, data["tf_pad_and_diffract_noisefree"])
    same(ours, data["tf_X_expected_noisefree"])
    same(ours[:, None], data["torch_pad_and_diffract"])


@pytest.mark.parametrize("size", [64, 128])
def test_forward_model_at_whole_positions(forward: Path, size: int) -> None:
    """The whole model gives the same, the object being its only patch."""
    data = Fixture(forward / f"diffract_N{size}.npz")
    at = torch.full((len(data["in_amp"]), 1, 2), size // 2)
    for rule in ("probe", "bilinear"):
        ours = DiffractionModel(rule)(object_of(data), at, data["in_probe"][None])[:, 0]
        same(ours, data["tf_pad_and_diffract_noisefree"].square())


@pytest.mark.parametrize("size", [64, 128])
def test_photon_scale_of_the_simulation(forward: Path, size: int) -> None:
    """s = sqrt(nphotons / mean over patterns of sum |O P|^2): ours is s times the probe, in sqrt(photons)."""
    data = Fixture(forward / f"diffract_N{size}.npz")
    probe, object_ = data["in_probe"][None], object_of(data)
    scale = rms_scale(amplitude(exit_wave(probe, object_)), 1e6)
    assert scale == pytest.approx(data["tf_intensity_scale"].item(), rel=1e-6)
    assert scale == pytest.approx(data["tf_scale_nphotons"].item(), rel=1e-6)
    photons = detect_patches(object_, scale * probe, FAR)
    assert photons.sum((-2, -1)).mean().item() == pytest.approx(1e6, rel=1e-5)
    same(photons.sqrt() / scale, data["tf_X_expected_noisefree"])


@pytest.mark.parametrize("size", [64, 128])
def test_simulated_counts_are_a_poisson_draw_of_our_intensity(forward: Path, size: int) -> None:
    """sqrt(Poisson((s A)^2)) / s cannot be repeated; (k - lambda)^2 / lambda averages 1 where lambda is not small."""
    data = Fixture(forward / f"diffract_N{size}.npz")
    scale = data["tf_intensity_scale"].item()
    expected = detect_patches(object_of(data), scale * data["in_probe"][None], FAR).double()
    counts = (data["tf_X_poisson_normalized"].double() * scale).square()
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-5 * float(counts.max()))
    bright = expected > 5
    chi_squared = ((counts - expected).square() / expected)[bright]
    assert chi_squared.mean().item() == pytest.approx(1, abs=4 * (2.2 / int(bright.sum())) ** 0.5)
    assert counts.sum().item() == pytest.approx(expected.sum().item(), abs=4 * expected.sum().sqrt().item())


@pytest.mark.parametrize("size", [64, 128])
def test_photon_scale_of_the_torch_simulator(forward: Path, size: int) -> None:
    """There too one factor on the probe; intensities in photons, 1e5 in the mean."""
    data = Fixture(forward / f"diffract_N{size}.npz")
    probe, object_ = data["in_probe"][None], object_of(data)
    scale = rms_scale(amplitude(exit_wave(probe, object_)), 1e5)
    same(scale * probe, data["torch_illuminate_scaled_probe"][0])
    same(detect_patches(object_, scale * probe, FAR), data["torch_illuminate_intensity"])


def test_illuminated_amplitude_of_the_simulation(forward: Path) -> None:
    data = Fixture(forward / "diffract_N64.npz")
    same(object_of(data), data["tf_obj"])
    same(exit_wave(data["in_probe"][None], object_of(data))[:, 0].abs(), data["tf_Y_I_illuminated"])


def test_padded_forward_amplitude(forward: Path) -> None:
    """The central half, zero-padded by N/8 on each side; their factor is that of the size before the padding.

    Ours is unitary on the padded size: sqrt(H W) of 48 instead of 32, so that energy is kept.
    """
    data = Fixture(forward / "diffract_N64.npz")
    padded = torch.nn.functional.pad(middle(object_of(data), 32), (8, 8, 8, 8))
    same(amplitude(FAR(padded[:, None])) * 48 / 32, data["tf_pad_and_diffract_padTrue_halfN"])


def test_divergence_modes_add_as_intensities(forward: Path) -> None:
    """`torch_pad_and_diffract_two_modes` adds the waves of the modes; a detector adds their intensities.

    Ours is larger in one place and smaller in another, and keeps the energy of the modes.
    """
    data = Fixture(forward / "diffract_N64.npz")
    waves, theirs = data["torch_pad_and_diffract_two_modes_in"], data["torch_pad_and_diffract_two_modes"]
    same(to_detector(waves.sum(2)).abs(), theirs)
    ours = amplitude(FAR(waves))
    assert differs(ours, theirs)
    torch.testing.assert_close(ours.square().sum(), waves.abs().square().sum())


def test_translation(forward: Path) -> None:
    """out[y, x] = in[y - dy, x - dx], bilinear, zero outside: both backends, whole and fractional."""
    data = Fixture(forward / "translation.npz")
    shift = data["in_offsets_xy"].flip(-1)
    ours = bilinear_shift(data["in_img"], shift)
    same(ours, data["tf_translate"])
    same(ours, data["torch_Translation"])
    assert differs(bilinear_shift(data["in_img"], -shift), data["tf_translate"])
    assert differs(bilinear_shift(data["in_img"], shift.flip(-1)), data["tf_translate"])


def test_divergence_one_sign_of_translation(forward: Path) -> None:
    """A switch of the earlier system selects a fallback that moves the content the other way and spoils the border.

    Ours has no switch: away from the border the fallback is our shift by minus the offset, and never by the offset.
    """
    data = Fixture(forward / "translation.npz")
    shift, theirs = data["in_offsets_xy"].flip(-1), data["tf_translate_non_xla_fallback_real"]
    inside = (slice(1, None), slice(6, -6), slice(6, -6))  # the first offset is zero
    image = data["in_img"].real
    same(bilinear_shift(image, -shift)[inside], theirs[inside])
    for ours, other in zip(bilinear_shift(image, shift)[inside], theirs[inside], strict=True):
        assert differs(ours, other)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_extract_patches(forward: Path, gridsize: int) -> None:
    """Window about the canvas centre at minus their offset, which is our relative position; C is the fast index."""
    data = Fixture(forward / f"patches_gs{gridsize}.npz")
    canvas, offsets = tensorflow_images(data["in_big"])[:, 0], tensorflow_pairs(data["in_offsets"])
    centre = canvas.shape[-1] // 2
    theirs = data["tf_extract_patches_position"][..., 0]
    same(extract_patches(canvas, centre - offsets, (64, 64)).flatten(0, 1), theirs)
    assert differs(extract_patches(canvas, centre + offsets, (64, 64)).flatten(0, 1), theirs)
    assert differs(extract_patches(canvas, centre - offsets.flip(-1), (64, 64)).flatten(0, 1), theirs)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_tensorflow_reassemble_patches(forward: Path, gridsize: int) -> None:
    """sum_c shift(p_c) / (sum_c shift(central ones) + 0.001): placed sum and placed weight of different weights.

    The mean that is taken off the offsets runs over the batch too, so that even gridsize 1 depends on the batch.
    """
    data = Fixture(forward / f"patches_gs{gridsize}.npz")
    patches, offsets = tensorflow_images(data["in_patches"]), tensorflow_pairs(data["in_offsets"])
    rows = data.meta("padded_size")
    positions = rows // 2 - (offsets - offsets.mean((0, 1)))
    central = patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64)).expand(patches.shape)
    placed = place_patches(patches, positions, (rows, rows))
    weight = place_patches(central, positions, (rows, rows))
    same(weight + 1e-3, data["tf_mk_norm"][..., 0])
    merged = average(placed, weight, fill=0, epsilon=1e-3)
    same(merged, data["tf_reassemble_patches"][..., 0])
    same(middle(merged, 64), data["tf_trim"][..., 0])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_divergence_merge_is_weighted_on_both_sides(forward: Path, gridsize: int) -> None:
    """TensorFlow divides unmasked patches by a masked count: up to 4000 times the object beside the centre.

    Ours weighs both sums alike, so that merged patches stay within the range of the patches.
    """
    data = Fixture(forward / f"patches_gs{gridsize}.npz")
    patches, offsets = tensorflow_images(data["in_patches"]), tensorflow_pairs(data["in_offsets"])
    rows = data.meta("padded_size")
    central = patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64))
    ours = average(*accumulate(patches, central, rows // 2 - (offsets - offsets.mean((0, 1))), (rows, rows)))
    assert ours.abs().max() < 1.01 * patches.abs().max()
    assert data["tf_reassemble_patches"].abs().max() > 500 * patches.abs().max()


@pytest.mark.parametrize("gridsize", [1, 2])
def test_center_channels(forward: Path, gridsize: int) -> None:
    """Every channel moved by minus its offset (the real part was recorded)."""
    data = Fixture(forward / f"patches_gs{gridsize}.npz")
    patches, offsets = tensorflow_images(data["in_patches"]).real, tensorflow_pairs(data["in_offsets"])
    same(bilinear_shift(patches, -offsets), tensorflow_images(data["tf_center_channels_real"]))


def torch_merge(data: Fixture, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over a group of shift(p_c) shift(w), and of shift(w), (B, Y, X): shifted apart, then multiplied.

    Windows leave the canvas here, so the patches are padded to it and moved.
    """
    patches, rows = data["in_patches_bchw"], data.meta("padded_size")
    margin = (rows - 64) // 2
    shift = -torch_pairs(data["in_offsets_bc12"])
    at = torch.full((*patches.shape[:2], 1, 2), margin + 32)
    padded = place_patches(patches.unsqueeze(2), at, (rows, rows))
    weights = place_patches(weight.expand(patches.shape).unsqueeze(2), at, (rows, rows))
    moved, weights = bilinear_shift(padded, shift), bilinear_shift(weights, shift)
    return (moved * weights).sum(1), weights.sum(1)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_with_central_mask(forward: Path, gridsize: int) -> None:
    """Division by the weight + 0.001; where the weight is as small the division enlarges their rounding, so multiply."""
    data = Fixture(forward / f"torch_patches_gs{gridsize}.npz")
    central = patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64))
    placed, weight = torch_merge(data, central)
    assert torch.equal(weight > 0, data["out_central_mask_bool"])
    theirs = data["out_central_mask"]
    same(average(placed, weight, fill=0, epsilon=1e-3) * (weight + 1e-3), theirs * (weight + 1e-3))
    well = weight > 0.1
    same(average(placed, weight, fill=0, epsilon=1e-3)[well], theirs[well])
    cut = extract_patches(theirs, theirs.shape[-1] // 2 + torch_pairs(torch.zeros_like(data["in_offsets_bc12"])), (64, 64))
    assert cut.shape == data["out_extract_from_central"].shape
    moved = bilinear_shift(theirs[:, None], torch_pairs(data["in_offsets_bc12"]))
    same(middle(moved, 64), data["out_extract_from_central"])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_uniform(forward: Path, gridsize: int) -> None:
    """The same weights without the 0.001."""
    data = Fixture(forward / f"torch_patches_gs{gridsize}.npz")
    placed, weight = torch_merge(data, patch_weight("central", torch.ones(1, 64, 64, dtype=torch.complex64)))
    same(average(placed, weight, fill=0, epsilon=1e-12), data["out_uniform"])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_weighted_by_the_probe(forward: Path, gridsize: int) -> None:
    """Weight |P|^2; zero where the weight is below 1e-6 of its maximum."""
    data = Fixture(forward / f"torch_patches_gs{gridsize}.npz")
    placed, weight = torch_merge(data, data["in_probe"].abs().square())
    covered = weight > 1e-6 * weight.max()
    assert torch.equal(covered, data["out_probe_weighted"] != 0)
    same(average(placed, weight, fill=0, epsilon=1e-20) * covered, data["out_probe_weighted"])


@pytest.mark.parametrize("gridsize", [1, 2])
def test_torch_merge_of_cropped_patches(forward: Path, gridsize: int) -> None:
    """The plain barycentric merge of the central 20 px; offsets less their mean, over the batch too."""
    data = Fixture(forward / f"torch_patches_gs{gridsize}.npz")
    offsets, rows = torch_pairs(data["in_offsets_bc12"]), data.meta("crop20_padded")
    positions = rows // 2 - (offsets - offsets.mean((0, 1)))
    placed, weight = accumulate(
        middle(data["in_patches_bchw"], 20), torch.ones(20, 20), positions, (rows, rows)
    )
    assert torch.equal(weight > 0, data["out_crop20_bool"])
    same(average(placed, weight, fill=0, epsilon=1e-9), data["out_crop20"])


def test_divergence_the_group_canvas_holds_every_window(forward: Path) -> None:
    """In PyTorch the merged canvas of gridsize 1 is no larger than a patch, and what is moved out of it is lost.

    Ours refuses such a canvas; on one that holds the windows nothing is lost.
    """
    data = Fixture(forward / "torch_patches_gs1.npz")
    patches, offsets = data["in_patches_bchw"], torch_pairs(data["in_offsets_bc12"])
    assert data.meta("padded_size") == 64
    with pytest.raises(PtychoPINNError, match="2 of 2 patches of 64x64 px leave the canvas of 64x64 px"):
        place_patches(patches, 32 - offsets, (64, 64))
    assert place_patches(patches, 36 - offsets, (72, 72)).sum().abs() == pytest.approx(patches.sum().abs(), rel=1e-4)


@pytest.mark.parametrize("size", [64, 128])
def test_probe_mask(forward: Path, size: int) -> None:
    """Disk of radius N/4 about ((N-1)/2, (N-1)/2), exactly; the torch masks are such disks, smoothed or not."""
    data = Fixture(forward / f"default_probe_N{size}.npz")
    mask = support_mask(size, size / 4)
    assert torch.equal(mask.bool(), data["tf_probe_mask_real"])
    assert torch.equal(support_mask(size, 10), data["torch_hard_mask_d20"])
    for disk, deviation, name in ((mask, 1.0, "default"), (support_mask(size, 10), 0.5, "d20_s0p5")):
        soft = gaussian_filter(disk.numpy(), deviation, truncate=3)
        same(torch.from_numpy(soft), data[f"torch_soft_mask_{name}"])


@pytest.mark.parametrize("size", [64, 128])
def test_default_probe(forward: Path, size: int) -> None:
    """A disk about the same centre, smoothed by 1 px, plus 1e-9; the radius at scale 0.7 was measured: 0.1704 N."""
    data = Fixture(forward / f"default_probe_N{size}.npz")
    ours = gaussian_filter(support_mask(size, 0.1704 * size).double().numpy(), 1.0) + 1e-9
    same(torch.from_numpy(ours), data["default_probe_scale_0p7"].double())


@pytest.mark.parametrize("size", [64, 128])
def test_tensorflow_probe_normalisation(forward: Path, size: int) -> None:
    """P / (probe_scale mean |mask P|)."""
    data = Fixture(forward / f"diffract_N{size}.npz")
    ours, _ = normalise_probe(data["in_probe"], 10.0, support_mask(size, size / 4))
    same(ours, data["tf_set_probe_guess_normalized"])


def test_torch_probe_normalisation(forward: Path) -> None:
    """The same with scale 4, without a mask or with the soft one; their factor is 1 over our divisor."""
    data = Fixture(forward / "torch_scaling_N64.npz")
    soft = Fixture(forward / "default_probe_N64.npz")["torch_soft_mask_default"]
    for mask, name in ((None, "probe_norm4"), (soft, "probe_norm4_masked")):
        ours, divisor = normalise_probe(data["in_probe"], 4.0, mask)
        same(ours, data[name])
        assert 1 / divisor == pytest.approx(data[f"{name}_factor"].item(), rel=1e-6)


def test_torch_amplitude_normalisation(forward: Path) -> None:
    """Parseval: mean of sum X^2 becomes N^2, over the scan or over each group; the photon scale by the same rule."""
    data = Fixture(forward / "torch_scaling_N64.npz")
    amplitudes = data["in_X"]
    assert rms_scale(amplitudes, 64.0**2) == pytest.approx(data["rms_Batch_Parseval"].item(), rel=1e-6)
    each = [rms_scale(group, 64.0**2) for group in amplitudes]
    assert each == pytest.approx(data["rms_Group_Parseval"].flatten().tolist(), rel=1e-6)
    assert rms_scale(amplitudes, 1e6) == pytest.approx(data["derive_intensity_scale_1e6"].item(), rel=1e-6)


@pytest.mark.parametrize(("scope", "axes"), [("Batch", (0, 1)), ("Group", (1,))])
def test_divergence_one_scale_for_amplitudes(forward: Path, scope: str, axes: tuple[int, ...]) -> None:
    """PyTorch has further factors: 1 / mean(sum X) called physics, and 1 / max(sum X); they scale by a sum of amplitudes.

    A sum of amplitudes is not a number of photons. Ours normalises by the mean power alone, and the factors differ by
    more than a constant from pattern to pattern.
    """
    data = Fixture(forward / "torch_scaling_N64.npz")
    sums = data["in_X"].double().sum((-2, -1))
    same(1 / sums.mean(axes), data[f"physics_{scope}_Parseval"].flatten().squeeze())
    same(1 / sums.amax(axes), data[f"physics_{scope}_Max"].flatten().squeeze())
    same(1 / sums.amax(axes), data[f"rms_{scope}_Max"].flatten().squeeze())
    powers = data["in_X"].double().square().sum((-2, -1))
    ratio = powers.sqrt() / sums
    assert ratio.std() / ratio.mean() > 1e-3
