"""`ptychodus -b train|reconstruct -i IN -o OUT`: the commands of the client, one reconstructor of each adapter."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.client

SETTINGS = """
[Processing]
Algorithm = {algorithm}

[PtychoPINNTraining]
NumEpochs = 2

[PtychoPINNTorchTraining]
epochs = 2
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, scene: ModuleType) -> Path:
    """A folder as the client's batch mode wants it, but for the settings and the model."""
    from ptychodus.api.io import load_diffraction_data, load_product, save_ptychopinn_training_data
    from ptychodus.api.reconstruct import prepare_reconstruct_input

    folder = tmp_path_factory.mktemp("batch")
    scene.write_scene(folder, 1)
    paired = prepare_reconstruct_input(
        load_diffraction_data(folder / "diffraction.h5"), load_product(folder / "product.h5")
    )
    for name in ("train_data.npz", "test_data.npz"):
        save_ptychopinn_training_data(folder / name, paired)
    return folder


@pytest.mark.parametrize(
    ("algorithm", "trained", "model", "written"),
    [
        ("ptychopinn_pinn", "wts.h5.zip", "model.zip", "product.000000.h5"),
        pytest.param(
            "ptychopinn-torch_unsupervised", "*.ckpt", "model.ckpt", "product.000001.h5", marks=pytest.mark.slow
        ),
    ],
)
def test_batch_train_then_reconstruct(
    algorithm: str,
    trained: str,
    model: str,
    written: str,
    inputs: Path,
    tmp_path: Path,
    run_command: Callable[..., Any],
) -> None:
    from ptychodus.api.io import load_product

    folder, out, empty = (tmp_path / name for name in ("in", "out", "empty"))
    shutil.copytree(inputs, folder)
    empty.mkdir()
    (folder / "settings.ini").write_text(SETTINGS.format(algorithm=algorithm))

    def batch(action: str) -> Any:
        command = [sys.executable, "-m", "ptychodus", "-b", action, "-i", str(folder), "-o", str(out)]
        return run_command(command, empty)

    training = batch("train")
    assert training.returncode == 0, training.stdout
    shutil.copyfile(next(iter(sorted(out.rglob(trained)))), folder / model)
    reconstruction = batch("reconstruct")
    assert reconstruction.returncode == 0, reconstruction.stdout
    wanted, found = (load_product(path).object_ for path in (folder / "product.h5", out / written))
    assert found.get_geometry() == wanted.get_geometry()
    assert np.isfinite(found.get_array()).all()
    assert list(empty.iterdir()) == []
