"""Training of a container under the legacy names."""

from typing import Any

from ptycho import params
from ptycho._groups import amplitude_factor
from ptycho.config.config import KEY_MAPPINGS, ModelConfig, TrainingConfig
from ptycho.loader import PtychoDataContainer
from ptycho.model import session
from ptycho.workflows.components import run_cdi_example, train_cdi_model


def calculate_intensity_scale(ptycho_data_container: PtychoDataContainer) -> float:
    """Factor that takes the normalised `X` of a container back to sqrt(photons)."""
    table = ptycho_data_container.table
    if table is None:
        return ptycho_data_container.norm_Y_I
    return 1 / amplitude_factor(table.scan, table.index)


def train(
    train_data: Any,
    intensity_scale: float | TrainingConfig | None = None,
    model_instance: Any = None,
    *,
    config: TrainingConfig | None = None,
) -> dict[str, Any]:
    """Train on the patterns of a container; as `ptycho.workflows.components.train_cdi_model` without test data.

    Args:
        train_data: `RawData` or a container.
        intensity_scale: not used, the scale follows from the counts; a configuration may stand here.
        model_instance: not used; the settings name the network.
        config: the settings; those of `params.cfg` by default.
    """
    given = intensity_scale if isinstance(intensity_scale, TrainingConfig) else config
    return train_cdi_model(train_data, None, given or _current())


def train_eval(ptycho_dataset: Any, model_instance: Any = None) -> dict[str, Any]:
    """Train on `ptycho_dataset.train_data` and reconstruct `ptycho_dataset.test_data` by the settings of `params.cfg`.

    Returns:
        The results of `run_cdi_example` with stitching, and `model_instance`, the trained model.
    """
    train_data, test_data = ptycho_dataset.train_data, ptycho_dataset.test_data
    results = run_cdi_example(train_data, test_data, _current(), do_stitching=True)[2]
    results["model_instance"] = session.held()
    return results


def _current() -> TrainingConfig:
    """The settings that stand in `params.cfg`."""
    model, own = (
        {field: params.cfg[KEY_MAPPINGS.get(field, field)] for field in kind.__dataclass_fields__ if _is_set(field)}
        for kind in (ModelConfig, TrainingConfig)
    )
    for field in ("output_dir", "n_images"):
        own.pop(field, None)
    return TrainingConfig(model=ModelConfig(**model), **own)


def _is_set(field: str) -> bool:
    return KEY_MAPPINGS.get(field, field) in params.cfg
