"""Groups of patterns as tensors, in the layout and types of `ptycho.loader.PtychoDataContainer`."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptycho.loader import PtychoDataContainer

if TYPE_CHECKING:
    from torch import Tensor


class PtychoDataContainerTorch:
    """Images (B, H, W, C) and coordinates (B, 1, 2, C) as CPU tensors, made when they are first asked for.

    Args:
        grouped_data: the dictionary of `RawData.generate_grouped_data`, or a container of `ptycho.loader`.
        probe: (H, W) or (modes, H, W) complex; a container brings its own, a dictionary needs one.

    Raises:
        ValueError: a dictionary without a probe.
    """

    def __init__(
        self, grouped_data: Mapping[str, Any] | PtychoDataContainer, probe: NDArray[Any] | None = None
    ) -> None:
        if isinstance(grouped_data, PtychoDataContainer):
            self._container = grouped_data
        elif probe is None:
            raise ValueError("a dictionary of groups has no probe; give PtychoDataContainerTorch(grouped_data, probe)")
        else:
            self._container = PtychoDataContainer.of_groups(grouped_data, np.asarray(probe))

    @cached_property
    def X(self) -> "Tensor":
        """(B, H, W, C) float32, amplitudes; the mean over patterns of sum X^2 is (N/2)^2."""
        return _tensor(self._container.X)

    @cached_property
    def Y(self) -> "Tensor":
        """(B, H, W, C) complex64, ground truth; 1 where there is none."""
        return _tensor(self._container.Y)

    @cached_property
    def local_offsets(self) -> "Tensor":
        """(B, 1, 2, C) float32, (x, y): group mean minus position, px."""
        return _tensor(self._container.local_offsets)

    @cached_property
    def global_offsets(self) -> "Tensor":
        """(B, 1, 2, 1) float32, (x, y): group mean, px."""
        return _tensor(self._container.global_offsets)

    Y_I = property(lambda self: self.Y.abs(), doc="(B, H, W, C) float32, modulus of `Y`.")
    Y_phi = property(lambda self: self.Y.angle(), doc="(B, H, W, C) float32, argument of `Y`, rad.")
    probe = property(lambda self: _tensor(self._container.probe), doc="(H, W) or (modes, H, W) complex64.")
    coords_nominal = property(lambda self: self.local_offsets, doc="The same values as `local_offsets`.")
    coords = coords_true = coords_relative = coords_nominal
    nn_indices = property(lambda self: _tensor(self._container.nn_indices), doc="(B, C) int32, into the scan.")
    norm_Y_I = property(lambda self: _tensor(np.float32(self._container.norm_Y_I)), doc="(), see `ptycho.loader`.")
    scan = property(
        lambda self: self._container.scan, doc="The patterns of the groups, each once; see `ptycho.loader`."
    )

    @property
    def YY_full(self) -> "Tensor | None":
        """(Y, X) complex64, the object, where it is known."""
        return None if self._container.YY_full is None else _tensor(self._container.YY_full)

    def to_npz(self, file_path: str | Path) -> Path:
        """As `ptycho.loader.PtychoDataContainer.to_npz`."""
        return self._container.to_npz(file_path)

    def __len__(self) -> int:
        return len(self._container)

    def __repr__(self) -> str:
        return f"PtychoDataContainerTorch of {self._container!r}"


def _tensor(values: NDArray[Any] | np.generic) -> "Tensor":
    import torch

    return torch.from_numpy(np.array(values))
