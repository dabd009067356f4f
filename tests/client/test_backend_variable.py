"""ptychodus with `PTYCHOPINN_BACKEND` set to each backend, which its settings have no field for."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ptychopinn.bundle import load_bundle
from ptychopinn.config.backend import VARIABLE

pytestmark = [pytest.mark.client, pytest.mark.slow, pytest.mark.optional("tensorflow")]

FOLLOWS = ("ptychopinn_pinn", "ptychopinn_supervised")
ALWAYS_PYTORCH = ("ptychopinn-torch_unsupervised", "ptychopinn-torch_supervised")
STEPS = ["export", "train", "reconstruct", "save", "load_and_reconstruct"]
SETTINGS = {"PtychoPINNTraining": {"NumEpochs": 2}, "PtychoPINNTorchTraining": {"epochs": 2}}


@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_the_variable_governs_the_reconstructors_of_the_older_contract(
    backend: str, tmp_path: Path, drive: Callable[..., Any], scene: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychodus.api.io import load_product

    monkeypatch.setenv(VARIABLE, backend)
    scene.write_scene(tmp_path, 1)
    done = drive(tmp_path, backend, dict.fromkeys((*FOLLOWS, *ALWAYS_PYTORCH), STEPS), SETTINGS)
    for algorithm in (*FOLLOWS, *ALWAYS_PYTORCH):
        wanted = backend if algorithm in FOLLOWS else "pytorch"
        losses = done.value(algorithm, "train")[-1]["training_loss"]
        if algorithm in FOLLOWS:  # whose adapter has no place for them
            assert losses == []
        else:
            assert losses[-1][1] < losses[0][1]
        for step in ("train", "reconstruct", "load_and_reconstruct"):
            said = [message for _, _, message in done.log(algorithm, step) if "backend" in message]
            assert any(f"backend {wanted}" in message for message in said), (algorithm, step, said)
        images = [
            load_product(tmp_path / algorithm / f"{done.value(algorithm, step)}").object_.get_array()
            for step in ("reconstruct", "load_and_reconstruct")
        ]
        assert np.isfinite(images[0]).all()
        assert np.linalg.norm(images[1] - images[0]) < 1e-5 * np.linalg.norm(images[0])
        if algorithm in FOLLOWS:
            archive = tmp_path / algorithm / done.value(algorithm, "save")
            assert load_bundle(archive).manifest.backend == wanted
