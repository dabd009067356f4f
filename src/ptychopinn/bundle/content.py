"""What a loaded bundle holds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.bundle.manifest import Manifest
from ptychopinn.config import Recipe
from ptychopinn.config.backend import Backend

PROBE = "probe"
MODELS = ("autoencoder", "diffraction_to_obj")
"""The training and the inference model: two views of the one weights file."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model as it was loaded, every byte of it checked."""

    recipe: Recipe
    """The whole recipe, with its fitted statistics."""
    state: dict[str, torch.Tensor]
    """Weights by their names in PyTorch, on the CPU; of several backends those of the one that runs the model."""
    probe: NDArray[np.complex64]
    """(M, H, W), sqrt(photons): the probe that the model was trained with."""
    manifest: Manifest
    """Versions, backend, model names and hashes."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Further arrays."""
    params: dict[str, Any] = field(default_factory=dict)
    """The client's own dictionary, where one was saved."""
    optimizer: dict[str, torch.Tensor] | None = None
    """State of the optimiser, where it was saved."""
    path: Path | None = None
    """Where it came from, for messages."""
    origin: "Origin | None" = None
    """What the earlier implementation wrote, where it did."""

    states: dict[Backend, dict[str, torch.Tensor]] = field(default_factory=dict)
    """The same of each backend whose weights the file holds."""

    @property
    def backend(self) -> Backend:
        """The backend that trained the model."""
        return self.manifest.backend if self.origin is None else self.origin.backend


@final
@dataclass(frozen=True)
class Origin:
    """An archive of the earlier implementation, of which a bundle was made in memory."""

    backend: Backend
    """That trained the model."""
    kind: str
    """The file in words, such as `TensorFlow archive of the earlier implementation`."""
