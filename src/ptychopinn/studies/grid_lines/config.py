"""What a grid-lines data set is made of."""

from typing import Literal

from pydantic import Field, model_validator

from ptychopinn.config.base import Section
from ptychopinn.studies.grid_lines.layout import GridLayout


class GridLinesConfig(Section):
    """Object, scan, beam and dose of a grid-lines data set, under the names that the study has published them by."""

    N: int = Field(default=64, ge=8, le=2048)
    """Rows and columns of a pattern, px."""
    gridsize: int = Field(default=1, ge=1, le=16)
    """Patterns along each axis of a group."""
    size: int = Field(default=392, ge=16, le=8192)
    """Rows and columns of the object, px."""
    offset: int = Field(default=4, ge=1)
    """Distance of neighbouring patterns of a group, px."""
    outer_offset_train: int = Field(default=16, ge=2, multiple_of=2)
    """Twice the distance of neighbouring groups in the training data, px."""
    outer_offset_test: int = Field(default=20, ge=2, multiple_of=2)
    """Twice the distance of neighbouring groups in the test data, px."""
    nimgs_train: int = Field(default=2, ge=1)
    """Objects in the training data."""
    nimgs_test: int = Field(default=1, ge=1)
    """Objects in the test data."""
    nphotons: float = Field(default=1e9, gt=0, le=1e15)
    """Expected counts in a pattern, in the mean over the training data."""
    set_phi: bool = False
    """Give the objects a phase that follows their modulus; without it the phase is 0."""
    probe_npz: str | None = None
    """File that holds the probe; without it, and without a probe given by hand, the ideal disk."""
    probe_scale_mode: Literal["interpolate", "pad_preserve", "pad_extrapolate", "pipeline"] = "pad_preserve"
    """How the probe is brought to N px; see `ptychopinn.simulation.probe_transforms`."""
    probe_smoothing_sigma: float = Field(default=0.5, ge=0)
    """Gaussian on the modulus and on the phase of the probe, px; a pipeline does not use it."""
    probe_transform_pipeline: str | None = None
    """Steps for the scale mode `pipeline`, as in `smooth:0.5|pad:64`."""
    probe_mask_diameter: float | None = Field(default=None, gt=0)
    """Outside a centred disk of it, px, the probe is zero; without it nothing is cut."""
    seed: int = Field(default=42, ge=0)
    """Fixes objects and counts."""
    object_seeds: tuple[int, int] | None = None
    """Seeds of the training and of the test objects by hand; legacy PtychoPINN always has 1 and 2."""
    shuffle_seed: int | None = Field(default=0, ge=0, le=2**32 - 1)
    """Fixes the order of the training groups, 0 as in legacy PtychoPINN; none keeps the order of the scan."""

    @model_validator(mode="after")
    def _groups_fit(self) -> "GridLinesConfig":
        self.layout("train")
        self.layout("test")
        return self

    def layout(self, split: Literal["train", "test"]) -> GridLayout:
        """Where the patterns of one part lie."""
        outer = self.outer_offset_train if split == "train" else self.outer_offset_test
        return GridLayout(self.N, self.gridsize, self.offset, outer // 2, self.size)
