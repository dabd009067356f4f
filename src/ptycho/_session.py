"""What one process remembers between calls, because clients do not hand it on: the model and the probe."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import BundleError

if TYPE_CHECKING:
    from ptycho.model import TrainedModel


@dataclass
class Session:
    """State of a process; only `session` below is one.

    Args:
        model: trained or loaded last.
        probe: (modes, H, W), sqrt(photons), set by hand since then.
        history: losses of the training that made the model; empty where it was loaded.
    """

    model: "TrainedModel | None" = None
    probe: NDArray[np.complex64] | None = None
    history: dict[str, list[float]] = field(default_factory=dict)

    def hold(self, model: "TrainedModel", history: dict[str, list[float]] | None = None) -> None:
        """Make this the model of the process; a probe set for another one is forgotten."""
        self.model, self.history, self.probe = model, history or {}, None

    def held(self) -> "TrainedModel":
        """The model of the process; a `BundleError` where none was trained or loaded yet."""
        if self.model is None:
            raise BundleError("no model was trained or loaded in this process; train or load one first")
        return self.model


session = Session()
