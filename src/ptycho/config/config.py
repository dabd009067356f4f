"""The settings of the TensorFlow-era contract, and how they enter the legacy dictionary.

The classes are mutable and picklable; importing this module loads neither torch, TensorFlow nor numpy. Values are
checked by the `validate_*` functions and by `recipe_of`, not at construction: clients fill fields in later.
Each field's way into a recipe stands in docs/config-mapping.md.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ptycho.config.execution import PyTorchExecutionConfig
from ptycho.config.validation import ARCHITECTURES, BACKENDS, MODEL_TYPES, non_negative, one_of, positive
from ptychopinn.errors import ConfigError

__all__ = [
    "KEY_MAPPINGS",
    "InferenceConfig",
    "ModelConfig",
    "PyTorchExecutionConfig",
    "TrainingConfig",
    "dataclass_to_legacy_dict",
    "update_legacy_dict",
    "validate_inference_config",
    "validate_model_config",
    "validate_training_config",
]

KEY_MAPPINGS = {
    "object_big": "object.big",
    "probe_big": "probe.big",
    "probe_mask": "probe.mask",
    "probe_trainable": "probe.trainable",
    "intensity_scale_trainable": "intensity_scale.trainable",
    "positions_provided": "positions.provided",
    "output_dir": "output_prefix",
    "train_data_file": "train_data_file_path",
    "test_data_file": "test_data_file_path",
}
"""Field -> key of the legacy dictionary, where the two differ."""


@dataclass
class ModelConfig:
    """What the network is and what it sees."""

    N: int = 64
    gridsize: int = 1
    n_filters_scale: int = 2
    model_type: Literal["pinn", "supervised"] = "pinn"
    architecture: Literal["cnn", "ffno", "fno", "fno_vanilla", "hybrid", "neuralop_uno"] = "cnn"
    fno_modes: int = 12
    fno_width: int = 32
    fno_blocks: int = 4
    fno_cnn_blocks: int = 2
    learned_input_channels: int = 1
    max_hidden_channels: int | None = None
    resnet_width: int | None = None
    fno_input_transform: Literal["none", "sqrt", "log1p", "instancenorm"] = "none"
    generator_output_mode: Literal["real_imag", "amp_phase_logits", "amp_phase"] = "real_imag"
    amp_activation: Literal["sigmoid", "swish", "softplus", "relu"] = "sigmoid"
    object_big: bool = True
    probe_big: bool = True
    probe_mask: bool = False
    probe_mask_sigma: float = 1.0
    probe_mask_diameter: float | None = None
    pad_object: bool = True
    probe_scale: float = 4.0
    gaussian_smoothing_sigma: float = 0.0


@dataclass
class TrainingConfig:
    """A training run. `n_groups=None` means every pattern of the scan."""

    model: ModelConfig
    train_data_file: Path | None = None
    test_data_file: Path | None = None
    batch_size: int = 16
    nepochs: int = 50
    mae_weight: float = 0.0
    nll_weight: float = 1.0
    realspace_mae_weight: float = 0.0
    realspace_weight: float = 0.0
    nphotons: float = 1e9
    n_groups: int | None = None
    n_images: int | None = None
    n_subsample: int | None = None
    subsample_seed: int | None = None
    neighbor_count: int = 4
    enable_oversampling: bool = False
    neighbor_pool_size: int | None = None
    positions_provided: bool = True
    probe_trainable: bool = False
    intensity_scale_trainable: bool = True
    output_dir: Path = Path("training_outputs")
    sequential_sampling: bool = False
    backend: Literal["tensorflow", "pytorch"] = "pytorch"
    torch_loss_mode: Literal["poisson", "mae"] = "poisson"
    torch_mae_pred_l2_match_target: bool = False
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value", "agc"] = "norm"
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    scheduler: Literal["Default", "Exponential", "WarmupCosine", "ReduceLROnPlateau", "Cosine", "Constant"] = "Default"
    lr_warmup_epochs: int = 0
    lr_min_ratio: float = 0.1
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    plateau_min_lr: float = 5e-5
    plateau_threshold: float = 0.0

    def __post_init__(self) -> None:
        self.n_groups = _groups_wanted(self.n_groups, self.n_images)


@dataclass
class InferenceConfig:
    """A reconstruction by a saved model. `n_groups=None` means every pattern of the scan."""

    model: ModelConfig
    model_path: Path
    test_data_file: Path
    n_groups: int | None = None
    n_images: int | None = None
    n_subsample: int | None = None
    subsample_seed: int | None = None
    neighbor_count: int = 4
    enable_oversampling: bool = False
    neighbor_pool_size: int | None = None
    debug: bool = False
    output_dir: Path = Path("inference_outputs")
    backend: Literal["tensorflow", "pytorch"] = "pytorch"

    def __post_init__(self) -> None:
        self.n_groups = _groups_wanted(self.n_groups, self.n_images)


def dataclass_to_legacy_dict(config: ModelConfig | TrainingConfig | InferenceConfig) -> dict[str, Any]:
    """Flat dictionary with the legacy keys: `model` flattened, `None` kept, paths under translated keys as text.

    >>> legacy = dataclass_to_legacy_dict(ModelConfig(N=128, object_big=False))
    >>> legacy["N"], legacy["object.big"]
    (128, False)
    """
    legacy: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, ModelConfig):
            legacy |= dataclass_to_legacy_dict(value)
        elif field.name in KEY_MAPPINGS:
            legacy[KEY_MAPPINGS[field.name]] = str(value) if isinstance(value, Path) else value
        else:
            legacy[field.name] = value
    return legacy


def update_legacy_dict(cfg: dict[str, Any], config: ModelConfig | TrainingConfig | InferenceConfig) -> None:
    """Write every field that is not `None` into `cfg`; paths become text."""
    for key, value in dataclass_to_legacy_dict(config).items():
        if value is not None:
            cfg[key] = str(value) if isinstance(value, Path) else value


def validate_model_config(config: ModelConfig) -> None:
    """Check a model's settings; any pattern size and `probe_scale=0` pass.

    Raises:
        ConfigError: a value breaks a rule.
    """
    positive("gridsize", config.gridsize)
    positive("n_filters_scale", config.n_filters_scale)
    non_negative("probe_scale", config.probe_scale)
    non_negative("gaussian_smoothing_sigma", config.gaussian_smoothing_sigma)
    one_of("architecture", config.architecture, ARCHITECTURES)
    one_of("model_type", config.model_type, MODEL_TYPES)


def validate_training_config(config: TrainingConfig) -> None:
    """Check a training run's settings and its model's; any batch size from 1 passes.

    Raises:
        ConfigError: a value breaks a rule.
    """
    validate_model_config(config.model)
    positive("batch_size", config.batch_size)
    positive("nepochs", config.nepochs)
    for name in ("mae_weight", "nll_weight", "realspace_mae_weight", "realspace_weight"):
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} must be in [0,1], got {value}")
    positive("nphotons", config.nphotons)
    one_of("backend", config.backend, BACKENDS)


def validate_inference_config(config: InferenceConfig) -> None:
    """Check a reconstruction's settings and its model's.

    Raises:
        ConfigError: a value breaks a rule.
    """
    validate_model_config(config.model)
    one_of("backend", config.backend, BACKENDS)


def _groups_wanted(n_groups: int | None, n_images: int | None) -> int | None:
    if n_images is None:
        return n_groups
    warnings.warn(
        "Parameter 'n_images' is deprecated and will be removed in a future version. Use 'n_groups' instead, "
        "which always means the number of groups regardless of gridsize.",
        DeprecationWarning,
        stacklevel=4,
    )
    return n_images if n_groups is None else n_groups
