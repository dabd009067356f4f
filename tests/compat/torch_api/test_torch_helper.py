"""The older names of the physics against the earlier implementation's numbers.

Tolerance of all float32 physics: 1e-4 of each value plus 1e-5 of the largest.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ptycho_torch import helper

pytestmark = pytest.mark.shared_data


@pytest.fixture
def forward(shared_dir: Path) -> Path:
    return shared_dir / "parity" / "forward"


def load(path: Path) -> dict[str, Tensor]:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "meta_json"}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()), check_dtype=False)


def test_translation(forward: Path) -> None:
    data = load(forward / "translation.npz")
    same(helper.Translation(data["in_img"], data["in_offsets_xy"]), data["torch_Translation"])
    with pytest.raises(ValueError, match="add the jitter to the offsets"):
        helper.Translation(data["in_img"], data["in_offsets_xy"], 1.0)


@pytest.mark.parametrize("size", [64, 128])
def test_pad_and_diffract(forward: Path, size: int) -> None:
    data = load(forward / f"diffract_N{size}.npz")
    wave = data["in_amp"] * torch.exp(1j * data["in_phi"]) * data["in_probe"]
    same(helper.pad_and_diffract(wave[:, None]), data["torch_pad_and_diffract"])


def test_divergence_modes_add_as_intensities(forward: Path) -> None:
    """The earlier function adds the waves of the modes."""
    data = load(forward / "diffract_N64.npz")
    waves, theirs = data["torch_pad_and_diffract_two_modes_in"], data["torch_pad_and_diffract_two_modes"]
    ours = helper.pad_and_diffract(waves)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) > 0.05 * float(theirs.max())
    torch.testing.assert_close(ours.square().sum(), waves.abs().square().sum())


@pytest.mark.parametrize("size", [64, 128])
def test_illuminate_and_diffract(forward: Path, size: int) -> None:
    data = load(forward / f"diffract_N{size}.npz")
    objects = data["in_amp"] * torch.exp(1j * data["in_phi"])
    photons, probe = helper.illuminate_and_diffract(objects, data["in_probe"], 1e5)
    same(photons, data["torch_illuminate_intensity"])
    same(probe, data["torch_illuminate_scaled_probe"][0])


@pytest.mark.parametrize("gridsize", [1, 2])
@pytest.mark.parametrize("weighting", ["central_mask", "uniform", "probe"])
def test_merge_of_a_group(forward: Path, gridsize: int, weighting: str) -> None:
    """With the central mask, 0.001 in the divisor enlarges rounding where the weight is small; there products count."""
    data = load(forward / f"torch_patches_gs{gridsize}.npz")
    theirs = data["out_probe_weighted" if weighting == "probe" else f"out_{weighting}"]
    ours = helper.reassemble_patches_position_real(
        data["in_patches_bchw"], data["in_offsets_bc12"], theirs.shape[-1], weighting, data["in_probe"]
    )
    if weighting == "central_mask":
        central = helper.reassemble_patches_position_real(
            torch.ones_like(data["in_patches_bchw"]), data["in_offsets_bc12"], theirs.shape[-1]
        ).real
        well = central > 0.98  # the weight over itself plus 0.001
        assert well.any()
        ours, theirs = ours[well], theirs[well]
    same(ours, theirs)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_patches_cut_out_of_a_merged_object(forward: Path, gridsize: int) -> None:
    data = load(forward / f"torch_patches_gs{gridsize}.npz")
    ours = helper.extract_channels_from_region(data["out_central_mask"], data["in_offsets_bc12"], 64)
    same(ours, data["out_extract_from_central"])


def test_scales(forward: Path) -> None:
    data = load(forward / "torch_scaling_N64.npz")
    images = data["in_X"]
    assert helper.rms_scaling_constant(images) == pytest.approx(data["rms_Batch_Parseval"].item(), rel=1e-6)
    assert helper.physics_scaling_constant(images) == pytest.approx(data["physics_Batch_Parseval"].item(), rel=1e-4)
    assert helper.derive_intensity_scale_from_amplitudes(images, 1e6) == pytest.approx(
        data["derive_intensity_scale_1e6"].item(), rel=1e-6
    )
    probe, factor = helper.normalize_probe(data["in_probe"], 4.0)
    same(probe, data["probe_norm4"])
    assert factor == pytest.approx(data["probe_norm4_factor"].item(), rel=1e-6)


def test_the_weighting_by_the_probe_needs_one() -> None:
    patches = torch.ones(1, 1, 8, 8, dtype=torch.complex64)
    with pytest.raises(ValueError, match="'probe' needs a probe"):
        helper.reassemble_patches_position_real(patches, torch.zeros(1, 1, 1, 2), 8, "probe")
