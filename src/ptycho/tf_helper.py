"""Shifts, patches and reassembly under the legacy names; images (B, H, W, C), offsets (B, 1, 2, C) of (x, y)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptycho import params
from ptycho._annotated import Table, annotation_of
from ptycho.model import Prediction, central_stitch
from ptychopinn import physics
from ptychopinn.config import ReconstructionConfig
from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import legacy
from ptychopinn.reconstruction import ScanStitcher


def translate(imgs: NDArray[Any], offsets: NDArray[Any]) -> NDArray[Any]:
    """Images (B, H, W) or (B, H, W, C) moved by (dx, dy), bilinear, zero outside: out[y, x] = in[y - dy, x - dx].

    `imgs` may be real or complex; `offsets` (B, 2) are the same for all channels of an image.

    Args:
        imgs: real or complex.
        offsets: (B, 2), the same for all channels of an image.
    """
    images = np.asarray(imgs)
    shifts = np.asarray(offsets)[:, None, None]
    moved = center_channels(images if images.ndim == 4 else images[..., None], -shifts)
    return moved if images.ndim == 4 else moved[..., 0]


def center_channels(channels: NDArray[Any], offsets_xy: NDArray[Any]) -> NDArray[Any]:
    """Every channel (B, H, W, C) moved by minus its offset, so that what the group shares lies in one place."""
    return channels_last(physics.bilinear_shift(groups_first(channels), -_yx(offsets_xy).float()))


def extract_patches_position(imgs: NDArray[Any], offsets_xy: NDArray[Any], jitter: float = 0.0) -> NDArray[Any]:
    """Windows of `params.cfg["N"]` px of canvases (B, Y, X, 1) at their centre minus the offsets (B, 1, 2, C).

    Returns (B * C, N, N, 1), the channels of one canvas after each other; `jitter` has no effect. A `ValueError` where
    a window leaves its canvas.

    Args:
        imgs: canvases.
        offsets_xy: (B, 1, 2, C).
        jitter: not used; positions are what they are.

    Returns:
        (B * C, N, N, 1), the channels of one canvas after each other.

    Raises:
        ValueError: a window leaves its canvas.
    """
    canvas, size = groups_first(imgs)[:, 0], int(params.get("N"))
    try:
        patches = physics.extract_patches(canvas, canvas.shape[-1] // 2 - _yx(offsets_xy), (size, size))
    except PtychoPINNError as error:
        raise ValueError(f"extract_patches_position: {error}") from None
    return patches.flatten(0, 1)[..., None].numpy()


def reassemble_patches(channels: NDArray[Any], offsets_xy: NDArray[Any]) -> NDArray[Any]:
    """Patches (B, N, N, C) of each group merged on (B, R, R, 1), R = `params.get("padded_size")`.

    The quotient of `ptychopinn.physics.legacy.merged_sums`; the models here merge by `ptychopinn.physics.merge_group`.
    """
    placed, weight = _merged_sums(channels, offsets_xy)
    return physics.average(placed, weight, fill=0, epsilon=legacy.EPSILON)[..., None].numpy()


def mk_norm(channels: NDArray[Any], offsets_xy: NDArray[Any]) -> NDArray[np.float32]:
    """(B, R, R, 1): what `reassemble_patches` divides by."""
    return (_merged_sums(channels, offsets_xy)[1] + legacy.EPSILON)[..., None].numpy()


def trim_reconstruction(x: NDArray[Any], N: int | None = None) -> NDArray[Any]:
    """The central N px, `params.cfg["N"]` by default, of images (B, H, W, C)."""
    return _middle(np.asarray(x), int(params.get("N")) if N is None else N)


def pad_and_diffract(input: NDArray[Any], h: int, w: int, pad: bool = True) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Exit waves (B, h, w, C) and their amplitudes at the detector, fftshift(abs(fft2)) / sqrt(h w).

    With `pad`, zeros of a quarter of the size are added on every side first; both results are as large.

    Args:
        input: complex exit waves.
        h: rows.
        w: columns.
        pad: add zeros of a quarter of the size on every side first.

    Returns:
        The padded waves, and amplitudes of the same shape.
    """
    waves = np.asarray(input)
    if pad:
        waves = np.pad(waves, ((0, 0), (h // 4, h // 4), (w // 4, w // 4), (0, 0)))
    factor = np.float32(np.sqrt(waves.shape[1] * waves.shape[2] / (h * w)))
    return waves, channels_last(physics.DiffractionModel().propagator(groups_first(waves)).abs()) * factor


def shift_and_sum(obj_tensor: NDArray[Any], global_offsets: NDArray[Any], M: int = 20) -> NDArray[np.complex64]:
    """Sum of the central M px of patches, each moved by +(offset - mean offset); arguments and shape as below."""
    return _shifted_sums(obj_tensor, global_offsets, M)[0][..., None].numpy()


def reassemble_position(obj_tensor: NDArray[Any], global_offsets: NDArray[Any], M: int = 20) -> NDArray[np.complex64]:
    """One image (Y, X, 1), complex64, of predicted patches.

    The offsets of a container remember their scan: patches go to their own positions, the result has exactly the
    frame of the scan's object guess, each pattern counts once, and where the steps are wider than the window, patches
    weighted by the probe fill what would be holes; 1 where nothing was measured. Plain offsets give the quotient of
    `ptychopinn.physics.legacy.shift_and_sum`.

    Args:
        obj_tensor: (B, N, N, C) complex, of which the central M px count.
        global_offsets: (B, 1, 2, C), or (B, 1, 1, 2) for one channel, (x, y), px; else a `ValueError`.

    Returns:
        (Y, X, 1) complex64.

    Raises:
        ValueError: shapes that do not fit.
    """
    table = annotation_of(global_offsets, Table)
    if table is not None:
        return _stitched(np.asarray(obj_tensor), table, annotation_of(obj_tensor, Prediction), M)
    return physics.average(*_shifted_sums(obj_tensor, global_offsets, M), fill=0, epsilon=1e-9)[..., None].numpy()


def _stitched(
    patches: NDArray[Any], table: Table, prediction: Prediction | None, window_px: int
) -> NDArray[np.complex64]:
    if patches.shape[:1] + patches.shape[3:] != table.index.shape:
        raise ValueError(f"patches have shape {patches.shape}; the offsets belong to (B, C) = {table.index.shape}")
    prediction = prediction or _of_the_scan(table)
    flat = np.moveaxis(patches, -1, 1).reshape(-1, *patches.shape[1:3])[prediction.rows]
    stitcher = ScanStitcher(table.scan, central_stitch(prediction.config, window_px))
    parts = flat.astype(np.complex64, copy=False), prediction.power, prediction.positions_px
    stitcher.add(*map(torch.from_numpy, parts))
    maker = prediction.reconstructor
    object_ = stitcher.finish()[0] if maker is None else maker.image_of(stitcher).object_
    return object_[..., None]


def _of_the_scan(table: Table) -> Prediction:
    """For patches that do not come from a model here: the scan's probe, whole positions, each pattern once."""
    members, rows = np.unique(table.index, return_index=True)
    model = physics.DiffractionModel()
    whole, remainder = model.split(torch.from_numpy(table.scan.positions_px[members]))
    probes = model.probes(torch.from_numpy(table.scan.probe), remainder)
    return Prediction(rows, physics.intensity(probes).numpy(), whole.numpy(), ReconstructionConfig())


def _shifted_sums(obj_tensor: NDArray[Any], global_offsets: NDArray[Any], M: int) -> tuple[Tensor, Tensor]:
    patches = groups_first(_middle(np.asarray(obj_tensor), M)).to(torch.complex64)
    offsets = _yx(global_offsets)
    if offsets.shape[:2] != patches.shape[:2]:
        raise ValueError(
            f"there must be one offset for each patch, (B, 1, 2, C), got {np.shape(global_offsets)} for patches "
            f"{np.shape(obj_tensor)}; or give the offsets of a container"
        )
    return legacy.shift_and_sum(patches, offsets)


def _merged_sums(channels: NDArray[Any], offsets_xy: NDArray[Any]) -> tuple[Tensor, Tensor]:
    return legacy.merged_sums(groups_first(channels), _yx(offsets_xy).float(), int(params.get("padded_size")))


def groups_first(images: NDArray[Any]) -> Tensor:
    """(B, H, W, C) to (B, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(images), -1, 1)))


def channels_last(images: Tensor) -> NDArray[Any]:
    """(B, C, H, W) to (B, H, W, C)."""
    return np.moveaxis(images.numpy(), 1, -1)


def _yx(offsets: NDArray[Any]) -> Tensor:
    """(B, 1, 2, C), or (B, 1, 1, 2), of (x, y) to (B, C, 2) of (y, x)."""
    pairs = np.asarray(offsets)
    if pairs.ndim != 4 or pairs.shape[1] != 1 or 2 not in pairs.shape[2:]:
        raise ValueError(f"offsets must have shape (B, 1, 2, C), or (B, 1, 1, 2), got {pairs.shape}")
    pairs = pairs[:, 0] if pairs.shape[2] == 1 else pairs[:, 0].transpose(0, 2, 1)
    return torch.from_numpy(np.ascontiguousarray(pairs[..., ::-1]))


def _middle(images: NDArray[Any], size: int) -> NDArray[Any]:
    """The central `size` rows and columns of (B, H, W, C)."""
    first = [max(0, (length - size) // 2) for length in images.shape[1:3]]
    return images[:, first[0] : first[0] + size, first[1] : first[1] + size]
