"""The network module of the PyTorch contract: built when the data are known, kept in one `.ckpt` file."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ptycho_torch.api.checkpoint import read_checkpoint
from ptycho_torch.plain_configs import from_dicts
from ptycho_torch.to_recipe import recipe_of
from ptychopinn.config import ModelConfig as CoreModelConfig
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import Batch
from ptychopinn.models import PatchModel


def loss_names(config: CoreModelConfig) -> tuple[str, str]:
    """Names of the training and of the validation loss, by the leading term of the loss.

    >>> loss_names(CoreModelConfig())
    ('poisson_train_loss', 'poisson_val_loss')
    """
    leading = "poisson" if config.kind == "pinn" and config.loss.poisson_weight > 0 else "mae"
    return f"{leading}_train_loss", f"{leading}_val_loss"


class PtychoPINN_Lightning(nn.Module):
    """The network with the configurations that it was made by.

    The network itself depends on the patterns and the probe: it is None until training, or `load_from_checkpoint`, has
    built it.

    Raises:
        ValueError: settings that contradict each other, or that no field may have.

    Args:
        model_config: network and losses.
        data_config: grouping and scaling.
        training_config: budget, optimiser, hardware.
        inference_config: prediction and stitching.
    """

    def __init__(self, model_config: Any, data_config: Any, training_config: Any, inference_config: Any) -> None:
        super().__init__()
        self.data_config = data_config
        self.model_config = model_config
        self.training_config = training_config
        self.inference_config = inference_config
        self.recipe: Recipe = recipe_of(data_config, model_config, training_config, inference_config)
        self.loss_name, self.val_loss_name = loss_names(self.recipe.model)
        self.network: PatchModel | None = None
        self.bad_pixels: Tensor | None = None

    def take(self, network: PatchModel, recipe: Recipe, bad_pixels: Tensor | None = None) -> None:
        """Hold a trained network, its complete recipe, and the pixels (H, W) that it never saw."""
        self.network = network
        self.recipe = recipe
        self.bad_pixels = bad_pixels

    def trained(self) -> PatchModel:
        """The network; a `RuntimeError` where it has not been trained or loaded yet.

        Raises:
            RuntimeError: it has not been trained or loaded yet.
        """
        if self.network is None:
            raise RuntimeError("the network has not been built yet; train it, or load a checkpoint")
        return self.network

    def forward(self, batch: Batch) -> Tensor:
        """Complex patches (B, G, H, W) of a batch of the core."""
        return self.trained().patches(batch)

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: str | Path,
        model_config: Any = None,
        data_config: Any = None,
        training_config: Any = None,
        inference_config: Any = None,
    ) -> "PtychoPINN_Lightning":
        """A trained network, on the CPU, whatever device it was trained on; errors are those of `read_checkpoint`.

        A configuration that is given takes the place of the stored one; the network stays as it was.

        Args:
            checkpoint_path: of the file.
            model_config: takes the place of the stored one, as do the others; what fixes the network stays as it was.
            data_config: see above.
            training_config: see above.
            inference_config: see above.

        Raises:
            FileNotFoundError: no such file.
            ValueError: it is no checkpoint, or is damaged; the message names the file.
        """
        stored = read_checkpoint(checkpoint_path)
        data, model, training, inference = from_dicts(stored.configs)
        module = cls(
            model_config=model_config or model,
            data_config=data_config or data,
            training_config=training_config or training,
            inference_config=inference_config or inference,
        )
        module.take(stored.network(str(checkpoint_path)), stored.recipe, stored.bad_pixels)
        return module
