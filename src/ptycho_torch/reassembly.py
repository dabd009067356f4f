"""Stitching under its legacy names."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn.physics.canvas import CanvasSum as VectorizedBarycentricAccumulator

__all__ = [
    "ReassemblyReturn",
    "VectorizedBarycentricAccumulator",
    "reconstruct_image",
    "reconstruct_image_barycentric",
]


class ReassemblyReturn(NamedTuple):
    """Image (Y, X) complex64 on the CPU, 1 where no beam went; weight of each pixel (Y, X); time of it all, s."""

    image: Tensor
    coverage: Tensor
    seconds: float


def reconstruct_image(
    model: Any,
    ptycho_dset: Any,
    training_config: Any = TrainingConfig,
    data_config: Any = DataConfig,
    model_config: Any = ModelConfig,
    inference_config: Any = InferenceConfig,
) -> Tensor:
    """The object (Y, X), complex64 on the CPU; arguments and errors are those of `reconstruct_image_barycentric`."""
    return reconstruct_image_barycentric(
        model, ptycho_dset, training_config, data_config, model_config, inference_config
    ).image


def reconstruct_image_barycentric(
    model: Any,
    ptycho_dset: Any,
    training_config: Any = None,
    data_config: Any = None,
    model_config: Any = None,
    inference_config: Any = None,
    gpu_ids: Any = None,
    use_mixed_precision: Any = None,
    verbose: bool = True,
    swap_detection: str = "None",
    return_diagnostics: bool = False,
    structured_diagnostics: bool = False,
    precision: Any = None,
    compute_count_metrics: bool = True,
) -> ReassemblyReturn:
    """Reconstruct the scan of a data set by a trained model, as `InferenceEngine.reconstruct` does.

    What stands behind `inference_config` has no effect: one device predicts, in the precision of the training, and the
    coverage always comes along.

    Args:
        model: a `PtychoModel` or a trained `PtychoPINN_Lightning`, also in `torch.nn.DataParallel`.
        ptycho_dset: a `PtychoDataset`, a `PtychoDataLoader`, `RawData`, a container, or a file; of several scans the
            one of `inference_config.experiment_number`.
        training_config: its device; that of the model where a class or None, as for the others.
        data_config: has no effect, as `model_config`; what fixes the network is the model's.
        inference_config: prediction and stitching.

    Raises:
        ValueError: patterns of another size than those of the training.
        RuntimeError: the model has not been trained.
    """
    from ptycho_torch.api.base_api import ConfigManager, InferenceEngine, PtychoModel
    from ptychopinn.api.client_scans import scans_of

    if not isinstance(model, PtychoModel):
        model = PtychoModel.of_module(model.module if isinstance(model, torch.nn.DataParallel) else model)
    manager = ConfigManager.from_loaded_model(model)
    if isinstance(inference_config, InferenceConfig):
        manager.inference_config = inference_config
    if isinstance(training_config, TrainingConfig):
        manager.training_config = training_config
    scans = ptycho_dset.scans if hasattr(ptycho_dset, "scans") else scans_of(ptycho_dset)
    engine = InferenceEngine(config_manager=manager, ptycho_model=model)
    made = engine.reconstruct_scans(scans)
    seconds = 0.0 if engine.timing is None else engine.timing.predict_s + engine.timing.stitch_s
    return ReassemblyReturn(torch.from_numpy(made.object_), torch.from_numpy(made.coverage), seconds)
