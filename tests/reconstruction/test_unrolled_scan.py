"""An unrolled generator over a whole scan."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ptychopinn.config import ReconstructionConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.generators import GroupScene, Unrolled
from ptychopinn.models import PatchModel
from ptychopinn.physics import extract_patches
from ptychopinn.reconstruction import unrolled
from ptychopinn.reconstruction.predict import predict_and_stitch, predict_patches

AS_TRAINED = ReconstructionConfig(physics_steps=None, batch_size=7)
MakeUnrolled = Callable[..., PatchModel]


@torch.inference_mode()
def as_one_group(model: PatchModel, tensors: ScanTensors) -> tuple[np.ndarray, np.ndarray]:
    """Patches (N, H, W), and the object, of the group that holds the whole scan."""
    view = model.view(tensors.gather(np.arange(len(tensors))[None]))
    assert isinstance(model.generator, Unrolled)
    return model.generator(view)[0].numpy(), model.generator.canvases(GroupScene(view))[-1][0].numpy()


@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
@pytest.mark.parametrize(("size", "modes", "masked"), [(16, 1, False), (17, 2, True)])
def test_a_scan_in_batches_gives_what_one_group_of_all_patterns_gives(
    noise_free: Callable[..., Scan], make_unrolled: MakeUnrolled, subpixel: str, size: int, modes: int, masked: bool
) -> None:
    scan = noise_free(size, modes)
    if masked:
        scan = replace(scan, bad_pixels=np.random.default_rng(0).random(scan.patterns.shape) < 0.1)
    model, tensors = make_unrolled(scan, f"model.subpixel={subpixel}"), ScanTensors(scan)
    alone = np.arange(len(scan))[:, None]
    patches, power = predict_patches(model, tensors, alone, 7, config=AS_TRAINED)
    expected, _ = as_one_group(model, tensors)
    np.testing.assert_allclose(patches[:, 0], expected, atol=5e-3)
    assert np.abs(expected - 1).max() > 0.1
    assert power.shape == patches.shape


def test_views_that_do_not_fit_are_made_again(
    scan: Scan, make_unrolled: MakeUnrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tensors, alone = make_unrolled(scan), ScanTensors(scan), np.arange(len(scan))[:, None]
    kept, _ = predict_patches(model, tensors, alone, 7, config=AS_TRAINED)
    monkeypatch.setattr(unrolled, "KEPT_BYTES", 0)
    again, _ = predict_patches(model, tensors, alone, 7, config=AS_TRAINED)
    np.testing.assert_array_equal(again, kept)


def test_the_image_is_the_object_of_the_last_stage(scan: Scan, make_unrolled: MakeUnrolled) -> None:
    scan = replace(scan, object_guess=None)
    model, tensors = make_unrolled(scan), ScanTensors(scan)
    told: list[tuple[int, int]] = []
    image, timing = predict_and_stitch(
        model, tensors, np.arange(len(scan))[:, None], AS_TRAINED, lambda *done: told.append(done)
    )
    _, expected = as_one_group(model, tensors)
    assert image.object_.shape == expected.shape
    np.testing.assert_allclose(image.object_[image.covered], expected[image.covered], atol=5e-3)
    assert told == sorted(told)
    assert told[-1] == (len(scan), len(scan))
    assert sum(done < len(scan) for done, _ in told) >= 6
    assert timing.predict_s > 0


def test_more_physics_steps_bring_an_untrained_model_nearer_to_the_truth(
    scan: Scan, make_unrolled: MakeUnrolled
) -> None:
    model, tensors = make_unrolled(scan), ScanTensors(scan)
    assert isinstance(model.generator, Unrolled)
    for network in model.generator.network:
        nn.init.zeros_(network.head.weight)
    alone = np.arange(len(scan))[:, None]
    truth = extract_patches(torch.from_numpy(scan.object_guess), tensors.whole_px, (16, 16)).numpy()
    errors = []
    for steps in (1, 10, 60):
        patches, power = predict_patches(model, tensors, alone, config=ReconstructionConfig(physics_steps=steps))
        turned = patches * np.exp(-1j * np.angle((power * patches * truth[:, None].conj()).sum()))
        errors.append(float((power * np.abs(turned - truth[:, None])).sum() / power.sum()))
    assert errors[2] < 0.7 * errors[1] < 0.7 * errors[0]


def test_groups_are_solved_alone_where_no_scan_is_promised(scan: Scan, make_unrolled: MakeUnrolled) -> None:
    model, tensors, groups = make_unrolled(scan), ScanTensors(scan), np.arange(12).reshape(3, 4)
    patches, _ = predict_patches(model, tensors, groups, 4)
    with torch.inference_mode():
        expected = model.generator(model.view(tensors.gather(groups[1:2]))).numpy()
    np.testing.assert_allclose(patches[1:2], expected, atol=5e-3)
    together, _ = predict_patches(model, tensors, groups, 4, config=AS_TRAINED)
    assert np.abs(together - patches).max() > 0.02
