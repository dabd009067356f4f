"""How the network is fitted."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ptychopinn.config.base import Section
from ptychopinn.config.stages import FineTuneConfig, StagesConfig

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
"""Of torch.compile."""


class TrainingConfig(Section):
    """Length, optimiser, schedule and bookkeeping of a training."""

    epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of passes over the training patterns. Null uses 60, or more for small scans, so that there are at least
    900 steps; with `start_from` a tenth of that."""
    start_from: str | None = Field(default=None, min_length=1)
    """Trained model (file or folder) whose weights training begins with (fine-tuning); `train --from` sets it. Network
    and pattern size must be those of the model. Probe, scale and optimiser start anew. Null starts from random
    weights."""
    patterns_per_step: int = Field(default=32, ge=1)
    """Number of patterns in one optimiser step, which holds patterns_per_step / group_size groups (at least one). Lower
    it if memory runs out."""
    mirror: bool = False
    """Also train on mirrored and transposed copies of the scan. Use it for a model that will reconstruct other parts of
    the sample; it needs about four times as many epochs."""
    thinning: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of the counts withheld from the network and used only in the loss (redrawn for every batch). Reduces
    fitted noise at low dose; needs photon counts."""
    accumulate_steps: int = Field(default=1, ge=1)
    """Number of batches whose gradients are summed before an optimiser step."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """Optimisation algorithm."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Highest learning rate. Lower it if the loss jumps."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay; decoupled from the gradient in AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the two running averages of Adam and AdamW."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; no effect on Adam and AdamW."""
    scheduler: Literal["cosine", "constant", "exponential", "plateau", "multi_stage", "adaptive"] = "cosine"
    """How the learning rate changes during training. Two schedules follow `stages`: `multi_stage` is constant in the
    first and third stage and falls along a cosine in between; `adaptive` falls as the weight of the physics rises."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Number of epochs over which the learning rate rises linearly at the start."""
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)
    """Final learning rate of the schedule `cosine`, as a fraction of the highest."""
    exponential_gamma: float = Field(default=0.95, gt=0, le=1)
    """Factor on the learning rate per epoch, for the schedule `exponential`."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """Factor by which the schedule `plateau` lowers the learning rate."""
    plateau_patience: int = Field(default=5, ge=0)
    """Number of epochs without improvement before the schedule `plateau` lowers the learning rate."""
    plateau_threshold: float = Field(default=1e-4, ge=0)
    """Smallest decrease of the loss that the schedule `plateau` counts as an improvement."""
    plateau_min_lr: float = Field(default=0.0, ge=0)
    """Lowest learning rate of the schedule `plateau`."""
    gradient_clip: float | None = Field(default=1.0, gt=0)
    """Upper limit of the gradient, see `gradient_clip_algorithm`. Null applies no limit."""
    gradient_clip_algorithm: Literal["norm", "value", "agc"] = "norm"
    """What is limited: the `norm` of the whole gradient, each `value`, or each norm relative to the norm of its weights
    (`agc`)."""
    early_stop_patience: int | None = Field(default=None, ge=1)
    """Stop after this number of epochs without a lower validation loss, and use the best weights. Null never stops
    early."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the initial weights, the groups and their order."""
    device: str = "auto"
    """Where training runs: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`. `auto` uses a GPU if there is one."""
    devices: int = Field(default=1, ge=1, le=1024)
    """Number of devices that share every step, with one process each."""
    deterministic: bool = False
    """Use deterministic algorithms on a GPU where they exist. CPU results are always reproducible."""
    logger: Literal["csv", "mlflow", "tensorboard", "wandb", "none"] = "csv"
    """Where the losses of every epoch are logged: `history.csv`, and for the others but `none` also MLflow, TensorBoard
    or W&B, which are extras."""
    experiment: str = Field(default="ptychopinn", min_length=1, max_length=200, pattern=r"\S")
    """Name under which MLflow (experiment) or W&B (project) files the training."""
    figure_epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    """Draw the image after every so many epochs and after the last: into the logger, or into the folder `figures` with
    `csv`. Null draws none."""
    figure_patterns: int | None = Field(default=None, ge=0)
    """Stitch the image of `figure_epochs` from at most so many patterns, spread evenly over the scan. Null uses all, 0
    draws no image."""
    figure_patches: int = Field(default=0, ge=0, le=64)
    """Number of patterns, spread evenly over the scan, whose patches are drawn beside the image of `figure_epochs`."""
    figure_indices: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(), max_length=64)
    """Numbers of the patterns, from 0, whose patches are drawn instead of evenly spread ones."""
    checkpoints: int = Field(default=1, ge=0, le=1000)
    """Number of best epochs whose checkpoints are kept, beside that of the last epoch. 0 writes none, so that an
    interrupted training cannot be resumed."""
    monitor: Literal["auto", "train_loss", "val_loss"] = "auto"
    """Loss whose lowest epoch is the best: `auto` is the validation loss where there is one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Floating-point format of the network. Forward model, loss and weights always use float32. `bfloat16` halves the
    time of wide networks on processors and GPUs that have it."""
    compile: bool = False
    """Compile the network with torch.compile before the first step, which takes up to some minutes; set it where
    training takes much longer. Where compiling fails (no C++ compiler, no Triton), a warning states the reason, and
    training goes on with the network as it is."""
    compile_mode: CompileMode = "default"
    """Mode of torch.compile, if `compile` is true: `default`; `reduce-overhead` also records CUDA graphs, which helps
    on a GPU with small batches; `max-autotune` also tries several kernels, which compiles longest."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Number of CPU threads. Null uses the default of torch."""
    stages: StagesConfig = StagesConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()

    @field_validator("betas")
    @classmethod
    def _check_betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {list(betas)}; must be 0 <= beta < 1 for both")
        return betas

    @model_validator(mode="after")
    def _check_stages(self) -> "TrainingConfig":
        stages, tune = self.stages, self.fine_tune
        if self.scheduler in ("multi_stage", "adaptive") and not stages.epochs:
            raise ValueError(
                f"scheduler {self.scheduler} follows the stages of training, which have no epochs; set "
                "stages.data_epochs, stages.transition_epochs and stages.physics_epochs, or another scheduler"
            )
        if self.scheduler == "plateau" and (stages.epochs or tune.epochs or tune.staged):
            raise ValueError(
                "scheduler plateau compares losses of all epochs, and stages or fine_tune change what the loss is or "
                "the learning rate; set scheduler to cosine, constant or exponential"
            )
        if stages.epochs and self.epochs not in (None, stages.epochs):
            raise ValueError(
                f"epochs is {self.epochs} but the stages have {stages.epochs} together; set epochs to null"
            )
        if tune.staged and not tune.decoder.epochs + tune.encoder_top.epochs + tune.whole.epochs:
            raise ValueError("fine_tune.staged has no epochs; raise fine_tune.decoder.epochs or set staged to false")
        if tune.staged and self.start_from is not None and not stages.epochs and self.epochs is not None:
            raise ValueError(
                f"epochs is {self.epochs} but fine_tune.staged replaces the training of a model that is given by "
                "start_from; set epochs to null, and the epochs of each stage in fine_tune"
            )
        return self
