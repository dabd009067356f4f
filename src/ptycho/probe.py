"""The probe of the session, under the legacy names."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptycho import params as settings
from ptycho.model import session
from ptychopinn.physics import support_mask
from ptychopinn.physics.illumination import normalise_probe
from ptychopinn.simulation.probe_transforms import ideal_disk


def set_probe_guess(X_train: Any = None, probe_guess: NDArray[Any] | None = None) -> None:
    """Set the probe with which the next patterns are reconstructed.

    A probe that was fitted in training wins over it. `params.cfg["probe"]` gets the probe divided by
    `probe_scale * mean(|mask * probe|)`. `X_train` has no effect; `probe_guess` is (H, W), (H, W, 1) or (modes, H, W)
    complex, sqrt(photons), or None for the scan's own.

    Args:
        X_train: not used.
        probe_guess: (H, W), (H, W, 1) or (modes, H, W) complex, sqrt(photons); None goes back to the scan's own.

    Raises:
        ValueError: another shape.
    """
    session.probe = None if probe_guess is None else as_modes(np.asarray(probe_guess))
    settings.cfg["probe"] = None if session.probe is None else _normalised(session.probe)


def set_probe(probe: NDArray[Any]) -> None:
    """The same as `set_probe_guess(None, probe)`."""
    set_probe_guess(None, probe)


def get_default_probe(N: int, fmt: str = "tf") -> NDArray[np.complex64]:
    """The disk that stands for an unknown probe, smoothed by 1 px: (N, N, 1) for `tf`, (N, N) for `np`.

    Raises:
        ValueError: another format.
    """
    if fmt not in ("tf", "np"):
        raise ValueError(f"fmt must be 'tf' or 'np', got {fmt!r}")
    disk = ideal_disk(N)
    return disk[..., None] if fmt == "tf" else disk


def set_default_probe() -> None:
    """Set the disk of `get_default_probe` for patterns of `settings.cfg["N"]` px."""
    set_probe_guess(None, get_default_probe(int(settings.get("N")), "np"))


def get_probe(params: Mapping[str, Any] | None = None) -> NDArray[np.complex64]:
    """(H, W), or (modes, H, W): the probe as `set_probe_guess` normalised it, in the dictionary given or in `cfg`.

    Raises:
        KeyError: none was set.
    """
    probe: NDArray[np.complex64] | None = (settings.cfg if params is None else params).get("probe")
    if probe is None:
        raise KeyError("no probe was set; call ptycho.probe.set_probe_guess(None, probe) first")
    return probe


def get_probe_mask(N: int) -> NDArray[np.float32]:
    """(N, N): 1 inside a disk of radius N/4 about ((N-1)/2, (N-1)/2), 0 outside."""
    return support_mask(N, N / 4).numpy()


def as_modes(probe: NDArray[Any]) -> NDArray[np.complex64]:
    """(modes, H, W) of a probe (H, W), (H, W, 1) or (modes, H, W); a `ValueError` for another shape.

    Raises:
        ValueError: another shape.
    """
    if probe.ndim == 3 and probe.shape[-1] == 1:
        probe = probe[..., 0]
    modes = probe[None] if probe.ndim == 2 else probe
    if modes.ndim != 3 or modes.shape[1] != modes.shape[2]:
        raise ValueError(f"the probe must be square, (H, W), (H, W, 1) or (modes, H, W), got {probe.shape}")
    return np.ascontiguousarray(modes, dtype=np.complex64)


def _normalised(modes: NDArray[np.complex64]) -> NDArray[np.complex64]:
    scale, size = float(settings.cfg.get("probe_scale", 0)), modes.shape[-1]
    probe = torch.from_numpy(modes)
    if scale > 0:
        probe, _ = normalise_probe(probe, scale, support_mask(size, size / 4))
    return (probe[0] if len(probe) == 1 else probe).numpy()
