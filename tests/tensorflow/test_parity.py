"""The same weights and the same patterns give the same numbers in both frameworks, in double precision."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.bundle.layouts import to_tensorflow
from ptychopinn.config import SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch
from ptychopinn.data.mirror import MIRRORS
from ptychopinn.data.thinning import thin
from ptychopinn.simulation import simulate

FITTED = ("model.probe.trainable=true", "model.intensity_scale=trainable", "model.loss.amplitude_mae_weight=0.3")
MEAN_COUNT = 37.0


def compare(twin: SimpleNamespace, relative: Callable[[Any, Any], float]) -> None:
    """The bounds of the issue: patches 1e-5, amplitudes 1e-6, losses 1e-5, gradients to the weights 1e-4."""
    import tensorflow as tf

    losses = twin.torch.losses(twin.batch, MEAN_COUNT)
    torch.stack(list(losses.values())).sum().backward()
    wanted = twin.torch(twin.batch)
    arrays = {name: tf.constant(value) for name, value in twin.arrays.items()}
    with tf.GradientTape() as tape:
        found = twin.keras(arrays)
        terms = twin.keras.terms(arrays, found)
        total = tf.add_n(list(terms.values()))
    assert relative(found.patches, wanted.patches.detach()) < 1e-5
    assert relative(np.sqrt(found.expected), wanted.expected.detach().sqrt()) < 1e-6
    assert set(terms) == set(losses)
    for name, value in losses.items():
        assert float(terms[name]) == pytest.approx(float(value.detach()), rel=1e-5)
    wanted_slopes = to_tensorflow(
        {name: value.grad for name, value in twin.torch.named_parameters() if value.grad is not None}
    )
    names = {id(variable): name for name, variable in twin.keras.named_variables()}
    slopes = tape.gradient(total, twin.keras.trainable_variables)
    assert {names[id(variable)] for variable in twin.keras.trainable_variables} == set(wanted_slopes)
    for variable, slope in zip(twin.keras.trainable_variables, slopes, strict=True):
        assert relative(slope, wanted_slopes[names[id(variable)]]) < 1e-4, names[id(variable)]


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("gridsize", [1, 2])
@pytest.mark.parametrize("modes", [1, 2])
def test_patches_amplitudes_losses_and_gradients_agree(
    twins: Callable[..., SimpleNamespace],
    relative: Callable[[Any, Any], float],
    size: int,
    gridsize: int,
    modes: int,
) -> None:
    scan = simulate(
        SimulationConfig(
            object_size_px=size + 48, probe_size_px=size, probe_modes=modes, step_px=8, photons_per_pattern=1e5, seed=3
        )
    )
    compare(twins(scan, FITTED, gridsize**2), relative)


def masked(batch: Batch) -> Batch:
    measured = torch.ones(batch.amplitude.shape[-2:], dtype=torch.bool)
    measured[3:5, 2:9] = False
    return replace(batch, measured=measured, amplitude=batch.amplitude * measured)


def thinned(batch: Batch) -> Batch:
    part = thin(replace(batch, amplitude=batch.amplitude.float()), 0.3, torch.Generator().manual_seed(0))
    return replace(batch, seen=part.seen.double(), hidden_fraction=0.3)


@pytest.mark.parametrize(
    ("overrides", "change"),
    [
        (("model.subpixel=bilinear", "model.merge.weight=central"), None),
        (("model.merge.weight=uniform", "model.background=0.5"), masked),
        (("model.merge.enabled=false", "model.generator.input=log_counts"), masked),
        (("model.generator.input=amplitude", "model.generator.output=amplitude_phase"), None),
        (("model.generator.output=circular_phase", "model.generator.bottleneck=residual"), None),
        (("model.generator.grouping=stacked", "model.generator.levels=1"), None),
        (("model.background=0.5",), thinned),
        ((), MIRRORS[5].batch),
        ((), MIRRORS[7].batch),
        (
            (
                "model.loss.total_variation_weight=0.1",
                "model.loss.phase_mean_deviation_weight=0.1",
                "model.loss.penalties={smoothness: 0.1, edge_preserving: 0.2}",
                "model.loss.terms={amplitude: 0.5}",
            ),
            None,
        ),
    ],
)
def test_every_setting_that_both_have_agrees(
    twins: Callable[..., SimpleNamespace],
    relative: Callable[[Any, Any], float],
    scan: Scan,
    overrides: tuple[str, ...],
    change: Any,
) -> None:
    compare(twins(scan, (*FITTED, *overrides), 4, change), relative)


def test_the_supervised_loss_agrees(
    twins: Callable[..., SimpleNamespace], relative: Callable[[Any, Any], float], scan: Scan
) -> None:
    import tensorflow as tf

    from ptychopinn.models import with_labels

    twin = twins(with_labels(scan), ("model.kind=supervised",), 4)
    wanted = twin.torch.losses(twin.batch, MEAN_COUNT)["realspace_mae"]
    arrays = {name: tf.constant(value) for name, value in twin.arrays.items()}
    found = twin.keras.terms(arrays, twin.keras(arrays))["realspace_mae"]
    assert float(found) == pytest.approx(float(wanted.detach()), rel=1e-6)


def test_steps_of_the_optimiser_agree(twins: Callable[..., SimpleNamespace], scan: Scan) -> None:
    """With warm-up, clipping and weight decay; in float32 both differ, as tiny gradients hold rounding errors."""
    import tensorflow as tf

    from ptychopinn.config import TrainingConfig
    from ptychopinn.tensorflow.optimizer import make_optimizer
    from ptychopinn.training.module import make_schedule

    config = TrainingConfig(epochs=4, warmup_epochs=0.5, weight_decay=0.1)
    twin = twins(scan, ("model.generator.levels=1", "model.generator.width=4"), 4)
    network = list(twin.torch.generator.parameters())
    optimizer = torch.optim.AdamW(network, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = make_schedule(optimizer, config, 8, 2)
    ours = make_optimizer(twin.keras, config, 2)
    arrays = {name: tf.constant(value) for name, value in twin.arrays.items()}
    for _ in range(8):
        optimizer.zero_grad()
        wanted = torch.stack(list(twin.torch.losses(twin.batch, MEAN_COUNT).values())).sum()
        wanted.backward()
        torch.nn.utils.clip_grad_norm_(network, config.gradient_clip)
        optimizer.step()
        with tf.GradientTape() as tape:
            found = tf.add_n(list(twin.keras.terms(arrays, twin.keras(arrays)).values()))
        variables = twin.keras.trainable_variables
        assert float(ours.learning_rate) == pytest.approx(schedule.get_last_lr()[0], rel=1e-5)
        ours.apply_gradients(zip(tape.gradient(found, variables), variables, strict=True))
        schedule.step()
        assert float(found) == pytest.approx(float(wanted.detach()), rel=1e-4)


def test_predict_has_the_signature_of_the_earlier_implementation(
    backend: Any, twins: Callable[..., SimpleNamespace], relative: Callable[[Any, Any], float], scan: Scan
) -> None:
    """`predict([diffraction * intensity_scale, local_offsets])`, (B, H, W, C) and (B, 1, 2, C), (x, y)."""
    centre = scan.positions_px[:4].mean(axis=0)
    around = replace(scan, positions_px=scan.positions_px - centre)
    twin = twins(around, (), 4, lambda batch: replace(batch, index=batch.index))
    wanted = twin.torch.patches(twin.batch).detach().numpy()[:1]
    offsets = -around.positions_px[:4, ::-1].T[None, None]
    diffraction = np.moveaxis(twin.arrays["amplitude"][:1], 1, -1)
    found = backend.DiffractionToObject(twin.keras).predict([diffraction, offsets], verbose=0)
    assert relative(np.moveaxis(found, -1, 1), wanted) < 1e-5
