"""Forward model, shifts, extraction, probes and scales against the numbers of the earlier implementation.

Tolerance of all float32 physics: 1e-4 of each value plus 1e-5 of the largest. Coordinate pairs there are
[x, y]; TensorFlow arrays are (B, H, W, C), PyTorch arrays (B, C, H, W).
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ptychopinn.physics import (
    DiffractionModel,
    FarField,
    amplitude,
    bilinear_shift,
    detect_patches,
    exit_wave,
    extract_patches,
    support_mask,
    to_detector,
)
from ptychopinn.physics.illumination import normalise_probe
from ptychopinn.physics.scaling import rms_scale

pytestmark = pytest.mark.shared_data
FAR = FarField()


def load(path: Path) -> dict[str, Tensor]:
    """The arrays of one file."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "meta_json"}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


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


def middle(image: Tensor, rows: int) -> Tensor:
    """The central `rows` by `rows` elements."""
    first = (image.shape[-1] - rows) // 2
    return image[..., first : first + rows, first : first + rows]


def object_of(data: dict[str, Tensor]) -> Tensor:
    return data["in_amp"] * torch.exp(1j * data["in_phi"])


@pytest.mark.parametrize("size", [64, 128])
def test_forward_amplitude(forward: Path, size: int) -> None:
    """fftshift(abs(fft2(O P))) / sqrt(H W), both backends; centring the input changes only phases."""
    data = load(forward / f"diffract_N{size}.npz")
    ours = amplitude(FAR(exit_wave(data["in_probe"][None], object_of(data))))
    same(ours, data["tf_pad_and_diffract_noisefree"])
    same(ours, data["tf_X_expected_noisefree"])
    same(ours[:, None], data["torch_pad_and_diffract"])


