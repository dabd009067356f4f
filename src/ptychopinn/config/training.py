"""How the network is fitted."""

from typing import Literal

from pydantic import Field

from ptychopinn.config.base import Section


class TrainingConfig(Section):
    """Budget, optimiser, schedule and bookkeeping of a training run."""

    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training patterns; by default 60, and on a small scan so many that there are 900 steps."""
    patterns_per_step: int = Field(default=32, ge=1)
    """Patterns in one optimiser step; a step holds patterns_per_step / group_size groups, at least one."""
    mirror: bool = False
    """Show mirrored and transposed experiments as well: slower to learn, and better on other parts of a sample."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """AdamW's decoupled weight decay."""
    scheduler: Literal["cosine", "constant", "exponential", "plateau"] = "cosine"
    """How the learning rate falls over the run."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Linear rise of the learning rate at the start."""
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)
    """Where the cosine ends, as a part of the peak."""
    exponential_gamma: float = Field(default=0.95, gt=0, le=1)
    """Factor per epoch of the exponential schedule."""
    gradient_clip: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient; none switches it off."""
    early_stop_patience: int | None = Field(default=None, ge=1)
    """Stop when the validation loss has not fallen for so many epochs; never by default."""
    seed: int = Field(default=0, ge=0)
    """Fixes initial weights, groups and their order."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the generator; the physics is always float32."""
    compile: bool = False
    """Compile the generator with torch.compile."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's own choice by default."""
