"""The networks of the PyTorch contract: built when the data are known, kept in one `.ckpt` file."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ptycho_torch.api.checkpoint import read_checkpoint
from ptycho_torch.config_params import DataConfig, InferenceConfig, TrainingConfig
from ptycho_torch.plain_configs import as_dicts, config_of, from_dicts
from ptycho_torch.to_recipe import recipe_of
from ptychopinn.config import ModelConfig as CoreModelConfig
from ptychopinn.data.dataset import Batch
from ptychopinn.errors import ConfigError
from ptychopinn.generators.outputs import OUTPUTS
from ptychopinn.generators.registry import resolve
from ptychopinn.models import PatchModel, masked_probe
from ptychopinn.physics import exit_wave
from ptychopinn.training.by_hand import batch_of, expected_amplitude
from ptychopinn.training.own_trainer import OwnTrainerModule, untrained

logger = logging.getLogger("ptychopinn-torch.training")


def loss_names(config: CoreModelConfig) -> tuple[str, str]:
    """Names of the training and of the validation loss, such as `poisson_train_loss`, by its leading term."""
    leading = "poisson" if config.kind == "pinn" and config.loss.poisson_weight > 0 else "mae"
    return f"{leading}_train_loss", f"{leading}_val_loss"


class Autoencoder(nn.Module):
    """The network alone, on amplitudes: (B, C, H, W) to amplitude and phase (rad) of the patches, (B, C, H, W) each.

    Every pattern is encoded alone, whatever `data_config` is.
    """

    def __init__(self, model_config: Any, data_config: Any = None) -> None:
        super().__init__()
        config = recipe_of(data_config or {}, model_config, {}, {}).model.generator
        self.output = OUTPUTS[config.output]
        self.network = resolve(config.architecture)(1, self.output.channels, config)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude and phase of the patches."""
        patches = self.output.patches(self.network(x.flatten(0, 1)[:, None])).reshape(x.shape)
        return patches.abs(), patches.angle()


class ProbeIllumination(nn.Module):
    """Exit waves of patches under a probe, masked where the settings say so.

    `probe_mask` and its diameter stand in `model_config`; `N` of `data_config` is what the diameter refers to.
    """

    def __init__(self, model_config: Any, data_config: Any = None) -> None:
        super().__init__()
        self.config = recipe_of(data_config or {}, model_config, {}, {}).model.probe

    def forward(self, x: Tensor, probe: Tensor) -> Tensor:
        """Exit waves (B, C, H, W) of patches (B, C, H, W) and a probe (H, W), or (B, C, M, H, W) of (M, H, W)."""
        waves = exit_wave(masked_probe(_modes(probe), self.config), x)
        return waves[..., 0, :, :] if probe.ndim == 2 else waves


