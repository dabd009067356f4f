"""Grid-lines data that TensorFlow simulates, against those of PyTorch, and both networks in one table."""

import json
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.api.backends import recorder_of
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import make_grid_lines, record_amplitudes
from ptychopinn.studies.grid_lines.files import write_grid_lines
from ptychopinn.studies.grid_lines.study import study_grid_lines

SMALL = GridLinesConfig(N=16, size=48, nimgs_train=1)
TINY = (
    "training.device=cpu",
    "model.generator.width=2",
    "model.generator.levels=1",
    "training.patterns_per_step=16",
    "data.validation_fraction=0",
)


@pytest.mark.parametrize("gridsize", [1, 2])
def test_both_simulators_write_the_same_keys_shapes_and_types(tmp_path: Path, gridsize: int) -> None:
    config = GridLinesConfig(N=16, size=48, nimgs_train=1, gridsize=gridsize)
    parts = {
        name: write_grid_lines(make_grid_lines(config, record=recorder_of(name)), tmp_path / name)
        for name in ("pytorch", "tensorflow")
    }
    for first, second in zip(parts["pytorch"], parts["tensorflow"], strict=True):
        with np.load(first) as one, np.load(second) as other:
            described = [{key: (value[key].shape, value[key].dtype) for key in value.files} for value in (one, other)]
            assert described[0] == described[1]
            for key in one.files:
                if one[key].dtype.kind in "fc" and "diff" not in key and "X" not in key:
                    np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_both_simulators_expect_the_same_amplitudes_and_draw_from_the_same_distribution() -> None:
    split = make_grid_lines(SMALL).train
    scale, norm = split.intensity_scale, split.norm
    expected = {
        name: record_amplitudes(split.scene, split.probe, norm, scale, None, recorder_of(name))
        for name in ("pytorch", "tensorflow")
    }
    error = np.linalg.norm(expected["tensorflow"] - expected["pytorch"]) / np.linalg.norm(expected["pytorch"])
    assert error < 1e-6
    drawn = record_amplitudes(
        split.scene, split.probe, norm, scale, np.random.default_rng(0), recorder_of("tensorflow")
    )
    counts, photons = (scale * drawn) ** 2, (scale * expected["pytorch"].astype(np.float64)) ** 2
    bright = photons > 20
    deviations = (counts - photons)[bright] / np.sqrt(photons[bright])
    assert abs(deviations.mean()) < 4 / np.sqrt(deviations.size)
    assert deviations.std() == pytest.approx(1, abs=4 / np.sqrt(2 * deviations.size))


@pytest.mark.slow
def test_a_study_has_rows_of_both_backends_on_the_same_data(tmp_path: Path) -> None:
    study = study_grid_lines(
        SMALL, tmp_path, epochs=1, baseline=False, iterative=False, overrides=TINY, backends=("pytorch", "tensorflow")
    )
    assert [trial.recipe for trial in study.trials] == ["pinn_cnn", "pinn_cnn_tensorflow"]
    text = study.paths["text"].read_text()
    assert "| pinn_cnn | " in text
    assert "| pinn_cnn_tensorflow | " in text
    for row, backend in (("pinn_cnn", "pytorch"), ("pinn_cnn_tensorflow", "tensorflow")):
        metrics = json.loads((tmp_path / f"runs/{row}_seed0/metrics.json").read_text())
        assert metrics["backend"] == backend
