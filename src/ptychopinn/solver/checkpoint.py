"""The state of the solver between two iterations, kept so that an interrupted run goes on to the same image."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import open_npz
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError
from ptychopinn.solver.together import Together

_DEVIANCE, _GIVEN = "deviance_of_iterations", "given"


@dataclass(frozen=True)
class SolverCheckpoint:
    """All that the iterations after this one depend on."""

    tensors: Mapping[str, Tensor]
    """What `Solver.snapshot` gave."""
    deviance: tuple[float, ...]
    """Of the iterations that are done."""

    def save(self, path: Path, given: str) -> Path:
        """Write an NPZ file, whole or not at all.

        Args:
            path: of the file; its folder is created.
            given: digest of all that the solver was given.

        Raises:
            OutputError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {name: value.cpu().numpy() for name, value in self.tensors.items()}
        arrays |= {_DEVIANCE: np.array(self.deviance), _GIVEN: np.array(given)}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        return path


def load_checkpoint(path: Path, given: str) -> SolverCheckpoint | None:
    """The state that `save` wrote, on the CPU; None where there is none, or one of other data or settings.

    Raises:
        ScanError: the file is damaged.
    """
    if not path.is_file():
        return None
    with open_npz(path) as file:
        arrays = {name: file[name] for name in file.files}
    try:
        known, deviance = str(arrays.pop(_GIVEN)), arrays.pop(_DEVIANCE)
    except KeyError as error:
        raise ScanError(f"{path}: must be a state of the solver, but {error} is missing; remove the file") from None
    if known != given:
        return None
    return SolverCheckpoint({name: torch.from_numpy(value) for name, value in arrays.items()}, tuple(deviance.tolist()))


class SolverInterrupted(KeyboardInterrupt):
    """Ctrl-C between the first and the last iteration; whoever catches it may keep what was reached.

    Attributes:
        image: of the last complete iteration.
        checkpoint: the state after it.
        together: of several scans, with the doses so far.
    """

    def __init__(self, image: Reconstruction, checkpoint: SolverCheckpoint, together: Together | None = None) -> None:
        super().__init__()
        self.image = image
        self.checkpoint = checkpoint
        self.together = together
