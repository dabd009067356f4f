"""Training and reconstruction in one call."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from ptycho_torch import inference, train


def test_a_scan_goes_in_and_an_image_comes_out(measured, settings, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    measured.export(tmp_path / "in" / "a.npz")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"training_config": {"epochs": 1}}))
    manager = settings(epochs=9)
    checkpoint = train.main(
        tmp_path / "in", config_path=config, existing_config=manager.four, output_dir=tmp_path / "out"
    )
    assert checkpoint.name == "model.ckpt"
    image = inference.main(checkpoint, tmp_path / "in" / "a.npz", tmp_path / "image", device="cpu")
    assert image.shape == measured.object_.shape
    with np.load(tmp_path / "image" / "reconstruction.npz") as stored:
        np.testing.assert_array_equal(stored["object"], image)
    assert (tmp_path / "image" / "reconstruction.png").stat().st_size > 0
    np.testing.assert_allclose(inference.main(tmp_path / "out", tmp_path / "in"), image, atol=1e-6)
    assert os.listdir(tmp_path / "here") == []


def test_places_may_stand_in_the_settings(measured, settings, tmp_path: Path) -> None:
    file = measured.export(tmp_path / "in" / "a.npz")
    manager = settings(epochs=1, train_data_file=str(file), output_dir=str(tmp_path / "out"))
    assert train.main(existing_config=manager.four).parent.parent == tmp_path / "out"


def test_places_that_nobody_named_are_asked_for(measured, settings, tmp_path: Path) -> None:
    """The default of the earlier system is a folder in the working directory."""
    file = measured.export(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="no scans were named; give ptycho_dir"):
        train.main(existing_config=settings().four, output_dir=tmp_path)
    with pytest.raises(ValueError, match="no folder for the result was named; give output_dir"):
        train.main(file, existing_config=settings().four)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        inference.main(tmp_path, file)
