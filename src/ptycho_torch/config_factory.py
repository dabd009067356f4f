"""From the settings of `ptycho.config.config` to the four PyTorch dataclasses."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ptycho import params
from ptycho.config.config import InferenceConfig as LegacyInferenceConfig
from ptycho.config.config import ModelConfig as LegacyModelConfig
from ptycho.config.config import PyTorchExecutionConfig, update_legacy_dict
from ptycho.config.config import TrainingConfig as LegacyTrainingConfig
from ptycho_torch.config_bridge import steps
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig

logger = logging.getLogger("ptychopinn-torch")

_NO_PLACE = (
    *("n_subsample", "enable_oversampling", "neighbor_pool_size", "probe_trainable", "sequential_sampling"),
    *("realspace_mae_weight", "realspace_weight"),
)
"""Fields of the older settings for which the four have no field; their defaults lose nothing."""


def torch_configs(config: LegacyTrainingConfig, execution: PyTorchExecutionConfig | None = None) -> dict[str, Any]:
    """The four configurations `data_config`, `model_config`, `training_config`, `inference_config`."""
    lost = [name for name in _NO_PLACE if getattr(config, name) != getattr(LegacyTrainingConfig, name)]
    if {config.nll_weight, config.mae_weight} != {0.0, 1.0}:
        lost.append("the ratio of nll_weight and mae_weight")
    if lost:
        logger.warning("the PyTorch settings have no field for %s", ", ".join(lost))
    run, model = execution or PyTorchExecutionConfig(), config.model
    size = model.gridsize**2
    data = {
        "C": size,
        "grid_size": (model.gridsize, model.gridsize),
        "K": config.neighbor_count,
        "n_subsample": 1,
        "neighbor_count": None,
        "x_bounds": (0.0, 1.0),
        "y_bounds": (0.0, 1.0),
    }
    network = {
        "amp_activation": "silu" if model.amp_activation == "swish" else model.amp_activation,
        "mode": "Supervised" if model.model_type == "supervised" else "Unsupervised",
        "C_model": size,
        "C_forward": size,
        "decoder_last_amp_channels": size,
        "training_patch_weighting": "probe",
        "loss_function": "Poisson" if config.nll_weight > 0 else "MAE",
    }
    clipped = run if run.gradient_clip_val else config
    paths = {name: getattr(config, name) for name in ("output_dir", "train_data_file", "test_data_file")}
    training = {
        **{name: None if path is None else str(path) for name, path in paths.items()},
        "n_groups": None,
        "neighbor_count": None,
        "experiment_name": "",
        "epochs": config.nepochs,
        "nll": config.nll_weight > 0,
        **of_execution(run),
        "gradient_clip_val": clipped.gradient_clip_val,
        "gradient_clip_algorithm": clipped.gradient_clip_algorithm,
    }
    return {
        "data_config": DataConfig(**_same(DataConfig, config, model) | data),
        "model_config": ModelConfig(**_same(ModelConfig, config, model) | network),
        "training_config": TrainingConfig(**_same(TrainingConfig, config) | training),
        "inference_config": InferenceConfig(
            patch_weighting="uniform",
            middle_trim=run.middle_trim or 20,
            batch_size=run.inference_batch_size or InferenceConfig.batch_size,
            pad_eval=run.pad_eval,
        ),
    }


def of_execution(run: PyTorchExecutionConfig) -> dict[str, Any]:
    """Fields of the PyTorch training settings that execution settings decide."""
    return {
        "device": "cuda" if run.accelerator in ("auto", "gpu") else run.accelerator,
        "n_devices": run.devices,
        "strategy": run.strategy,
        "learning_rate": run.learning_rate,
        "num_workers": run.num_workers,
        "accum_steps": run.accum_steps,
    }


@dataclass
class TrainingPayload:
    """All configurations of one training."""

    tf_training_config: LegacyTrainingConfig
    pt_data_config: DataConfig
    pt_model_config: ModelConfig
    pt_training_config: TrainingConfig
    pt_inference_config: InferenceConfig
    execution_config: PyTorchExecutionConfig
    overrides_applied: dict[str, Any] = field(default_factory=dict)


@dataclass
class InferencePayload:
    """All configurations of one reconstruction."""

    tf_inference_config: LegacyInferenceConfig
    pt_data_config: DataConfig
    pt_inference_config: InferenceConfig
    execution_config: PyTorchExecutionConfig
    overrides_applied: dict[str, Any] = field(default_factory=dict)


def create_training_payload(
    train_data_file: str | Path,
    output_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    execution_config: PyTorchExecutionConfig | None = None,
    profile: str | None = None,
) -> TrainingPayload:
    """The configurations of both families for a training, which also fill `ptycho.params.cfg`.

    Args:
        train_data_file: the scan, whose pattern size becomes `N`.
        output_dir: folder for the results.
        overrides: fields of any of the configurations by name, such as `gridsize`, `n_groups`, `batch_size`.
        execution_config: hardware and bookkeeping; `accelerator="auto"` becomes what is there.
        profile: has no effect; recipes have names in `ptychopinn`.

    Raises:
        FileNotFoundError: no such scan.
        TypeError: an override that no configuration has.
        ConfigError: a value breaks a rule.
    """
    if profile is not None:
        logger.warning("profile = %r is not followed: no configuration is kept under a name", profile)
    paths = {"train_data_file": Path(train_data_file), "output_dir": Path(output_dir)}
    kinds = LegacyTrainingConfig, DataConfig, ModelConfig, TrainingConfig, InferenceConfig
    return TrainingPayload(*_payload(kinds, train_data_file, paths, overrides, execution_config))


def create_inference_payload(
    model_path: str | Path,
    test_data_file: str | Path,
    output_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    execution_config: PyTorchExecutionConfig | None = None,
) -> InferencePayload:
    """The configurations of both families for a reconstruction, which also fill `ptycho.params.cfg`.

    Args:
        model_path: folder with `wts.h5.zip`.
        overrides: as for `create_training_payload`, as `execution_config`.

    Raises:
        FileNotFoundError: no such scan, or no such model.
        TypeError: an override that no configuration has.
    """
    if not Path(model_path).exists():
        raise FileNotFoundError(f"{model_path}: no such model; give the folder of a training")
    paths = {"model_path": Path(model_path), "test_data_file": Path(test_data_file), "output_dir": Path(output_dir)}
    kinds = LegacyInferenceConfig, DataConfig, InferenceConfig
    return InferencePayload(*_payload(kinds, test_data_file, paths, overrides, execution_config))


def infer_probe_size(data_file: str | Path) -> int:
    """Rows of the probe of an NPZ scan; as `ptychopinn.api.client_scans.stored_size`."""
    from ptychopinn.api.client_scans import stored_size

    return stored_size(data_file)


def populate_legacy_params(tf_config: LegacyTrainingConfig | LegacyInferenceConfig, force: bool = False) -> None:
    """Fill `ptycho.params.cfg`; `force` is not needed, a later configuration always wins."""
    update_legacy_dict(params.cfg, tf_config)


def _payload(
    kinds: tuple[Any, ...],
    file: str | Path,
    paths: Mapping[str, Path],
    overrides: Mapping[str, Any] | None,
    execution: PyTorchExecutionConfig | None,
) -> tuple[Any, ...]:
    """A configuration of the older family, those of the other `kinds` that follow from it, the execution, overrides."""
    from ptychopinn.data.device import choose_device

    applied = {"N": infer_probe_size(file), **(overrides or {})}
    model, hardware, own, *changes = filled = _filled((LegacyModelConfig, PyTorchExecutionConfig, *kinds), applied)
    unknown = [name for name in applied if not any(_OTHER_NAMES.get(name, name) in part for part in filled)]
    if unknown:
        raise TypeError(f"no configuration has a field {', '.join(unknown)}; overrides name fields of one of them")
    config = kinds[0](model=LegacyModelConfig(**model), **{**own, **paths})
    populate_legacy_params(config)
    run = replace(execution or PyTorchExecutionConfig(), **hardware)
    if run.accelerator == "auto":
        run = replace(run, accelerator=choose_device("auto", "accelerator").type)
    training = LegacyTrainingConfig(model=config.model, neighbor_count=config.neighbor_count)
    four = torch_configs(config if isinstance(config, LegacyTrainingConfig) else training, run).values()
    used = zip([value for value in four if type(value) in kinds], changes, strict=True)
    return config, *(replace(value, **changed) for value, changed in used), run, applied


def _filled(kinds: tuple[Any, ...], overrides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The overrides that are fields of each class; `max_epochs` is another name of the epochs."""
    named = {_OTHER_NAMES.get(name, name): value for name, value in overrides.items()}
    return [{name: value for name, value in named.items() if name in kind.__dataclass_fields__} for kind in kinds]


_OTHER_NAMES = {"max_epochs": "nepochs"}


def _same(kind: type, *sources: LegacyTrainingConfig | LegacyModelConfig) -> dict[str, Any]:
    """The fields that a PyTorch dataclass shares with the older ones."""
    return {
        name: getattr(source, name)
        for source in sources
        for name, step in steps(kind, type(source)).items()
        if step.field == name
    }
