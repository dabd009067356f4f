"""Reconstruction as the high-level API calls it."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import DataLoaderProtocol
from ptycho_torch.api.model import PtychoModel
from ptycho_torch.api.task_log import CLIENT, client_log
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn.config import Recipe
from ptychopinn.data import Scan

if TYPE_CHECKING:
    from torch import Tensor

    from ptychopinn.data.reconstruction import Reconstruction
    from ptychopinn.reconstruction import Reconstructor, Timing

logger = logging.getLogger(f"{CLIENT}.inference")


class InferenceEngine:
    """Turns patterns into an image by a model, with the `inference_config` and the device of the `config_manager`.

    Args:
        ptycho_model: trained or loaded.
        config_manager: its `inference_config` and the device of its `training_config` are used; those of the model by
            default.
        model_config: has no effect, as `data_config`; the network is that of the model.
        training_config: instead of that of the manager, as `inference_config`.
    """

    def __init__(
        self,
        ptycho_model: PtychoModel,
        config_manager: ConfigManager | None = None,
        model_config: ModelConfig | None = None,
        data_config: DataConfig | None = None,
        training_config: TrainingConfig | None = None,
        inference_config: InferenceConfig | None = None,
    ) -> None:
        self.config_manager = config_manager or ConfigManager.from_loaded_model(ptycho_model)
        self.config_manager.update(training_config=training_config, inference_config=inference_config)
        self.ptycho_model = ptycho_model
        self.timing: Timing | None = None
        """Time of prediction and of stitching, apart, of the last reconstruction."""

    def predict(self, ptycho_dataloader: DataLoaderProtocol, device: str = "cuda") -> "Tensor":
        """Patches (n, C, H, W), complex64 on the CPU, of the groups of a scan, in the order of its patterns.

        The device `cuda` means the CPU where there is none. Errors are those of `predict_and_stitch`.
        """
        import torch

        manager = ConfigManager(*self.config_manager.four)
        manager.training_config = replace(manager.training_config, device=device)
        recipe = InferenceEngine(self.ptycho_model, manager)._recipe()
        with client_log():
            patches, _ = self._reconstructor(self._scan(ptycho_dataloader.scans), recipe).patches()
        return torch.from_numpy(np.ascontiguousarray(patches))

    def predict_and_stitch(self, ptycho_dataloader: DataLoaderProtocol) -> NDArray[np.complex64]:
        """The object (H, W), complex64, in the frame of the client's object; 1 where no beam went.

        Of several scans the one that `inference_config.experiment_number` names is taken.

        Raises:
            ValueError: patterns of another size than those of the training; the message has both.
            RuntimeError: the model has not been trained.
        """
        return np.ascontiguousarray(self.reconstruct(ptycho_dataloader).object_)

    def reconstruct(self, ptycho_dataloader: DataLoaderProtocol) -> "Reconstruction":
        """The same with coverage, positions and probe, see `ptychopinn.data.reconstruction.Reconstruction`."""
        return self.reconstruct_scans(ptycho_dataloader.scans)

    def reconstruct_scans(self, scans: Sequence[Scan]) -> "Reconstruction":
        """The same of scans that no loader holds."""
        from ptychopinn.api.inputs import log_backend

        with client_log():
            recipe = self._recipe()
            log_backend(recipe)
            result, self.timing = self._reconstructor(self._scan(scans), recipe).image()
            logger.info("predicted in %.2f s, stitched in %.2f s", self.timing.predict_s, self.timing.stitch_s)
        return result

    def _reconstructor(self, scan: Scan, recipe: Recipe) -> "Reconstructor":
        from ptychopinn.reconstruction import Reconstructor

        trained = replace(self.ptycho_model.module().as_trained(), recipe=recipe)
        return Reconstructor.for_scan(trained, scan, device=recipe.training.device)

    def _recipe(self) -> Recipe:
        """That of the training, with the present settings of prediction and the present device."""
        from ptychopinn.data.device import on_usable_device

        wanted = self.config_manager.recipe()
        trained = self.ptycho_model.module().recipe
        training = trained.training.changed(device=wanted.training.device)
        recipe = trained.changed(reconstruction=wanted.reconstruction, training=training)
        return on_usable_device(recipe, self.config_manager.training_config.device)

    def _scan(self, scans: Sequence[Scan]) -> Scan:
        number = self.config_manager.inference_config.experiment_number
        if len(scans) > 1 and not 0 <= number < len(scans):
            raise ValueError(f"experiment_number is {number}, but there are {len(scans)} scans; count from 0")
        return scans[number if len(scans) > 1 else 0]
