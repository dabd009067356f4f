"""How a prior is made: what its scans are, what the network learns from them, and the command."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ptychopinn.cli import app
from ptychopinn.errors import ConfigError
from ptychopinn.prior import PriorNetwork, PriorRecipe, load_prior
from ptychopinn.simulation.pictures import PICTURES, draw_picture
from ptychopinn.studies.prior.examples import Example, draw_batch, example_of, in_gauge_of
from ptychopinn.studies.prior.noised import noised_seed
from ptychopinn.studies.prior.scans import draw_sample, draw_scan
from ptychopinn.studies.prior.settings import PriorSettings, Stage, read_settings
from ptychopinn.studies.prior.solved import Solved, solve_seed
from ptychopinn.studies.prior.study import make_prior
from ptychopinn.studies.prior.training import LEAST_LOSS, Trainer, balanced, mean_loss

TINY = PriorSettings(
    prior=PriorRecipe(levels=2, width=4),
    first_seed=100,
    kept_back=1,
    stages=(Stage(until=2, scans=0, noised=2), Stage(until=4, scans=1, noised=1)),
    cycles=(4,),
    cool_from=None,
    batch=2,
    crop_px=48,
)


@pytest.fixture(scope="module")
def noised() -> list[Solved]:
    return [noised_seed(seed) for seed in range(3)]


@pytest.mark.parametrize("kind", list(PICTURES))
def test_every_picture_is_drawn_from_its_seed_within_0_and_1(kind: str) -> None:
    first, again = (draw_picture((40, 52), np.random.default_rng(5), (kind,)) for _ in range(2))
    assert first.shape == (40, 52)
    assert np.array_equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    assert first.std() > 0


def test_at_least_two_fifths_of_the_samples_have_unrelated_amplitude_and_phase() -> None:
    rng = np.random.default_rng(0)
    relations = [draw_sample((32, 32), rng)[1] for _ in range(300)]
    assert relations.count("unrelated") >= 0.4 * len(relations)


def test_a_seed_fixes_a_scan() -> None:
    first, again, other = draw_scan(11), draw_scan(11), draw_scan(12)
    assert np.array_equal(first.scan.patterns, again.scan.patterns)
    assert first.facts == again.facts != other.facts


def test_a_solved_scan_comes_back_from_its_file_with_a_truth_close_to_its_image(tmp_path: Path) -> None:
    solved = solve_seed(102)
    solved.save(tmp_path / "a.npz")
    back = Solved.load(tmp_path / "a.npz")
    assert back.facts == solved.facts
    assert np.array_equal(back.truth, solved.truth)
    bright = solved.coverage > 0.3
    assert np.abs(back.truth - back.object_)[bright].mean() < 0.1


def test_noise_without_patterns_has_the_step_that_undoes_its_penalty(noised: list[Solved]) -> None:
    for one in noised:
        bright = one.power > 0.3 * one.power.max()
        error = one.truth - one.object_
        undone = error - one.step  # of the noisy image
        assert np.abs(undone)[bright].mean() > np.abs(error)[bright].mean()


def test_a_slow_phase_and_a_factor_of_the_image_are_no_error() -> None:
    y, x = np.indices((120, 120))
    truth = 1 + 0.2 * np.random.default_rng(0).standard_normal((120, 120))
    truth = torch.from_numpy(truth.astype(np.complex64))
    slow = torch.from_numpy((0.9 * np.exp(0.004j * y + 0.008j * x)).astype(np.complex64))
    found = in_gauge_of(truth * slow, truth, torch.ones(120, 120, dtype=torch.bool))
    inner = np.s_[36:-36, 36:-36]
    assert (found - truth * slow)[inner].abs().max() < 0.03


def test_crops_are_turned_alike_with_their_answers() -> None:
    fields = torch.randn(2, 70, 70, generator=torch.Generator().manual_seed(0))
    features = torch.cat([fields, 2 * fields, 3 * fields, torch.ones(2, 70, 70)]).half()
    example = Example(features, (5 * fields).half(), torch.ones(1, 70, 70).half())
    features, target, weight = draw_batch([example], 16, 64, torch.Generator().manual_seed(3))
    torch.testing.assert_close(target, 5 * features[:, :2], rtol=0.02, atol=0.02)
    torch.testing.assert_close(features[:, 4:6], 3 * features[:, :2], rtol=0.02, atol=0.02)
    assert weight.shape == (16, 1, 64, 64)
    assert len({float(crop.sum()) for crop in target}) > 8


def test_small_images_are_padded_without_weight() -> None:
    example = Example(torch.ones(8, 30, 40).half(), torch.ones(2, 30, 40).half(), torch.ones(1, 30, 40).half())
    features, _, weight = draw_batch([example], 2, 48, torch.Generator().manual_seed(0))
    assert features.shape[-2:] == (48, 48)
    assert weight.sum() == 2 * 30 * 40


def test_training_takes_noise_off(noised: list[Solved], tmp_path: Path) -> None:
    settings = TINY.changed(
        stages=(Stage(until=150, scans=0, noised=1),), cycles=(150,), average=0.9, learning_rate=5e-3
    )
    examples = [example_of(one, settings.prior) for one in noised]
    trainer = Trainer(settings, tmp_path / "state")
    trainer.run(examples, 150)
    found, nothing = mean_loss(trainer.average, examples, settings.robust_sigma)
    assert found < 0.97 * nothing


def test_a_training_that_was_stopped_ends_as_one_that_was_not(noised: list[Solved], tmp_path: Path) -> None:
    examples = [example_of(one, TINY.prior) for one in noised]
    whole = Trainer(TINY, tmp_path / "whole")
    whole.run(examples, 4)
    Trainer(TINY, tmp_path / "parts").run(examples, 2)
    resumed = Trainer(TINY, tmp_path / "parts")
    assert resumed.step == 2
    resumed.run(examples, 4)
    for first, second in zip(whole.average.parameters(), resumed.average.parameters(), strict=True):
        torch.testing.assert_close(first, second)


def test_the_command_makes_a_prior_and_goes_on_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.model_dump_json(), encoding="utf-8")
    words = ["train-prior", "-o", str(tmp_path / "out"), "--settings", str(tmp_path / "tiny.yaml")]
    outcome = CliRunner().invoke(app, words, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.stderr
    assert "without the prior" in outcome.stdout
    prior = load_prior(tmp_path / "out" / "prior.safetensors")
    assert prior.recipe == TINY.prior
    assert prior.record.settings["first_seed"] == 100
    assert prior.record.scores["loss_without_prior"] > 0
    first = (tmp_path / "out" / "prior.safetensors").read_bytes()
    make_prior(tmp_path / "out", TINY)
    assert (tmp_path / "out" / "prior.safetensors").read_bytes() == first
    with pytest.raises(ConfigError, match="was made with other settings"):
        make_prior(tmp_path / "out", TINY.changed(seed=1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch: 0", "batch"),
        ("unknown: 1", "unknown key unknown"),
        ("stages: [{until: 5, scans: 1, noised: 0}, {until: 5, scans: 1, noised: 0}]", "more and more steps"),
        ("{stages: [{until: 5, scans: 0, noised: 0}], cycles: [5]}", "a stage must have examples"),
        ("cycles: [7, 70000, 40000]", "the cycles must end after more and more steps"),
        ("cool_from: 10000000", "cool_from must be below the"),
        ("{first_seed: 3, kept_back: 4}", "first_seed must be at least kept_back"),
        ("[1, 2", "cannot be read as YAML"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_settings(path)


def test_the_settings_of_the_prior_in_the_package_are_the_defaults() -> None:
    record = load_prior("default").record
    assert (
        PriorSettings.model_validate({name: value for name, value in record.settings.items() if name != "steps_done"})
        == PriorSettings()
    )
    assert record.settings["steps_done"] == PriorSettings().steps


def test_balanced_examples_have_the_same_loss_without_a_prior(noised: list[Solved]) -> None:
    examples = [example_of(one, TINY.prior) for one in noised]
    silent = PriorNetwork(TINY.prior)
    for before, after in zip(examples, balanced(examples, 2.0), strict=True):
        loss = mean_loss(silent, [before], 2.0)[1]
        assert float(after.weight.max()) == pytest.approx(1 / max(loss, LEAST_LOSS), rel=0.2)
        assert mean_loss(silent, [after], 2.0)[1] == pytest.approx(loss, rel=0.01)  # of one alone


def test_an_untrained_network_scores_as_no_correction(noised: list[Solved]) -> None:
    examples = [example_of(one, TINY.prior) for one in noised]
    found, nothing = mean_loss(PriorNetwork(TINY.prior), examples, 2.0)
    assert found == nothing
