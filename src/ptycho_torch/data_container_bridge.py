"""Groups of patterns as tensors, in the layout and types of `ptycho.loader.PtychoDataContainer`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptycho.loader import PtychoDataContainer

if TYPE_CHECKING:
    from torch import Tensor


def _part(name: str, doc: str) -> Any:
    """The array of that name of the container as a tensor, made when it is first asked for."""

    def tensor(self: "PtychoDataContainerTorch") -> "Tensor | None":
        import torch

        if name not in self._tensors:
            value = getattr(self._container, name)
            kind = np.float32 if isinstance(value, float) else None
            self._tensors[name] = None if value is None else torch.from_numpy(np.array(value, kind))
        return self._tensors[name]

    return property(tensor, doc=doc)


class PtychoDataContainerTorch:
    """Images (B, H, W, C) and coordinates (B, 1, 2, C) as CPU tensors, made when they are first asked for.

    Args:
        grouped_data: the dictionary of `RawData.generate_grouped_data`, or a container of `ptycho.loader`.
        probe: (H, W) or (modes, H, W) complex, for a dictionary; a container brings its own.

    Raises:
        ValueError: a dictionary without a probe.
    """

    def __init__(
        self, grouped_data: Mapping[str, Any] | PtychoDataContainer, probe: NDArray[Any] | None = None
    ) -> None:
        self._tensors: dict[str, Tensor | None] = {}
        if isinstance(grouped_data, PtychoDataContainer):
            self._container = grouped_data
        elif probe is None:
            raise ValueError("a dictionary of groups has no probe; give PtychoDataContainerTorch(grouped_data, probe)")
        else:
            self._container = PtychoDataContainer.of_groups(grouped_data, np.asarray(probe))

    X = _part("X", "(B, H, W, C) float32, amplitudes; the mean over patterns of sum X^2 is (N/2)^2.")
    Y = _part("Y", "(B, H, W, C) complex64, ground truth; 1 where there is none.")
    Y_I = _part("Y_I", "(B, H, W, C) float32, modulus of `Y`.")
    Y_phi = _part("Y_phi", "(B, H, W, C) float32, argument of `Y`, rad.")
    YY_full = _part("YY_full", "(Y, X) complex64, the object, where it is known.")
    local_offsets = _part("local_offsets", "(B, 1, 2, C) float32, (x, y): group mean minus position, px.")
    global_offsets = _part("global_offsets", "(B, 1, 2, 1) float32, (x, y): group mean, px.")
    coords = coords_nominal = coords_true = coords_relative = local_offsets
    probe = _part("probe", "(H, W) or (modes, H, W) complex64.")
    nn_indices = _part("nn_indices", "(B, C) int32, into the scan.")
    norm_Y_I = _part("norm_Y_I", "(), see `ptycho.loader`.")
    scan = property(
        lambda self: self._container.scan, doc="The patterns of the groups, each once; see `ptycho.loader`."
    )

    def to_npz(self, file_path: str | Path) -> Path:
        """As `ptycho.loader.PtychoDataContainer.to_npz`."""
        return self._container.to_npz(file_path)

    def __len__(self) -> int:
        return len(self._container)

    def __repr__(self) -> str:
        return f"PtychoDataContainerTorch of {self._container!r}"
