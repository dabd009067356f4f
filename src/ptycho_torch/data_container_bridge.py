"""Groups of patterns as tensors in the layout of the PyTorch workflows."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptycho.loader import PtychoDataContainer
from ptychopinn.data import Scan

if TYPE_CHECKING:
    from torch import Tensor


class PtychoDataContainerTorch:
    """Images (B, C, H, W) and coordinates (B, C, 1, 2) as CPU tensors, made when they are first asked for.

    Args:
        grouped_data: the dictionary of `RawData.generate_grouped_data`, or a container of `ptycho.loader`.
        probe: (H, W) or (modes, H, W) complex; a container brings its own.

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
            self._container = PtychoDataContainer(grouped_data, np.asarray(probe))

    @cached_property
    def X(self) -> "Tensor":
        """(B, C, H, W) float32, amplitudes; the mean over patterns of sum X^2 is (N/2)^2."""
        return _images(self._container.X)

    @cached_property
    def Y(self) -> "Tensor":
        """(B, C, H, W) complex64, ground truth; 1 where there is none."""
        return _images(self._container.Y)

    @property
    def Y_I(self) -> "Tensor":
        """(B, C, H, W) float32, modulus of `Y`."""
        return self.Y.abs()

    @property
    def Y_phi(self) -> "Tensor":
        """(B, C, H, W) float32, argument of `Y`, rad."""
        return self.Y.angle()

    @property
    def probe(self) -> "Tensor":
        """(H, W) or (modes, H, W) complex64."""
        return _tensor(self._container.probe)

    @cached_property
    def local_offsets(self) -> "Tensor":
        """(B, C, 1, 2) float32, (x, y): group mean minus position, px."""
        return _coordinates(self._container.local_offsets)

    @cached_property
    def global_offsets(self) -> "Tensor":
        """(B, 1, 1, 2) float32, (x, y): group mean, px."""
        return _coordinates(self._container.global_offsets)

    @property
    def coords_nominal(self) -> "Tensor":
        """The same values as `local_offsets`."""
        return self.local_offsets

    @property
    def coords_true(self) -> "Tensor":
        """The same values as `local_offsets`."""
        return self.local_offsets

    @property
    def nn_indices(self) -> "Tensor":
        """(B, C) int64, into the scan."""
        return _tensor(self._container.nn_indices)

    @property
    def norm_Y_I(self) -> "Tensor":
        """() float32: factor that gives `X` the photons of `params.cfg["nphotons"]` per pattern."""
        return _tensor(np.float32(self._container.norm_Y_I))

    @property
    def scan(self) -> Scan:
        """The patterns of the groups, each once.

        Raises:
            ScanError: the dictionary came without its scan.
        """
        return self._container.scan

    def __len__(self) -> int:
        return len(self._container)

    def __repr__(self) -> str:
        return f"PtychoDataContainerTorch of {self._container!r}"


def _images(values: NDArray[Any]) -> "Tensor":
    """(B, H, W, C) to (B, C, H, W)."""
    return _tensor(np.moveaxis(np.asarray(values), -1, 1))


def _coordinates(values: NDArray[Any]) -> "Tensor":
    """(B, 1, 2, C) to (B, C, 1, 2)."""
    return _tensor(np.asarray(values).transpose(0, 3, 1, 2))


def _tensor(values: NDArray[Any] | np.generic) -> "Tensor":
    import torch

    return torch.from_numpy(np.array(values))
