"""One model from several scans, each with its own beam, dose and sample."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.simulation import simulate
from ptychopinn.training import fit, prepare

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def dim(scan: Scan) -> Scan:
    """Another sample under another beam, with a tenth of the photons and two modes."""
    config = SimulationConfig(
        object_size_px=44, probe_size_px=16, probe_modes=2, step_px=4, photons_per_pattern=1e4, seed=5
    )
    return simulate(config)


def test_the_loss_of_several_scans_falls(scan: Scan, dim: Scan, make_recipe: MakeRecipe) -> None:
    result = fit([scan, dim], make_recipe("training.epochs=4"))
    assert result.history["train_loss"][-1] < result.history["train_loss"][0]
    assert result.history["val_loss"][-1] < result.history["val_loss"][0]


def test_every_batch_sees_the_beam_and_the_dose_of_its_own_scan(scan: Scan, dim: Scan, make_recipe: MakeRecipe) -> None:
    start = prepare([scan, dim], make_recipe())
    first, second = (next(part.tensors.batches(part.train_groups, 1)) for part in start.parts)
    assert first.probe is None
    assert second.probe is not None
    assert second.probe.shape == (2, 16, 16)
    view = start.model.view(second)
    photons = float(view.probes.abs().square().sum((-3, -2, -1)).mean())
    assert photons == pytest.approx(1e4, rel=0.2)
    assert second.mean_count == pytest.approx(float(dim.counts().mean()), rel=0.3)


def test_all_batches_of_all_scans_are_seen_in_an_epoch(
    scan: Scan, dim: Scan, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychopinn.training.module import TrainingModule

    beams: list[bool] = []

    class Watching(TrainingModule):
        def log_loss(self, stage: str, total: torch.Tensor, count: int) -> None:
            super().log_loss(stage, total, count)
            if stage == "train":
                beams.append(self._latest)

        def training_step(self, batch: object, batch_idx: int) -> torch.Tensor:
            self._latest = batch.probe is None  # type: ignore[attr-defined]
            return super().training_step(batch, batch_idx)  # type: ignore[arg-type]

    from ptychopinn.training import fit_prepared

    start = prepare([scan, dim], make_recipe("training.epochs=3"))
    fit_prepared(start, module_type=Watching)
    assert 0 < np.mean(beams) < 1
    assert beams != sorted(beams), "the scans take turns at random"


def test_scans_of_different_size_are_refused(scan: Scan, make_recipe: MakeRecipe) -> None:
    other = simulate(SimulationConfig(object_size_px=60, probe_size_px=20, step_px=5))
    with pytest.raises(ScanError, match=r"different sizes .*16 px.*20 px"):
        prepare([scan, other], make_recipe())


@pytest.mark.parametrize("setting", ["model.probe.trainable=true", "model.intensity_scale=trainable"])
def test_a_fitted_beam_with_several_scans_is_refused(scan: Scan, make_recipe: MakeRecipe, setting: str) -> None:
    with pytest.raises(ConfigError, match="each with its own beam"):
        prepare([scan, scan], make_recipe(setting))


def test_no_scan_is_refused(make_recipe: MakeRecipe) -> None:
    with pytest.raises(ScanError, match="no scan was given"):
        prepare([], make_recipe())


def test_only_patterns_inside_the_bounds_are_trained_on(scan: Scan, make_recipe: MakeRecipe) -> None:
    start = prepare(scan, make_recipe("data.bounds_x=[0.0, 0.6]", "data.validation_fraction=0"))
    columns = scan.positions_px[:, 1]
    limit = columns.min() + 0.6 * np.ptp(columns)
    used = np.unique(start.parts[0].train_groups)
    assert set(used) == set(np.flatnonzero(columns <= limit))
    assert len(start.tensors) == len(scan), "all patterns are reconstructed"


@pytest.mark.parametrize("setting", ["data.bounds_y=[0.5, 0.5]", "data.bounds_x=[-0.1, 1]"])
def test_impossible_bounds_are_refused(make_recipe: MakeRecipe, setting: str) -> None:
    with pytest.raises(ConfigError, match="must be 0 <= low < high <= 1"):
        make_recipe(setting)


def test_a_fitted_scale_travels_to_the_next_scan(scan: Scan, make_recipe: MakeRecipe) -> None:
    import ptychopinn

    recipe = make_recipe("model.intensity_scale=trainable", "training.learning_rate=0.05")
    trained = ptychopinn.train(scan, recipe=recipe)
    fitted = trained.recipe.fitted
    assert fitted is not None
    assert abs(fitted.scale_correction - 1) > 1e-3
    ran = float(trained.model.network.log_scale.detach().exp())
    again = ptychopinn.reconstruct(replace(scan, source="again"), trained)
    factor = again.reconstruction.metadata["gauge"]["object_multiplied_by"]  # the probe takes 1 / it
    power = factor**2 * np.square(np.abs(again.reconstruction.probe)).sum() / np.square(np.abs(scan.probe)).sum()
    assert float(power) == pytest.approx(ran**2, rel=1e-4)
