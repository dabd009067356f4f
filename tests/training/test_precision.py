"""A network that computes in bfloat16 learns what one in float32 learns; physics and loss stay in float32."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import check_precision
from ptychopinn.errors import ConfigError
from ptychopinn.models import TrainedModel
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training import fit

MakeRecipe = Callable[..., Recipe]
LONGER = ("training.epochs=10", "training.learning_rate=2e-3", "model.generator.width=8", "training.seed=3")


@pytest.mark.parametrize("architecture", ["cnn", "unrolled"])
def test_loss_and_image_are_close_to_those_of_float32(scan: Scan, make_recipe: MakeRecipe, architecture: str) -> None:
    """A short training amplifies rounding; another seed changes the image at least four times as much."""
    named = f"model.generator.architecture={architecture}"
    exact, rough, other = (
        fit(scan, make_recipe(*LONGER, named, *texts))
        for texts in ((), ("training.precision=bfloat16",), ("training.seed=4",))
    )
    assert exact.history["train_loss"] != rough.history["train_loss"]
    assert rough.history["train_loss"][-1] == pytest.approx(exact.history["train_loss"][-1], rel=0.03)
    trained = [TrainedModel(one.model, one.recipe) for one in (exact, rough, other)]
    images = [Reconstructor.for_scan(one, scan).image()[0] for one in trained]
    first, second, third = (image.object_[images[0].covered] for image in images)
    assert 0 < np.abs(second - first).mean() < np.abs(third - first).mean() / 4


def test_physics_loss_and_weights_stay_in_float32(scan: Scan, make_recipe: MakeRecipe) -> None:
    model = fit(scan, make_recipe("training.epochs=1", "training.precision=bfloat16")).model
    seen: list[torch.dtype] = []
    model.generator.network.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    batch = ScanTensors(scan).gather(np.arange(4)[None])
    made = model(batch)
    assert seen == [torch.bfloat16]
    assert (made.patches.dtype, made.merged.dtype, made.expected.dtype) == (
        torch.complex64,
        torch.complex64,
        torch.float32,
    )
    assert all(value.dtype == torch.float32 for value in model.losses(batch, 1.0).values())
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_a_device_without_bfloat16_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training.precision is 'bfloat16', which the device meta does not have"):
        check_precision("bfloat16", torch.device("meta"))
    check_precision("float32", torch.device("meta"))


def test_a_gpu_without_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for known in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation, known=known: known)
        if known:
            check_precision("bfloat16", torch.device("cuda"))
        else:
            with pytest.raises(ConfigError, match="the device cuda does not have; set it to float32"):
                check_precision("bfloat16", torch.device("cuda"))


def test_weights_lie_with_the_channels_last(scan: Scan, make_recipe: MakeRecipe) -> None:
    """Convolutions on a CPU take about two thirds of the time so."""
    model = fit(scan, make_recipe("training.epochs=1")).model
    weights = [value for value in model.generator.parameters() if value.ndim == 4 and min(value.shape[1:]) > 1]
    assert weights
    assert all(value.is_contiguous(memory_format=torch.channels_last) for value in weights)
