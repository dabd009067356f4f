"""Reconstruction as the high-level API calls it."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import PtychoDataLoader
from ptycho_torch.api.devices import on_usable_device
from ptycho_torch.api.model import PtychoModel
from ptycho_torch.api.task_log import CLIENT, client_log
from ptychopinn.config import Recipe
from ptychopinn.data import Scan

if TYPE_CHECKING:
    from ptychopinn.data.reconstruction import Reconstruction
    from ptychopinn.reconstruction import Timing

logger = logging.getLogger(f"{CLIENT}.inference")


class InferenceEngine:
    """Turns patterns into an image by a trained model.

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

        Of several scans the one that `inference_config.experiment_number` names is taken.

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
        from ptychopinn.api.inputs import say_what_runs
        from ptychopinn.api.reconstruct import check_fits, use_probe
        from ptychopinn.data.dataset import ScanTensors
        from ptychopinn.data.device import choose_device
        from ptychopinn.reconstruction import predict_and_stitch
        from ptychopinn.training import prediction_groups

        network = self.ptycho_model.module().trained()
        check_fits(scan, recipe)
        say_what_runs(recipe)
        tensors = ScanTensors(self._masked(scan), choose_device(recipe.training.device))
        network.to(tensors.device)
        use_probe(network, recipe, tensors, "auto")
        result, self.timing = predict_and_stitch(
            network, tensors, prediction_groups(scan, recipe), recipe.reconstruction
        )
        logger.info("predicted in %.2f s, stitched in %.2f s", self.timing.predict_s, self.timing.stitch_s)
        return result

    def _recipe(self) -> Recipe:
        """That of the training, with the present settings of prediction and the present device."""
        wanted = self.config_manager.recipe()
        trained = self.ptycho_model.module().recipe
        training = trained.training.changed(device=wanted.training.device)
        recipe = trained.changed(reconstruction=wanted.reconstruction, training=training)
        return on_usable_device(recipe, self.config_manager.training_config.device)

    def _scan(self, data_loader: PtychoDataLoader) -> Scan:
        number, scans = self.config_manager.inference_config.experiment_number, data_loader.scans
        if len(scans) == 1:
            return scans[0]
        if not 0 <= number < len(scans):
            raise ValueError(f"experiment_number is {number}, but there are {len(scans)} scans; count from 0")
        return scans[number]

    def _masked(self, scan: Scan) -> Scan:
        """A scan without a mask gets that of the training: the client fills such pixels in and tells no mask."""
        unseen = self.ptycho_model.module().bad_pixels
        if scan.bad_pixels is not None or unseen is None:
            return scan
        return replace(scan, bad_pixels=unseen.numpy())
