"""The trainable models of `ptychopinn.models` as Keras models: a generator, the probe and the physics."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ptychopinn.config import ModelConfig, Recipe
from ptychopinn.tensorflow.generator import GroupView, SinglePass
from ptychopinn.tensorflow.losses import DataLoss, data_terms, masked_mean, penalty_terms, realspace_mae
from ptychopinn.tensorflow.patches import extract_patches, merge_group, power_weight
from ptychopinn.tensorflow.physics import as_complex, blurred, detect_patches, shifted_probes

Batch = Mapping[str, tf.Tensor]
"""A batch as `ptychopinn.tensorflow.batches` makes it: what a `ptychopinn.data.dataset.Batch` holds, by name."""
Weights = Mapping[str, NDArray[Any]]
"""Name in an archive of TensorFlow -> value; see `ptychopinn.bundle.layouts`."""


class Prediction(NamedTuple):
    """What the model makes of a batch; see `ptychopinn.models.Prediction`."""

    patches: tf.Tensor
    """(B, G, H, W), as the generator gave them."""
    merged: tf.Tensor
    """(B, Y, X), one object for each group."""
    merged_patches: tf.Tensor
    """(B, G, H, W), cut out of the merged object again."""
    expected: tf.Tensor
    """(B, G, H, W), photons at the detector."""


class HeldPhotons(keras.constraints.Constraint):
    """Scales a probe after every step so that it keeps its photons and exchanges no factor with the network."""

    def __init__(self, photons: float) -> None:
        self.photons = photons

    def __call__(self, w: tf.Tensor) -> tf.Tensor:
        """Real and imaginary parts (M, H, W, 2)."""
        return w * tf.sqrt(self.photons / tf.reduce_sum(tf.square(w)))


class Beam(keras.layers.Layer):
    """The probe as its real and imaginary parts, its unit, and the logarithm of the intensity scale."""

    def __init__(self, config: ModelConfig, weights: Weights, dtype: str) -> None:
        super().__init__(dtype=dtype)
        parts = weights["probe_parts"]
        held = HeldPhotons(float(np.square(parts, dtype=np.float64).sum()))
        self.probe_parts = self.add_weight(
            shape=parts.shape, name="probe_parts", trainable=config.probe.trainable, constraint=held
        )
        self.probe_unit = self.add_weight(shape=(), name="probe_unit", trainable=False)
        fits_scale = config.intensity_scale == "trainable"
        self.log_scale = self.add_weight(shape=(), name="log_scale", trainable=fits_scale)
        self.built = True

    @property
    def probe(self) -> tf.Tensor:
        """(M, H, W), sqrt(photons), the intensity scale included."""
        parts = tf.convert_to_tensor(self.probe_parts)
        return tf.complex(parts[..., 0], parts[..., 1]) * as_complex(self.probe_unit * tf.exp(self.log_scale))


class PatchModel(keras.Model):
    """A generator with the probe and the scale that its patches belong to.

    Args:
        recipe: what to build.
        weights: every weight by its name in an archive.
        dtype: `float32` or `float64`.
    """

    def __init__(self, recipe: Recipe, weights: Weights, dtype: str = "float32") -> None:
        super().__init__(dtype=dtype)
        self.config = recipe.model
        self.generator = SinglePass(recipe.model.generator, recipe.data.group_size, dtype)
        self.beam = Beam(recipe.model, weights, dtype)
        self.term_means: dict[str, keras.metrics.Mean] = {}
        self.load(weights)
        self.built = True

    def named_variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Every weight with its name in an archive."""
        for variable in self.beam.weights:
            yield variable.name, variable
        for variable in (self.generator.input_mean, self.generator.input_deviation):
            yield f"generator.{variable.name}", variable
        for name, variable in self.generator.network.named_variables():
            yield f"generator.network.{name}", variable

    def load(self, weights: Weights) -> None:
        """Take every weight; a `KeyError` names one that is missing."""
        for name, variable in self.named_variables():
            variable.assign(weights[name])

    def weights_by_name(self) -> dict[str, NDArray[Any]]:
        """Every weight by its name in an archive."""
        return {name: np.asarray(keras.ops.convert_to_numpy(variable)) for name, variable in self.named_variables()}

    def view(self, batch: Batch) -> GroupView:
        """What the physics sees of a batch, with gradients to what is fitted of probe and scale."""
        remainder = batch["remainder_px"]
        if self.config.subpixel == "bilinear":
            remainder = tf.zeros_like(remainder)
        probe = batch.get("probe", self.beam.probe)
        probe = mirrored(probe, batch["mirror"]) if "mirror" in batch else probe
        probes, detector_probes = shifted_probes(probe, tf.cast(remainder, probe.dtype.real_dtype))
        return GroupView(batch["amplitude"], batch.get("measured"), probes, detector_probes, self.config.background)

    def positions(self, batch: Batch) -> tf.Tensor:
        """Where the patches (B, G) lie on the canvases: whole pixels, or fractional if bilinear."""
        whole, remainder = batch["whole_px"], batch["remainder_px"]
        return tf.cast(whole, remainder.dtype) + remainder if self.config.subpixel == "bilinear" else whole

    def seen(self, batch: Batch, view: GroupView) -> GroupView:
        """What the generator sees: without gradients, and of thinned counts only its part."""
        view = view.detached()
        return view if "seen" not in batch else view.exposed(batch["seen"], 1 - batch["hidden_fraction"])

    def compute_loss(  # type: ignore[no-untyped-def]
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ) -> tf.Tensor:
        """The sum of the weighted terms; Keras asks for it in every step."""
        terms = self.terms(x, y_pred)
        count = tf.cast(tf.shape(x["amplitude"])[0], self.compute_dtype)
        for name, value in terms.items():
            self.term_means[name].update_state(value, sample_weight=count)
        return tf.add_n(list(terms.values()))

    def terms(self, batch: Batch, prediction: Any) -> dict[str, tf.Tensor]:
        """The weighted terms of the loss by name; training minimises their sum."""
        raise NotImplementedError


