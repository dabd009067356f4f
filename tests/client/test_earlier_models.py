"""ptychodus loads models that legacy PtychoPINN saved, and reconstructs by them."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ptychopinn.api.reconstruct import reconstruct

pytestmark = [pytest.mark.client, pytest.mark.slow, pytest.mark.shared_data]

PINN, TORCH = "ptychopinn_pinn", "ptychopinn-torch_unsupervised"


def test_models_of_the_earlier_implementation_reconstruct_in_ptychodus(
    shared_dir: Path, tmp_path: Path, drive: Callable[..., Any], scene: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one of TensorFlow by the older reconstructor, the checkpoint of Lightning by the other one."""
    from ptychodus.api.io import load_product

    monkeypatch.setattr(scene, "PATTERN_PX", 64)  # of the models
    scene.write_scene(tmp_path, 1)
    bundles = shared_dir / "parity/bundles"
    for algorithm in (PINN, TORCH):
        (tmp_path / algorithm).mkdir()
    shutil.copy(bundles / "tf/wts.h5.zip", tmp_path / PINN / "model.zip")
    packed = (bundles / "torch/lightning_weights_only.ckpt.gz").read_bytes()
    (tmp_path / TORCH / "model.ckpt").write_bytes(gzip.decompress(packed))
    done = drive(tmp_path, "earlier", {PINN: ["export", "load_and_reconstruct"], TORCH: ["load_and_reconstruct"]}, {})
    for algorithm in (PINN, TORCH):
        image = load_product(tmp_path / algorithm / done.value(algorithm, "load_and_reconstruct")).object_.get_array()
        assert np.isfinite(image).all()
        assert abs(image[0]).std() > 0
    ours = reconstruct(tmp_path / PINN / "in/train_data.npz", tmp_path / PINN / "model.zip").reconstruction
    assert ours.metadata["backend"] == "pytorch"