class PtychoPINN(nn.Module):
    """Network and physics: patterns to patches and to expected amplitudes.

    `training_config` and `generator_output` have no effect here.

    Raises:
        ConfigError: settings that contradict each other, or a generator of one's own.
    """

    def __init__(
        self,
        model_config: Any,
        data_config: Any,
        training_config: Any = None,
        generator: nn.Module | None = None,
        generator_output: str = "amp_phase",
    ) -> None:
        super().__init__()
        _refuse_module(generator)
        recipe = recipe_of(data_config, model_config, training_config or {}, {})
        self.network = untrained(recipe, config_of(DataConfig, data_config).N)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        probe: Tensor,
        input_scale_factor: Any = None,
        output_scale_factor: Any = None,
        experiment_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Expected amplitudes at the detector, and amplitude and phase of the patches, (B, C, H, W) each.

        Args:
            x: (B, C, H, W), measured amplitudes, sqrt(photons); the photons are the scale, no factor has an effect.
            positions: (B, C, 1, 2), [x, y], group centre minus position, px.
            probe: (H, W) or (M, H, W) complex, sqrt(photons).
        """
        return _forward(self.network, x, positions, probe)

    def forward_predict(self, x: Tensor, positions: Tensor, probe: Tensor, input_scale_factor: Any = None) -> Tensor:
        """Complex patches (B, C, H, W); arguments as for `forward`."""
        return self.network.patches(batch_of(x, _yx(positions), _modes(probe)))


class PtychoPINN_Lightning(OwnTrainerModule):
    """The network with the configurations that it was made by; `Trainer().fit(module, loader)` trains it.

    The network depends on the patterns: it is None until training, or `load_from_checkpoint`, has built it. The loader
    gives the dictionaries of `ptycho_torch.dataloader.PtychoDataset`; the probe is theirs, and is not fitted.

    Args:
        generator_module: refused; register it as an architecture.
        generator_overrides: has no effect, as all that begins with `parity_`: settings and counts say it all.

    Raises:
        ConfigError: settings that contradict each other, or a generator of one's own.
    """

    def __init__(
        self,
        model_config: Any,
        data_config: Any,
        training_config: Any = None,
        inference_config: Any = None,
        generator_module: nn.Module | None = None,
        generator_output: str = "amp_phase",
        generator_overrides: Mapping[str, Any] | None = None,
        parity_scale_mode: str = "off",
        parity_fixed_delta: float = 0.0,
        parity_init_scheme: str = "default",
    ) -> None:
        _refuse_module(generator_module)
        parity = (parity_scale_mode, parity_fixed_delta, parity_init_scheme)
        if generator_overrides or parity != ("off", 0.0, "default"):
            logger.warning("generator_overrides and parity_* have no effect: the settings name network and scale")
        training_config = TrainingConfig() if training_config is None else training_config
        inference_config = InferenceConfig() if inference_config is None else inference_config
        recipe = recipe_of(data_config, model_config, training_config, inference_config)
        super().__init__(recipe, config_of(DataConfig, data_config).N, _by_scan, loss_names(recipe.model))
        self.data_config, self.model_config = data_config, model_config
        self.training_config, self.inference_config = training_config, inference_config

    def forward(
        self,
        x: Tensor | Batch,
        positions: Tensor | None = None,
        probe: Tensor | None = None,
        input_scale_factor: Any = None,
        output_scale_factor: Any = None,
        experiment_ids: Tensor | None = None,
    ) -> Any:
        """As `PtychoPINN.forward`; of a batch of the core its complex patches (B, G, H, W)."""
        if isinstance(x, Batch):
            return self.trained().patches(x)
        if positions is None or probe is None:
            raise ValueError("forward needs patterns, positions and a probe; give forward(x, positions, probe)")
        return _forward(self.trained(), x, positions, probe)

    def forward_predict(self, x: Tensor, positions: Tensor, probe: Tensor, input_scale_factor: Any = None) -> Tensor:
        """Complex patches (B, C, H, W); arguments as for `PtychoPINN.forward`."""
        return self.trained().patches(batch_of(x, _yx(positions), _modes(probe)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep recipe and configurations with the weights, as plain values."""
        super().on_save_checkpoint(checkpoint)
        configs = as_dicts(self.data_config, self.model_config, self.training_config, self.inference_config)
        checkpoint["hyper_parameters"]["configs"] = configs

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        model_config: Any = None,
        data_config: Any = None,
        training_config: Any = None,
        inference_config: Any = None,
    ) -> "PtychoPINN_Lightning":
        """A trained network, on the CPU, whatever device it was trained on.

        A configuration that is given takes the place of the stored one; the network stays as it was.

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


def _refuse_module(module: nn.Module | None) -> None:
    if module is not None:
        raise ConfigError(
            "a network of one's own is given by its name: register it by ptychopinn.generators.register(name, make) "
            "and set model_config.architecture; docs/dev/extending.md has an example"
        )


def _forward(network: PatchModel, x: Tensor, positions: Tensor, probe: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    expected, patches = expected_amplitude(network, batch_of(x, _yx(positions), _modes(probe)))
    return expected, patches.abs(), patches.angle()


def _by_scan(batch: Mapping[str, Tensor]) -> Iterator[Batch]:
    """The groups of each scan as a batch of the core."""
    for number in batch["experiment_id"].unique():
        rows = batch["experiment_id"] == number
        images, relative = batch["images"][rows], _yx(batch["coords_relative"][rows])
        yield batch_of(images, relative, _modes(batch["probe"][rows][0]), batch["nn_indices"][rows])


def _yx(positions: Tensor) -> Tensor:
    """(B, C, 2), (y, x), position minus group centre, of (B, C, 1, 2), [x, y], centre minus position."""
    return -positions[:, :, 0].flip(-1)


def _modes(probe: Tensor) -> Tensor:
    """(M, H, W) of a probe (H, W) or (M, H, W), or of a batch that repeats it."""
    while probe.ndim > 3:
        probe = probe[0]
    return probe if probe.ndim == 3 else probe[None]
