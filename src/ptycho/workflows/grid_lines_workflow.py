"""The settings of the grid-lines study under the legacy name."""

from pathlib import Path

from pydantic import Field

from ptychopinn.studies.grid_lines.config import GridLinesConfig as DataSettings


class GridLinesConfig(DataSettings):
    """What the data are made of, and how the study trains on them."""

    output_dir: Path | None = None
    """Folder below which `datasets/N{N}/gs{gridsize}` is made."""
    nepochs: int = Field(default=60, ge=1)
    """Epochs of training."""
    batch_size: int = Field(default=16, ge=1)
    """Groups in a batch."""
    nll_weight: float = Field(default=0.0, ge=0)
    """Weight of the Poisson term."""
    mae_weight: float = Field(default=1.0, ge=0)
    """Weight of the mean error of the amplitudes."""
    realspace_weight: float = Field(default=0.0, ge=0)
    """Weight of the real-space terms."""

    def data(self) -> DataSettings:
        """The part that the core's simulator takes."""
        return DataSettings.model_validate(self.model_dump(include=set(DataSettings.model_fields)))
