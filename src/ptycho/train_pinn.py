"""Training of a container under the legacy names."""

from typing import Any

from ptycho._groups import amplitude_factor
from ptycho.config.config import TrainingConfig
from ptycho.loader import PtychoDataContainer
from ptycho.workflows.components import train_cdi_model


def calculate_intensity_scale(ptycho_data_container: PtychoDataContainer) -> float:
    """Factor that takes the normalised `X` of a container back to sqrt(photons)."""
    table = ptycho_data_container.table
    if table is None:
        return ptycho_data_container.norm_Y_I
    return 1 / amplitude_factor(table.scan, table.index)


def train(train_data: Any, config: TrainingConfig) -> dict[str, Any]:
    """Train on the patterns of a container; as `ptycho.workflows.components.train_cdi_model` without test data."""
    return train_cdi_model(train_data, None, config)
