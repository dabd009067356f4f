"""Seeds of the scans and settings of the training that make a prior; the defaults made the one in the wheel."""

from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from ptychopinn.config.base import Section, explain
from ptychopinn.errors import ConfigError, shown
from ptychopinn.prior import PriorRecipe


class Stage(Section):
    """A part of the training, with the examples that it draws from: the first ones of each kind."""

    until: int = Field(ge=1)
    """Steps of the optimiser in all at its end."""
    scans: int = Field(ge=0, le=1_000_000)
    """Simulated scans that were solved."""
    noised: int = Field(ge=0, le=1_000_000)
    """Pictures with white or coloured noise instead of a scan; much cheaper than scans."""
    balanced: bool = False
    """Divide the weight of each example by its loss without a prior: the relative gain counts, and scans that were not
    solved do not outweigh the others."""


class PriorSettings(Section):
    """Settings of `ptychopinn train-prior`."""

    prior: PriorRecipe = Field(default=PriorRecipe(levels=4, width=24, local_mean_px=6))
    """Architecture and scales of the prior."""
    first_seed: int = Field(default=5_000_000, ge=0, lt=2**31)
    """Seed of the first scan; the others follow."""
    stages: tuple[Stage, ...] = Field(
        default=(
            Stage(until=6000, scans=0, noised=3000),
            Stage(until=13_000, scans=600, noised=800),
            Stage(until=44_000, scans=1200, noised=2000, balanced=True),
            Stage(until=70_000, scans=2200, noised=2000, balanced=True),
        ),
        min_length=1,
    )
    """Parts of the training, one after the other."""
    kept_back: int = Field(default=24, ge=1, le=10_000)
    """Further scans, before the first seed, that training does not see; they score the network."""
    batch: int = Field(default=4, ge=1, le=256)
    """Crops in one step."""
    crop_px: int = Field(default=96, ge=32, le=512)
    """Side of a crop; smaller images are padded."""
    learning_rate: float = Field(default=2e-3, gt=0, le=0.1)
    """Largest learning rate of the first cycle. In each cycle it rises over 200 steps and falls along a cosine."""
    cycles: tuple[int, ...] = Field(default=(36_000, 70_000), min_length=1)
    """Steps of the optimiser in all at the end of each cycle of the learning rate; each has 0.6 of the rate before."""
    cool_from: int | None = Field(default=None, ge=0)
    """Step from which the learning rate also falls in proportion to the steps that are left, where a training ends
    before its last cycle does; null without that."""
    half_until: int = Field(default=69_500, ge=0)
    """Steps that compute in bfloat16, which takes half the time; the later ones compute in float32."""
    average: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the moving average of the weights, which is the result."""
    robust_sigma: float = Field(default=4.0, gt=0)
    """Errors beyond this, in sigma, count linearly."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of the initial weights and of the crops."""

    @property
    def steps(self) -> int:
        """Steps of the optimiser in all."""
        return self.stages[-1].until

    @model_validator(mode="after")
    def _stages_follow_one_another(self) -> "PriorSettings":
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)):
            raise ValueError(f"the stages must end after more and more steps, got {ends}")
        if list(self.cycles) != sorted(set(self.cycles)) or self.cycles[-1] < self.steps:
            raise ValueError(f"the cycles must end after more and more steps, the last after {self.steps} or later")
        if any(stage.scans + stage.noised == 0 for stage in self.stages):
            raise ValueError("a stage must have examples; raise its scans or noised")
        if self.first_seed < self.kept_back:
            raise ValueError(f"first_seed must be at least kept_back, {self.kept_back}, got {self.first_seed}")
        if self.cool_from is not None and self.cool_from >= self.steps:
            raise ValueError(f"cool_from must be below the {self.steps} steps, or null, got {self.cool_from}")
        return self


def read_settings(path: Path) -> PriorSettings:
    """The settings of a YAML file; what it does not name has its default.

    Raises:
        ConfigError: the file cannot be read, is no mapping, or holds unknown or bad settings.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({shown(error)}); give a file of settings") from None
    try:
        return PriorSettings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, PriorSettings, 'settings')}") from None