@pytest.mark.parametrize("size", [64, 128])
def test_forward_model_at_whole_positions(forward: Path, size: int) -> None:
    """The whole model gives the same, the object being its only patch."""
    data = load(forward / f"diffract_N{size}.npz")
    at = torch.full((len(data["in_amp"]), 1, 2), size // 2)
    for rule in ("probe", "bilinear"):
        ours = DiffractionModel(rule)(object_of(data), at, data["in_probe"][None])[:, 0]
        same(ours, data["tf_pad_and_diffract_noisefree"].square())


@pytest.mark.parametrize("size", [64, 128])
def test_photon_scale_of_the_simulation(forward: Path, size: int) -> None:
    """s = sqrt(nphotons / mean over patterns of sum |O P|^2): ours is s times the probe, in sqrt(photons)."""
    data = load(forward / f"diffract_N{size}.npz")
    probe, object_ = data["in_probe"][None], object_of(data)
    scale = rms_scale(amplitude(exit_wave(probe, object_)), 1e6)
    assert scale == pytest.approx(data["tf_intensity_scale"].item(), rel=1e-6)
    assert scale == pytest.approx(data["tf_scale_nphotons"].item(), rel=1e-6)
    photons = detect_patches(object_, scale * probe, FAR)
    assert photons.sum((-2, -1)).mean().item() == pytest.approx(1e6, rel=1e-5)
    same(photons.sqrt() / scale, data["tf_X_expected_noisefree"])


@pytest.mark.parametrize("size", [64, 128])
def test_simulated_counts_are_a_poisson_draw_of_our_intensity(forward: Path, size: int) -> None:
    """sqrt(Poisson((s A)^2)) / s cannot be repeated; (k - lambda)^2 / lambda averages 1 in the light."""
    data = load(forward / f"diffract_N{size}.npz")
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
    data = load(forward / f"diffract_N{size}.npz")
    probe, object_ = data["in_probe"][None], object_of(data)
    scale = rms_scale(amplitude(exit_wave(probe, object_)), 1e5)
    same(scale * probe, data["torch_illuminate_scaled_probe"][0])
    same(detect_patches(object_, scale * probe, FAR), data["torch_illuminate_intensity"])


def test_illuminated_amplitude_of_the_simulation(forward: Path) -> None:
    data = load(forward / "diffract_N64.npz")
    same(object_of(data), data["tf_obj"])
    same(exit_wave(data["in_probe"][None], object_of(data))[:, 0].abs(), data["tf_Y_I_illuminated"])


def test_padded_forward_amplitude(forward: Path) -> None:
    """The central half, zero-padded by N/8 on each side; their factor is that of the size before the padding.

    Ours is unitary on the padded size: sqrt(H W) of 48 instead of 32, so that energy is kept.
    """
    data = load(forward / "diffract_N64.npz")
    padded = torch.nn.functional.pad(middle(object_of(data), 32), (8, 8, 8, 8))
    same(amplitude(FAR(padded[:, None])) * 48 / 32, data["tf_pad_and_diffract_padTrue_halfN"])


def test_divergence_modes_add_as_intensities(forward: Path) -> None:
    """`torch_pad_and_diffract_two_modes` adds the waves of the modes; a detector adds their intensities.

    Ours is larger in one place and smaller in another, and keeps the energy of the modes.
    """
    data = load(forward / "diffract_N64.npz")
    waves, theirs = data["torch_pad_and_diffract_two_modes_in"], data["torch_pad_and_diffract_two_modes"]
    same(to_detector(waves.sum(2)).abs(), theirs)
    ours = amplitude(FAR(waves))
    assert differs(ours, theirs)
    torch.testing.assert_close(ours.square().sum(), waves.abs().square().sum())


def test_translation(forward: Path) -> None:
    """out[y, x] = in[y - dy, x - dx], bilinear, zero outside: both backends, whole and fractional."""
    data = load(forward / "translation.npz")
    shift = data["in_offsets_xy"].flip(-1)
    ours = bilinear_shift(data["in_img"], shift)
    same(ours, data["tf_translate"])
    same(ours, data["torch_Translation"])
    assert differs(bilinear_shift(data["in_img"], -shift), data["tf_translate"])
    assert differs(bilinear_shift(data["in_img"], shift.flip(-1)), data["tf_translate"])


def test_divergence_one_sign_of_translation(forward: Path) -> None:
    """A switch of the earlier system selects a fallback that moves content the other way, borders aside.

    Ours has no switch. Away from the border the fallback is our shift by minus the offset, not by the offset.
    """
    data = load(forward / "translation.npz")
    shift, theirs = data["in_offsets_xy"].flip(-1), data["tf_translate_non_xla_fallback_real"]
    inside = (slice(1, None), slice(6, -6), slice(6, -6))  # the first offset is zero
    image = data["in_img"].real
    same(bilinear_shift(image, -shift)[inside], theirs[inside])
    for ours, other in zip(bilinear_shift(image, shift)[inside], theirs[inside], strict=True):
        assert differs(ours, other)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_extract_patches(forward: Path, gridsize: int) -> None:
    """Window about the canvas centre at minus their offset, our relative position; C is the fast index."""
    data = load(forward / f"patches_gs{gridsize}.npz")
    canvas, offsets = tensorflow_images(data["in_big"])[:, 0], tensorflow_pairs(data["in_offsets"])
    centre = canvas.shape[-1] // 2
    theirs = data["tf_extract_patches_position"][..., 0]
    same(extract_patches(canvas, centre - offsets, (64, 64)).flatten(0, 1), theirs)
    assert differs(extract_patches(canvas, centre + offsets, (64, 64)).flatten(0, 1), theirs)
    assert differs(extract_patches(canvas, centre - offsets.flip(-1), (64, 64)).flatten(0, 1), theirs)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_center_channels(forward: Path, gridsize: int) -> None:
    """Every channel moved by minus its offset (the real part was recorded)."""
    data = load(forward / f"patches_gs{gridsize}.npz")
    patches, offsets = tensorflow_images(data["in_patches"]).real, tensorflow_pairs(data["in_offsets"])
    same(bilinear_shift(patches, -offsets), tensorflow_images(data["tf_center_channels_real"]))


@pytest.mark.parametrize("size", [64, 128])
def test_probe_mask(forward: Path, size: int) -> None:
    """Disk of radius N/4 about ((N-1)/2, (N-1)/2), exactly; torch masks are such disks, smoothed or not."""
    data = load(forward / f"default_probe_N{size}.npz")
    mask = support_mask(size, size / 4)
    assert torch.equal(mask.bool(), data["tf_probe_mask_real"])
    assert torch.equal(support_mask(size, 10), data["torch_hard_mask_d20"])
    for disk, deviation, name in ((mask, 1.0, "default"), (support_mask(size, 10), 0.5, "d20_s0p5")):
        soft = gaussian_filter(disk.numpy(), deviation, truncate=3)
        same(torch.from_numpy(soft), data[f"torch_soft_mask_{name}"])


@pytest.mark.parametrize("size", [64, 128])
def test_default_probe(forward: Path, size: int) -> None:
    """A disk about that centre, smoothed by 1 px, plus 1e-9; its radius, 0.1704 N, is measured."""
    data = load(forward / f"default_probe_N{size}.npz")
    ours = gaussian_filter(support_mask(size, 0.1704 * size).double().numpy(), 1.0) + 1e-9
    same(torch.from_numpy(ours), data["default_probe_scale_0p7"].double())


@pytest.mark.parametrize("size", [64, 128])
def test_tensorflow_probe_normalisation(forward: Path, size: int) -> None:
    """P / (probe_scale mean |mask P|)."""
    data = load(forward / f"diffract_N{size}.npz")
    ours, _ = normalise_probe(data["in_probe"], 10.0, support_mask(size, size / 4))
    same(ours, data["tf_set_probe_guess_normalized"])


def test_torch_probe_normalisation(forward: Path) -> None:
    """The same with scale 4, without a mask or with the soft one; their factor is 1 over our divisor."""
    data = load(forward / "torch_scaling_N64.npz")
    soft = load(forward / "default_probe_N64.npz")["torch_soft_mask_default"]
    for mask, name in ((None, "probe_norm4"), (soft, "probe_norm4_masked")):
        ours, divisor = normalise_probe(data["in_probe"], 4.0, mask)
        same(ours, data[name])
        assert 1 / divisor == pytest.approx(data[f"{name}_factor"].item(), rel=1e-6)


def test_torch_amplitude_normalisation(forward: Path) -> None:
    """Parseval: the mean of sum X^2 becomes N^2, in the scan or in each group; so for the photon scale."""
    data = load(forward / "torch_scaling_N64.npz")
    amplitudes = data["in_X"]
    assert rms_scale(amplitudes, 64.0**2) == pytest.approx(data["rms_Batch_Parseval"].item(), rel=1e-6)
    each = [rms_scale(group, 64.0**2) for group in amplitudes]
    assert each == pytest.approx(data["rms_Group_Parseval"].flatten().tolist(), rel=1e-6)
    assert rms_scale(amplitudes, 1e6) == pytest.approx(data["derive_intensity_scale_1e6"].item(), rel=1e-6)


def test_divergence_one_factor_for_a_scan(forward: Path) -> None:
    """PyTorch has more: 1 / mean(sum X), called physics, and 1 / max(sum X), for the scan or for each group.

    A sum of amplitudes is no number of photons, and with a factor for each group one pattern is scaled
    differently in different groups. Ours has one factor of the scan, by its mean power.
    """
    data = load(forward / "torch_scaling_N64.npz")
    sums = data["in_X"].double().sum((-2, -1))
    for scope, axes in (("Batch", (0, 1)), ("Group", (1,))):
        same(1 / sums.mean(axes), data[f"physics_{scope}_Parseval"].flatten().squeeze())
        same(1 / sums.amax(axes), data[f"physics_{scope}_Max"].flatten().squeeze())
        same(1 / sums.amax(axes), data[f"rms_{scope}_Max"].flatten().squeeze())
    assert len(set(data["rms_Group_Parseval"].flatten().tolist())) == 3
    assert isinstance(rms_scale(data["in_X"], 64.0**2), float)
