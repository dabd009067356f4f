"""The workflows with the backend that the configuration, or PTYCHOPINN_BACKEND, names."""

from pathlib import Path
from typing import Any

from ptycho.config.config import InferenceConfig, PyTorchExecutionConfig, TrainingConfig
from ptycho.model import TrainedModel
from ptycho.workflows import components
from ptycho.workflows.components import MODEL_NAME, WINDOW_PX, Image


def run_cdi_example_with_backend(
    train_data: Any,
    test_data: Any,
    config: TrainingConfig,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    M: int = WINDOW_PX,
    do_stitching: bool = False,
    torch_execution_config: PyTorchExecutionConfig | None = None,
) -> tuple[Image | None, Image | None, dict[str, Any]]:
    """As `ptycho.workflows.components.run_cdi_example`."""
    axes = (flip_x, flip_y, transpose, M, do_stitching)
    return components.run_cdi_example(
        train_data, test_data, config, *axes, torch_execution_config=torch_execution_config
    )


def train_cdi_model_with_backend(train_data: Any, test_data: Any, config: TrainingConfig) -> dict[str, Any]:
    """As `ptycho.workflows.components.train_cdi_model`."""
    return components.train_cdi_model(train_data, test_data, config)


def load_inference_bundle_with_backend(
    bundle_dir: str | Path, config: TrainingConfig | InferenceConfig | str | None = None, model_name: str = MODEL_NAME
) -> tuple[TrainedModel, dict[str, Any]]:
    """As `ptycho.workflows.components.load_inference_bundle_with_backend`."""
    return components.load_inference_bundle_with_backend(bundle_dir, config, model_name)
