"""The iterative solver beside our networks: its conventions, and that a row of it is written where it is installed."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.api.evaluate import evaluate
from ptychopinn.config import SimulationConfig
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.simulation import simulate
from ptychopinn.studies import iterative
from ptychopinn.studies.grid_lines import study
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.study import study_grid_lines

SCENE = SimulationConfig(object_size_px=96, probe_size_px=32, step_px=4, photons_per_pattern=1e6)


def test_without_it_a_call_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterative, "has_ptychi", lambda: False)
    scan = simulate(SCENE)
    with pytest.raises(ConfigError, match="pip install ptychi"):
        iterative.solve_with_ptychi(scan, scan.probe, epochs=1, seed=0)


def test_where_it_is_installed_the_study_has_a_row_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []

    def solve(scan: Any, probe: Any, **settings: Any) -> Reconstruction:
        calls.append(settings)
        truth = scan.object_guess
        return Reconstruction(truth, np.ones(truth.shape), (0, 0), scan.positions_px, probe)

    monkeypatch.setattr(study, "has_ptychi", lambda: True)
    monkeypatch.setattr(study, "solve_with_ptychi", solve)
    data = GridLinesConfig(N=16, size=48, nimgs_train=1, nphotons=1e6, set_phi=True)
    tiny = ["model.generator.width=2", "model.generator.levels=2", "training.threads=1"]
    for _ in range(2):  # the second time nothing is solved again
        made = study_grid_lines(data, tmp_path, seeds=[0, 1], epochs=1, baseline=False, overrides=tiny)
    rows = [trial for trial in made.trials if trial.recipe == "ptychi"]
    assert [call["seed"] for call in calls] == [0, 1]
    assert [trial.patterns for trial in rows] == [0, 0]
    assert all(trial.report["ssim_amplitude"] > 0.999 and trial.is_result for trial in rows)
    assert (tmp_path / "recons" / "ptychi" / "recon.npz").is_file()
    assert "| ptychi | result | 0 1 |" in made.paths["text"].read_text()


@pytest.mark.optional("ptychi")
def test_it_finds_the_object_where_it_is_and_leaves_global_state_alone() -> None:
    scan = simulate(SCENE)
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    image = iterative.solve_with_ptychi(scan, scan.probe, epochs=30, seed=0)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected  # noqa: NPY002
    report = evaluate(image, scan).report
    assert np.abs(report["shift_px"]).max() < 0.1
    assert report["contrast_phase"] == pytest.approx(1, abs=0.3)
