"""How a run is carried out, apart from what it computes; never written to the legacy dictionary."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ptycho.config import shared
from ptycho.config.checks import NON_NEGATIVE, POSITIVE, Check, among, check, one_of
from ptycho.config.field_mapping import ANY, jointly, no_effect, read_by, sets
from ptycho.config.shared import OTHER_NETWORK
from ptychopinn.errors import ConfigError

_PRECISIONS = {"32-true": "float32", "16-mixed": "bfloat16", "bf16-mixed": "bfloat16"}
_LOGGERS = ("csv", "mlflow", "none", "tensorboard", "wandb")
_PRECISION = sets(
    "training.precision",
    "`16-mixed` and `bf16-mixed` are `bfloat16`",
    _PRECISIONS.__getitem__,
    caveats={"16-mixed": "bfloat16 is used instead, which cannot overflow where counts are large"},
)
_LOGGER = sets(
    "training.logger",
    "None is `none`",
    lambda name: one_of("logger_backend", name, _LOGGERS),
)
_PATIENCE = sets(
    "training.early_stop_patience",
    "with it the weights of the best epoch are taken; the default of 100 never stops a run",
    leaves=(100,),
)
_RATE = sets("training.learning_rate", "without execution settings the default of 0.002 holds")
_CLIP = sets("training.gradient_clip", "where given, instead of the training setting", leaves=(None,))
_SCHEDULE = jointly("training.scheduler", how="instead of the training setting, unless it is `Default`")
_DETERMINISTIC = sets("training.deterministic", "`warn` is true: it never ends a run", bool)
_MONITORS = ("train_loss", "val_loss")
_NO_CHECKPOINTS = sets("training.checkpoints", "false is 0", lambda _: 0, leaves=(True,))
_KEPT = sets("training.checkpoints", given={"enable_checkpointing": (True,)})
_MONITOR = sets(
    "training.monitor",
    "the default is the validation loss where there is one",
    lambda name: one_of("checkpoint_monitor_metric", name, _MONITORS),
    leaves=("val_loss",),
)
_MODE = no_effect("losses are minimised")
_BAR = read_by("`ptycho.workflows.components`", "progress on stderr; the commands always show it")
_LOADING = read_by("`ptycho_torch.dataloader.loading`", "for batches as dictionaries; else the scan lies in memory")
_LOGGED = {"recon_log_every_n_epochs": (ANY,)}
_FIGURES = sets("training.figure_epochs", also=("training.figure_patches", "training.figure_patterns"))
_PATCHES = sets("training.figure_patches", given=_LOGGED)
_INDICES = sets("training.figure_indices", leaves=(None,), given=_LOGGED)
_STITCH = sets("training.figure_patterns", "false is 0: patches only", lambda on: None if on else 0, given=_LOGGED)
_STITCHED = sets("training.figure_patterns", leaves=(None,), given=_LOGGED | {"recon_log_stitch": (True,)})
_ACCELERATOR = among("auto", "cpu", "cuda", "gpu", "mps")
_COUNT = Check("a positive integer or 'auto'", lambda count: count == "auto" or (type(count) is int and count > 0))


@dataclass
class PyTorchExecutionConfig(shared.BottleneckSettings):
    """Hardware, arithmetic, optimiser and bookkeeping of a PyTorch run; values are checked at construction.

    Raises:
        ConfigError: at construction, a value that breaks a rule.
    """

    accelerator: Annotated[str, shared.DEVICE, _ACCELERATOR] = "auto"
    devices: Annotated[int | Literal["auto"], shared.DEVICES, _COUNT] = 1
    strategy: Annotated[str, shared.STRATEGY] = "auto"
    deterministic: Annotated[bool | Literal["warn"], _DETERMINISTIC] = True
    precision: Annotated[
        Literal["32-true", "16-mixed", "bf16-mixed"], _PRECISION, among("16-mixed", "32-true", "bf16-mixed")
    ] = "32-true"
    gradient_clip_val: Annotated[float | None, _CLIP] = None
    gradient_clip_algorithm: Annotated[shared.Clipping, shared.CLIP_ALGORITHM] = "norm"
    accum_steps: Annotated[int, sets("training.accumulate_steps"), POSITIVE] = 1
    num_workers: Annotated[int, _LOADING, NON_NEGATIVE] = 0
    pin_memory: Annotated[bool, _LOADING] = False
    persistent_workers: Annotated[bool, _LOADING] = False
    prefetch_factor: Annotated[int | None, _LOADING] = None
    learning_rate: Annotated[float, _RATE, POSITIVE] = 1e-3
    scheduler: Annotated[str, _SCHEDULE] = "Default"
    enable_progress_bar: Annotated[bool, _BAR] = False
    enable_checkpointing: Annotated[bool, _NO_CHECKPOINTS] = True
    checkpoint_save_top_k: Annotated[int, _KEPT, NON_NEGATIVE] = 1
    checkpoint_monitor_metric: Annotated[str, _MONITOR] = "val_loss"
    checkpoint_mode: Annotated[str, _MODE, among("max", "min")] = "min"
    early_stop_patience: Annotated[int, _PATIENCE, POSITIVE] = 100
    logger_backend: Annotated[str | None, _LOGGER] = "csv"
    recon_log_every_n_epochs: Annotated[int | None, _FIGURES] = None
    recon_log_num_patches: Annotated[int, _PATCHES, NON_NEGATIVE] = 4
    recon_log_fixed_indices: Annotated[list[int] | None, _INDICES] = None
    recon_log_stitch: Annotated[bool, _STITCH] = False
    recon_log_max_stitch_samples: Annotated[int | None, _STITCHED] = None
    ffno_encoder_blocks: Annotated[int, OTHER_NETWORK] = 24
    ffno_encoder_modes: Annotated[int, OTHER_NETWORK] = 12
    ffno_encoder_share_weights: Annotated[bool, OTHER_NETWORK] = True
    ffno_encoder_gate_init: Annotated[float, OTHER_NETWORK] = 0.1
    ffno_encoder_norm: Annotated[str, OTHER_NETWORK] = "instance"
    ffno_encoder_mlp_ratio: Annotated[float, OTHER_NETWORK] = 2.0
    inference_batch_size: Annotated[int | None, sets("reconstruction.batch_size", leaves=(None,)), POSITIVE] = None
    middle_trim: Annotated[int, sets("reconstruction.window_px", "0 leaves the central 20 px", leaves=(0,))] = 0
    pad_eval: Annotated[bool, shared.WHOLE_CANVAS] = False

    def __post_init__(self) -> None:
        if self.accelerator == "tpu":
            raise ConfigError(
                "Torch-XLA TPU execution is unsupported by this PyTorch runtime. "
                "Use accelerator='cpu', 'gpu'/'cuda', or 'mps'."
            )
        check(self)