class PtychoPINN(PatchModel):
    """Self-supervised: compares detect(propagate(illuminate(probe, extract(merge(patches))))) with the counts."""

    def __init__(self, recipe: Recipe, weights: Weights, dtype: str = "float32") -> None:
        super().__init__(recipe, weights, dtype)
        self.data_terms: dict[str, tuple[float, DataLoss]] = data_terms(recipe.model.loss)
        self.penalty_terms = penalty_terms(recipe.model.loss)
        names = [*self.data_terms, "realspace_mae", *self.penalty_terms]
        self.term_means = {name: keras.metrics.Mean(name) for name in names}

    def call(self, batch: Batch) -> Prediction:
        """Patches, merged object and expected photons."""
        view = self.view(batch)
        patches, positions = self.generator(view=self.seen(batch, view)), self.positions(batch)
        kind = self.config.merge.weight
        assert kind != "legacy"  # `check_supported` refuses it
        weight = power_weight(kind, tf.stop_gradient(view.power))
        merged = merge_group(patches, weight, positions, batch["canvas_shape"])
        size = (patches.shape[-2], patches.shape[-1])
        merged_patches = extract_patches(merged, positions, size) if self.config.merge.enabled else patches
        photons = blurred(detect_patches(merged_patches, view.probes), self.config.blur_px)
        expected = photons + self.config.background
        return Prediction(patches, merged, merged_patches, expected)

    def terms(self, batch: Batch, prediction: Prediction) -> dict[str, tf.Tensor]:
        """See `ptychopinn.config.LossConfig`; where the counts were thinned, those not seen are compared."""
        config, terms = self.config.loss, {}
        counts, part = tf.square(batch["amplitude"]), tf.ones((), self.compute_dtype)
        if "seen" in batch:
            counts, part = tf.maximum(counts - tf.square(batch["seen"]), 0), batch["hidden_fraction"]
        for name, (weight, loss) in self.data_terms.items():
            mean = masked_mean(loss.value(part * prediction.expected, counts), batch.get("measured"))
            terms[name] = weight * mean / (part * batch["mean_count"]) ** loss.photons_power
        if config.realspace_weight and config.realspace_mae_weight and "labels" in batch:
            mae = realspace_mae(prediction.merged_patches, batch["labels"])
            terms["realspace_mae"] = config.realspace_weight * config.realspace_mae_weight * mae
        for name, (weight, penalty) in self.penalty_terms.items():
            terms[name] = weight * penalty(prediction.merged_patches)
        return terms


class Supervised(PatchModel):
    """Mean absolute error of complex patches against labels, weighted by the probe's intensity."""

    def __init__(self, recipe: Recipe, weights: Weights, dtype: str = "float32") -> None:
        super().__init__(recipe, weights, dtype)
        self.term_means = {"realspace_mae": keras.metrics.Mean("realspace_mae")}

    def call(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Patches (B, G, H, W), and the intensity of the probe on them."""
        view = self.view(batch)
        return self.generator(view=self.seen(batch, view)), tf.stop_gradient(view.power)

    def terms(self, batch: Batch, prediction: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One term, `realspace_mae`."""
        patches, power = prediction
        weight = power_weight("probe", power)
        error = tf.abs(patches - batch["labels"])
        return {"realspace_mae": tf.reduce_sum(weight / tf.reduce_sum(weight) * error)}


def build_model(recipe: Recipe, weights: Weights, dtype: str = "float32") -> PatchModel:
    """The model of a recipe with its weights; see `PatchModel`."""
    kind = {"pinn": PtychoPINN, "supervised": Supervised}[recipe.model.kind]
    return kind(recipe, weights, dtype)


def mirrored(probe: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
    """Probes (..., H, W) as `ptychopinn.data.mirror.Mirror` mirrors rows, columns, then transposes; flags (3,)."""
    for number, axis in enumerate((-2, -1)):
        flipped = tf.roll(tf.reverse(probe, (len(probe.shape) + axis,)), 1 - probe.shape[axis] % 2, axis)
        probe = tf.where(flags[number], flipped, probe)
    return tf.where(flags[2], tf.linalg.matrix_transpose(probe), probe)
