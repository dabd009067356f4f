"""The settings of the TensorFlow-era contract, and how they enter the legacy dictionary.

The classes are mutable and picklable; importing this module loads neither torch, TensorFlow nor numpy. Values are
checked by the `validate_*` functions and by `recipe_of`, not at construction: clients fill fields in later.
Where a setting arrives stands on its field; docs/config-mapping.md is made of it.
"""

import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from ptycho.config import shared
from ptycho.config.checks import FRACTION, KNOWN, NON_NEGATIVE, POSITIVE, check
from ptycho.config.execution import PyTorchExecutionConfig as PyTorchExecutionConfig
from ptycho.config.field_mapping import ANY, jointly, no_effect, read_by, sets

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

_WORKFLOW = read_by("the workflows and commands")
_PARTS = read_by("`recipe_of`", "field by field, see ModelConfig")
_PINN_ONLY = "supervised training compares with labels alone"
_BACKEND = sets("backend", "`tensorflow` is refused where that extra is not installed; the default is `pytorch`")
_SIZE = read_by("`ptycho.params`", "the size of a model is that of the patterns it is trained on; any size, also 0")
_GROUP = jointly(
    "data.group_size",
    "data.neighbors",
    "training.patterns_per_step",
    how="gridsize squared, and a step holds `batch_size` groups; 1 merges the usual 16, and a step holds `batch_size` "
    "patterns: the network sees one pattern at a time, whatever the group",
)
_N_GROUPS = jointly(
    "data.n_groups",
    how="None is one group for every pattern; no more groups than patterns unless `enable_oversampling`",
)
_OVERSAMPLING = jointly("data.n_groups", how="allows more groups than patterns", given={"n_groups": (ANY,)})
_DIAMETER = jointly("model.probe.mask_radius", how=shared.DIAMETER, given={"probe_mask": (True,), "N": (ANY,)})
_POISSON = jointly("model.loss.poisson_weight", how=_PINN_ONLY, given={"torch_loss_mode": ("poisson",)})
_LOSS_MODE = jointly(
    "model.loss.poisson_weight",
    "model.loss.amplitude_mae_weight",
    how="`mae` leaves only the amplitude MAE, with `mae_weight` or else 1; `poisson` follows the weights",
)
_SAMPLER = sets("data.sampler", "`sequential`, else `seeded`", lambda _: "sequential", leaves=(False,))


@dataclass
class ModelConfig(shared.NetworkSettings):
    """What the network is and what it sees."""

    N: Annotated[int, _SIZE] = 64
    gridsize: Annotated[int, _GROUP, POSITIVE] = 1
    n_filters_scale: Annotated[int, shared.WIDTH, POSITIVE] = 2
    model_type: Annotated[Literal["pinn", "supervised"], sets("model.kind"), KNOWN] = "pinn"
    amp_activation: Annotated[Literal["sigmoid", "swish", "softplus", "relu"], shared.NO_ACTIVATION] = "sigmoid"
    probe_mask: Annotated[bool, shared.MASK] = False
    probe_mask_diameter: Annotated[float | None, _DIAMETER] = None
    probe_scale: Annotated[float, shared.OWN_SCALE, NON_NEGATIVE] = 4.0


@dataclass(kw_only=True)
class GroupingSettings:
    """Which patterns are used, how they are grouped, and by which backend. `n_groups=None` means every pattern."""

    n_groups: Annotated[int | None, _N_GROUPS] = None
    n_images: Annotated[int | None, jointly("data.n_groups", how="deprecated; `n_groups` wins over it")] = None
    n_subsample: Annotated[int | None, jointly("data.n_patterns", how="at most as many as the scan has")] = None
    subsample_seed: Annotated[int | None, shared.SEED] = None
    neighbor_count: Annotated[int, shared.NEIGHBORS] = 4
    enable_oversampling: Annotated[bool, _OVERSAMPLING] = False
    neighbor_pool_size: Annotated[int | None, jointly("data.neighbors", how="instead of `neighbor_count`")] = None
    backend: Annotated[Literal["tensorflow", "pytorch"], _BACKEND, KNOWN] = "pytorch"

    def __post_init__(self) -> None:
        if self.n_images is not None:
            warnings.warn(
                "Parameter 'n_images' is deprecated and will be removed in a future version. Use 'n_groups' instead, "
                "which always means the number of groups regardless of gridsize.",
                DeprecationWarning,
                stacklevel=3,
            )
            self.n_groups = self.n_images if self.n_groups is None else self.n_groups


@dataclass
class TrainingConfig(shared.OptimizerSettings, GroupingSettings):
    """A training run."""

    model: Annotated[ModelConfig, _PARTS]
    train_data_file: Annotated[Path | None, _WORKFLOW] = None
    test_data_file: Annotated[Path | None, _WORKFLOW] = None
    batch_size: Annotated[int, shared.BATCH, POSITIVE] = 16
    nepochs: Annotated[int, sets("training.epochs"), POSITIVE] = 50
    mae_weight: Annotated[float, jointly("model.loss.amplitude_mae_weight", how=_PINN_ONLY), FRACTION] = 0.0
    nll_weight: Annotated[float, _POISSON, FRACTION] = 1.0
    realspace_mae_weight: Annotated[float, sets("model.loss.realspace_mae_weight"), FRACTION] = 0.0
    realspace_weight: Annotated[float, sets("model.loss.realspace_weight"), FRACTION] = 0.0
    nphotons: Annotated[float, shared.PHOTONS, POSITIVE] = 1e9
    positions_provided: Annotated[bool, no_effect("every scan carries its positions")] = True
    probe_trainable: Annotated[bool, sets("model.probe.trainable")] = False
    intensity_scale_trainable: Annotated[bool, shared.SCALE_TRAINABLE] = True
    output_dir: Annotated[Path, _WORKFLOW] = Path("training_outputs")
    sequential_sampling: Annotated[bool, _SAMPLER] = False
    torch_loss_mode: Annotated[shared.LossMode, _LOSS_MODE] = "poisson"


@dataclass
class InferenceConfig(GroupingSettings):
    """A reconstruction by a saved model."""

    model: Annotated[ModelConfig, _PARTS]
    model_path: Annotated[Path, _WORKFLOW]
    test_data_file: Annotated[Path, _WORKFLOW]
    debug: Annotated[bool, no_effect("the level of the log is the caller's", ANY)] = False
    output_dir: Annotated[Path, _WORKFLOW] = Path("inference_outputs")


validate_model_config = validate_training_config = validate_inference_config = check
"""Raise `ConfigError` for the first value that breaks a rule; any size, any batch and `probe_scale=0` pass."""


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


def load_yaml_config(path: str | Path) -> dict[str, Any]:
    """The settings of a YAML file, as they stand there.

    Raises:
        ConfigError: no such file, or no mapping.
    """
    from ptychopinn.config.recipe import read_yaml

    return dict(read_yaml(path))
