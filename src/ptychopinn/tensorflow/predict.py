"""Prediction by TensorFlow: behind the generator that reconstruction asks, and as a Keras model of its own."""

from collections.abc import Sequence
from typing import Any, final

import keras
import tensorflow as tf
import torch
from torch import Tensor, nn

from ptychopinn.bundle.layouts import to_pytorch, to_tensorflow
from ptychopinn.config import Recipe
from ptychopinn.config.backend import Backend
from ptychopinn.config.training import CompileMode
from ptychopinn.generators import Generator
from ptychopinn.generators import GroupView as TorchView
from ptychopinn.models import PatchModel as TorchModel
from ptychopinn.tensorflow.generator import GroupView
from ptychopinn.tensorflow.physics import shifted_probes, split_position
from ptychopinn.tensorflow.pinn import PatchModel, build_model


@final
class KerasGenerator(Generator):
    """The generator of a model, computed by Keras; everything around it asks it as any other generator.

    Its weights also stand in the module `network`, which is not computed with: archives and checkpoints are made of
    it. `keep` brings them there after training.

    Args:
        network: of the same generator in PyTorch.
        model: the Keras model with the same weights.
    """

    backend: Backend = "tensorflow"

    def __init__(self, network: nn.Module, model: PatchModel) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.model = model
        self._run = tf.function(self._patches, autograph=False, reduce_retracing=True)

    @property
    def scene_solver(self) -> None:
        """None: patches are merged afterwards."""
        return None

    def forward(self, view: TorchView) -> Tensor:
        """Patches (B, G, H, W), complex."""
        patches = self._run(*_arguments(view), self.model.config.background)
        return torch.from_numpy(patches.numpy()).to(view.amplitude.device)

    def stage_patches(self, view: TorchView) -> list[Tensor]:
        """The patches alone."""
        return [self(view)]

    def network_input(self, view: TorchView) -> Tensor:
        """(B, G, H, W, C), normalised."""
        amplitude, measured, probes, detector_probes = map(_tensor, _arguments(view))
        seen = GroupView(amplitude, measured, probes, detector_probes, self.model.config.background)
        return torch.from_numpy(self.model.generator.network_input(seen).numpy())

    def compile_networks(self, mode: CompileMode = "default") -> None:
        """Keras compiles its networks itself."""

    def _patches(self, *view: Any) -> tf.Tensor:
        return self.model.generator(view=GroupView(*view))

    def __deepcopy__(self, memo: Any) -> "KerasGenerator":
        copy = KerasGenerator(self.network, self.model)
        copy.input_mean.copy_(self.input_mean)
        copy.input_deviation.copy_(self.input_deviation)
        return copy


def _arguments(view: TorchView) -> tuple[Any, ...]:
    tensors = (view.amplitude, view.measured, view.probes, view.detector_probes)
    amplitude, measured, probes, detector = (None if x is None else x.detach().cpu().numpy() for x in tensors)
    if measured is not None and measured.ndim == 2:
        measured = measured[None, None]
    return amplitude, measured, probes, detector


def _tensor(value: Any) -> Any:
    return None if value is None else tf.convert_to_tensor(value)


def with_keras(model: TorchModel, recipe: Recipe) -> PatchModel:
    """Let a model of PyTorch predict by TensorFlow, in place; returns the Keras model with its weights."""
    weights = {name: value.detach().cpu().numpy() for name, value in to_tensorflow(model.state_dict()).items()}
    made = build_model(recipe, weights)
    generator = KerasGenerator(model.generator.network, made)  # type: ignore[arg-type]
    generator.normalise_by(float(model.generator.input_mean), float(model.generator.input_deviation))
    model.generator = generator
    return made


@torch.no_grad()
def keep(model: TorchModel, made: PatchModel) -> None:
    """Bring the weights of a Keras model to the model that it belongs to."""
    weights = {name: torch.from_numpy(value) for name, value in made.weights_by_name().items()}
    model.load_state_dict(to_pytorch(weights))


class DiffractionToObject(keras.Model):
    """Object patches from diffraction, with the signature of the earlier implementation and the probe of the model.

    `predict([diffraction * intensity_scale, local_offsets])` takes amplitudes (B, H, W, C), sqrt(photons), and local
    offsets (B, 1, 2, C), px, (x, y), minus the position relative to the group's centre; it returns complex patches
    (B, H, W, C).

    Args:
        model: whose generator and probe are used; they are shared.
    """

    def __init__(self, model: PatchModel) -> None:
        super().__init__(dtype=model.dtype)
        self.generator = model.generator
        self.beam = model.beam
        self.model_config = model.config
        self.built = True

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Patches (B, H, W, C)."""
        diffraction, offsets = inputs
        positions = -tf.transpose(offsets[:, 0], (0, 2, 1))[..., ::-1]
        exact = self.model_config.subpixel != "bilinear"
        remainder = split_position(positions)[1] if exact else tf.zeros_like(positions)
        probes, detector_probes = shifted_probes(self.beam.probe, remainder)
        amplitude = tf.transpose(diffraction, (0, 3, 1, 2))
        view = GroupView(amplitude, None, probes, detector_probes, self.model_config.background)
        return tf.transpose(self.generator(view=view), (0, 2, 3, 1))
