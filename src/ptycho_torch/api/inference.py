"""Reconstruction as the high-level API calls it."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import PtychoDataLoader
from ptycho_torch.api.model import PtychoModel, trained_model
from ptycho_torch.api.task_log import CLIENT, client_log
from ptychopinn.config import Recipe
from ptychopinn.data import Scan

if TYPE_CHECKING:
    from ptychopinn.data.reconstruction import Reconstruction
    from ptychopinn.reconstruction import Timing

logger = logging.getLogger(f"{CLIENT}.inference")


class InferenceEngine:
    """Turns patterns into an image by a model, with the `inference_config` and the device of the `config_manager`.

    Args:
        config_manager: its `inference_config` and the device of its `training_config` are used.
        ptycho_model: trained or loaded.
    """

    def __init__(self, config_manager: ConfigManager, ptycho_model: PtychoModel) -> None:
        self.config_manager = config_manager
        self.ptycho_model = ptycho_model
        self.timing: Timing | None = None
        """Time of prediction and of stitching, apart, of the last reconstruction."""

    def predict_and_stitch(self, data_loader: PtychoDataLoader) -> NDArray[np.complex64]:
        """The object (H, W), complex64, in the frame of the client's object; 1 where no beam went.

        Of several scans the one that `inference_config.experiment_number` names is taken. A `ValueError` names the size
        of the patterns and that of the training where they differ.

        Raises:
            ValueError: patterns of another size than those of the training; the message has both.
            RuntimeError: the model has not been trained.
        """
        return np.ascontiguousarray(self.reconstruct(data_loader).object_)

    def reconstruct(self, data_loader: PtychoDataLoader) -> "Reconstruction":
        """The same with coverage, positions and probe, see `ptychopinn.data.reconstruction.Reconstruction`."""
        with client_log():
            return self._reconstruct(self._scan(data_loader), self._recipe())

    def _reconstruct(self, scan: Scan, recipe: Recipe) -> "Reconstruction":
        from ptychopinn.api.inputs import log_backend
        from ptychopinn.reconstruction import Reconstructor

        trained = replace(trained_model(self.ptycho_model.module()), recipe=recipe)
        log_backend(recipe)
        reconstructor = Reconstructor.for_scan(trained, scan, device=recipe.training.device)
        result, self.timing = reconstructor.image()
        logger.info("predicted in %.2f s, stitched in %.2f s", self.timing.predict_s, self.timing.stitch_s)
        return result

    def _recipe(self) -> Recipe:
        """That of the training, with the present settings of prediction and the present device."""
        wanted = self.config_manager.recipe()
        trained = self.ptycho_model.module().recipe
        training = trained.training.changed(device=wanted.training.device)
        recipe = trained.changed(reconstruction=wanted.reconstruction, training=training)
        return self.config_manager.on_usable_device(recipe)

    def _scan(self, data_loader: PtychoDataLoader) -> Scan:
        number, scans = self.config_manager.inference_config.experiment_number, data_loader.scans
        if len(scans) == 1:
            return scans[0]
        if not 0 <= number < len(scans):
            raise ValueError(f"experiment_number is {number}, but there are {len(scans)} scans; count from 0")
        return scans[number]
