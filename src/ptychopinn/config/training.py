"""How the network is fitted."""

from typing import Literal

from pydantic import Field, field_validator

from ptychopinn.config.base import Section


class TrainingConfig(Section):
    """Budget, optimiser, schedule and bookkeeping of a training run."""

    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training patterns; by default 60, and on a small scan so many that there are 900 steps."""
    patterns_per_step: int = Field(default=32, ge=1)
    """Patterns in one optimiser step; a step holds patterns_per_step / group_size groups, at least one."""
    mirror: bool = False
    """Show mirrored and transposed experiments as well: slower to learn, and better on other parts of a sample."""
    thinning: float = Field(default=0.0, ge=0, lt=1)
    """Part of the counts, drawn anew for every batch, that the loss alone sees: against learning noise at low dose."""
    accumulate_steps: int = Field(default=1, ge=1)
    """Batches whose gradients are summed before the optimiser moves."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """How gradients become steps."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay; decoupled in AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the two running means of Adam and AdamW."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    scheduler: Literal["cosine", "constant", "exponential", "plateau"] = "cosine"
    """How the learning rate falls over the run."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Linear rise of the learning rate at the start."""
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)
    """Where the cosine ends, as a part of the peak."""
    exponential_gamma: float = Field(default=0.95, gt=0, le=1)
    """Factor per epoch of the exponential schedule."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """Factor of the schedule `plateau` on the learning rate."""
    plateau_patience: int = Field(default=5, ge=0)
    """Epochs without improvement before it falls."""
    plateau_threshold: float = Field(default=1e-4, ge=0)
    """Smallest fall of the loss that counts as improvement."""
    plateau_min_lr: float = Field(default=0.0, ge=0)
    """Learning rate below which it never falls."""
    gradient_clip: float | None = Field(default=1.0, gt=0)
    """Largest gradient; none switches it off."""
    gradient_clip_algorithm: Literal["norm", "value", "agc"] = "norm"
    """Limits the norm of the whole gradient, each of its values, or each norm relative to that of its weights."""
    early_stop_patience: int | None = Field(default=None, ge=1)
    """Stop when the validation loss has not fallen for so many epochs; never by default."""
    seed: int = Field(default=0, ge=0)
    """Fixes initial weights, groups and their order."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    devices: int = Field(default=1, ge=1)
    """Processes that share each step, each on a device of its own."""
    deterministic: bool = False
    """Use deterministic algorithms on GPUs too, where they exist; on a CPU results repeat anyway."""
    logger: Literal["csv", "tensorboard", "none"] = "csv"
    """Where the losses of each epoch are written."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the generator; the physics is always float32."""
    compile: bool = False
    """Compile the generator with torch.compile."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's own choice by default."""

    @field_validator("betas")
    @classmethod
    def _check_betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {list(betas)}; the rule is 0 <= beta < 1 for both")
        return betas
