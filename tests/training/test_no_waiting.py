"""A training step asks the device for no number: the host runs ahead, and an epoch waits once at its end."""

import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.models import build_model, prepare_probe
from ptychopinn.physics import patches
from ptychopinn.training import fit

MakeRecipe = Callable[..., Recipe]
WAITING = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.nonzero.default,
}
"""Operations whose result, or its size, must be known to the host: `.item()`, `float(tensor)`, `if tensor`, ..."""
VARIANTS = [
    (),
    ("model.probe.trainable=true", "model.positions.trainable=true", "model.intensity_scale=trainable"),
    ("model.generator.architecture=unrolled", "training.mirror=true"),
    ("model.subpixel=bilinear", "model.generator.input=log_counts", "training.gradient_clip_algorithm=agc"),
    ("model.loss.penalties={single_material: 0.1}", "model.loss.total_variation_weight=0.1"),
    ("model.kind=supervised", "model.generator.grouping=stacked", "training.gradient_clip_algorithm=value"),
    ("model.generator.architecture=hybrid_resnet", "model.loss.amplitude_mae_weight=1", "model.merge.weight=legacy"),
]


class Waits(TorchDispatchMode):
    """Collects where the host waits for a number, without the counters of the optimiser, which live on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in WAITING or _picks_by_truth(func, args):
            stack = traceback.extract_stack()
            if not any("torch/optim/" in frame.filename for frame in stack):
                ours = [frame for frame in stack if "/site-packages/torch/" not in frame.filename][:-1]
                self.places.append(f"{ours[-1].filename}:{ours[-1].lineno}")
        return func(*args, **(kwargs or {}))


def _picks_by_truth(func: Any, args: Any) -> bool:
    """Whether elements are selected by a mask, so that their number must be known."""
    indexes = args[1] if func is torch.ops.aten.index.Tensor else ()
    return any(one is not None and one.dtype == torch.bool for one in indexes)


@pytest.fixture
def _as_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that leave a canvas are looked for on the host alone."""
    monkeypatch.setattr(patches, "_check_on_host", lambda *_: None)


@pytest.mark.usefixtures("_as_on_an_accelerator")
@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_twice_the_steps_wait_no_more_often(scan: Scan, make_recipe: MakeRecipe, overrides: tuple[str, ...]) -> None:
    waits = []
    for patterns in (16, 8):
        with Waits() as counted:
            fit(scan, make_recipe("training.epochs=1", f"training.patterns_per_step={patterns}", *overrides))
        waits.append(counted.places)
    assert len(waits[0]) == len(waits[1]) > 0, waits


@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_the_loss_and_its_gradients_need_no_value_of_a_tensor(
    scan: Scan, make_recipe: MakeRecipe, overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors of the device `meta` have shapes and no values: whoever asks for one gets an error."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which that device does not have
    recipe = make_recipe(*overrides)
    model = build_model(recipe, prepare_probe(scan.probe, recipe.model.probe))
    if recipe.model.positions.trainable:
        model.fit_positions(len(scan))
    labels = scan.truth_patches if scan.truth_patches is not None else np.ones(scan.patterns.shape, np.complex64)
    tensors = ScanTensors(scan, torch.device("meta"), labels=labels)
    model.to("meta")
    loss = torch.stack(list(model.losses(tensors.gather(np.arange(8).reshape(2, 4)), 1.0).values())).sum()
    loss.backward()
    assert loss.device.type == "meta"
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


def test_a_number_that_is_asked_for_is_seen() -> None:
    with Waits() as counted:
        values = torch.arange(3.0)
        float(values.sum())
        values[values > 1]
        if values.any():
            values.cumsum(0)
    assert len(counted.places) == 3
    assert all("test_no_waiting" in place for place in counted.places)
