"""The physics under its legacy names, in the PyTorch layout: images (B, C, H, W), pairs [x, y] as (B, C, 1, 2).

Each is a line or two of `ptychopinn.physics`.
"""

from typing import Literal

import torch
from torch import Tensor

from ptychopinn.physics import DiffractionModel, amplitude, bilinear_shift, centred_part, exit_wave, patch_weight
from ptychopinn.physics.illumination import normalise_probe
from ptychopinn.physics.legacy import merge_shifted
from ptychopinn.physics.scaling import rms_scale


def Translation(img: Tensor, offset: Tensor, jitter_amt: float = 0.0) -> Tensor:
    """Images (..., H, W) moved by (dx, dy) px: bilinear, zero outside; out[y, x] = in[y - dy, x - dx]; no jitter.

    Raises:
        ValueError: a jitter, which would need a random generator.
    """
    if jitter_amt:
        raise ValueError(f"jitter_amt is {jitter_amt}; add the jitter to the offsets instead")
    return bilinear_shift(img, offset.flip(-1).to(img.real.dtype))


def pad_and_diffract(wave: Tensor) -> Tensor:
    """Amplitude (B, C, H, W) at the detector of exit waves (B, C, H, W), or (B, C, M, H, W) of M incoherent modes."""
    modes = wave if wave.ndim == 5 else wave.unsqueeze(2)
    return amplitude(DiffractionModel().propagator(modes))


def illuminate_and_diffract(objects: Tensor, probe: Tensor, nphotons: float) -> tuple[Tensor, Tensor]:
    """Expected photons of objects (B, H, W) under a probe (M, H, W) or (H, W), `nphotons` in the mean; the probe so."""
    modes = probe if probe.ndim == 3 else probe[None]
    scaled = modes * rms_scale(amplitude(exit_wave(modes, objects)), nphotons)
    return DiffractionModel().photons(objects, scaled), scaled


def trim_reconstruction(image: Tensor, N: int) -> Tensor:
    """The central N by N elements of images (..., Y, X)."""
    part: Tensor = centred_part(image, (N, N))
    return part


def reassemble_patches_position_real(
    patches: Tensor,
    offsets: Tensor,
    padded_size: int,
    weighting: Literal["central_mask", "uniform", "probe"] = "central_mask",
    probe: Tensor | None = None,
) -> Tensor:
    """Merge the complex patches (B, C, H, W) of each group on a canvas (B, Y, Y) about the group's centre.

    Args:
        offsets: (B, C, 1, 2), `coords_relative`: group centre minus position.
        padded_size: Y; what lies beyond is lost, unlike in `ptychopinn.physics.merge_group`, which refuses.
        weighting: the central half, divided by its sum + 0.001 (`central_mask`) or by its sum (`uniform`); or the
            intensity of `probe`, (H, W) or (M, H, W), without which there is a `ValueError`.

    Raises:
        ValueError: the weighting `probe` without a probe.
    """
    epsilon = 1e-3 if weighting == "central_mask" else 1e-20
    merged, total = merge_shifted(patches, _weight(patches, weighting, probe), -_pairs(offsets), padded_size, epsilon)
    return merged * (total > 1e-6 * total.max()) if weighting == "probe" else merged


def extract_channels_from_region(image: Tensor, offsets: Tensor, N: int) -> Tensor:
    """Patches (B, C, N, N) cut out of merged images (B, Y, Y) at the places of `offsets`, see above."""
    return trim_reconstruction(bilinear_shift(image[:, None], _pairs(offsets)), N)


def normalize_probe(probe: Tensor, probe_scale: float, mask: Tensor | None = None) -> tuple[Tensor, float]:
    """Probe over `probe_scale * mean(|mask * probe|)`, and the factor that was applied."""
    normalised, divisor = normalise_probe(probe, probe_scale, mask)
    return normalised, 1 / divisor


def rms_scaling_constant(amplitudes: Tensor) -> float:
    """Factor that makes the mean over patterns (..., N, N) of the summed squared amplitude N squared."""
    return rms_scale(amplitudes, float(amplitudes.shape[-1]) ** 2)


def physics_scaling_constant(amplitudes: Tensor) -> float:
    """One over the mean over patterns (..., N, N) of the summed amplitude."""
    return float(1 / amplitudes.double().sum((-2, -1)).mean())


def derive_intensity_scale_from_amplitudes(amplitudes: Tensor, nphotons: float) -> float:
    """Factor that makes the mean over patterns (..., N, N) of the summed squared amplitude `nphotons`."""
    return rms_scale(amplitudes, nphotons)


def _weight(patches: Tensor, weighting: str, probe: Tensor | None) -> Tensor:
    if weighting != "probe":
        return patch_weight("central", torch.ones_like(patches[0, :1]))
    if probe is None:
        raise ValueError("the weighting 'probe' needs a probe; give it, or choose 'central_mask' or 'uniform'")
    return patch_weight("probe", probe.reshape(-1, *probe.shape[-2:]))


def _pairs(offsets: Tensor) -> Tensor:
    """(B, C, 1, 2) of [x, y] as (B, C, 2) of (y, x)."""
    return offsets[:, :, 0].flip(-1)
