"""What single values of `ptycho_torch.config_params` mean in a recipe, and the four as plain values."""

import json
from typing import Any

import pytest

from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.to_recipe import as_dicts, from_dicts, recipe_of, warn_ignored
from ptychopinn.config import Recipe
from ptychopinn.errors import ConfigError


def recipe(
    data: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    inference: dict[str, Any] | None = None,
    **more: Any,
) -> Recipe:
    return recipe_of(data or {}, model or {}, training or {}, inference or {}, **more)


def test_a_group_has_c_patterns_whatever_the_grid(caplog: pytest.LogCaptureFixture) -> None:
    """C and the grid are two settings in the client; C counts, and the log says so."""
    assert recipe({"C": 6, "grid_size": (2, 2)}).data.group_size == 6
    warn_ignored({"C": 6, "grid_size": (2, 2)}, {"C_model": 6, "C_forward": 9}, {}, {})
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" = ")[0] for line in lines] == ["grid_size", "C_forward"]
    assert "C = 6 patterns make a group" in lines[0]
    assert {record.name for record in caplog.records} == {"ptychopinn-torch"}


@pytest.mark.parametrize(("c", "k", "neighbors", "groups"), [(4, 6, 6, 7), (4, 3, 3, 1), (4, 4, 4, 4), (1, 6, 15, 1)])
def test_groups_per_position_are_no_more_than_different_sets(c: int, k: int, neighbors: int, groups: int) -> None:
    data = recipe({"C": c, "K": k, "n_subsample": 7}).data
    assert (data.neighbors, data.groups_per_pattern) == (neighbors, groups)


def test_a_small_scan_has_fewer_different_sets() -> None:
    assert recipe({"C": 4, "K": 6}, n_patterns=5).data.groups_per_pattern == 4


def test_distances_act_only_with_their_rule() -> None:
    """The default of 3 px would leave most positions without neighbours."""
    assert recipe({"min_neighbor_distance": 1.0}).data.max_distance_px is None
    data = recipe({"neighbor_function": "Min_dist", "min_neighbor_distance": 1.0}).data
    assert (data.neighbor_rule, data.min_distance_px, data.max_distance_px) == ("min_distance", 1.0, 3.0)


def test_bounds_are_named_by_axis() -> None:
    data = recipe({"x_bounds": (0.0, 0.5), "y_bounds": (0.2, 1.0)}).data
    assert (data.bounds_x, data.bounds_y) == ((0.0, 0.5), (0.2, 1.0))


def test_fine_tuning_epochs_come_on_top() -> None:
    made = recipe(training={"epochs": 4, "epochs_fine_tune": 3, "fine_tune_gamma": 0.2}).training
    assert (made.epochs, made.fine_tune.epochs, made.fine_tune.learning_rate) == (4, 3, 0.2)


@pytest.mark.parametrize("asked", [{"nll": False}, {"torch_loss_mode": "mae"}])
def test_mae_asked_for_anywhere_leaves_only_the_amplitude_error(asked: dict[str, Any]) -> None:
    for loss in (recipe(training=asked).model.loss, recipe(model={"loss_function": "mae"}).model.loss):
        assert (loss.poisson_weight, loss.amplitude_mae_weight) == (0.0, 1.0)


@pytest.mark.parametrize("part", ["amp", "phase"])
@pytest.mark.parametrize("term", ["Total_Variation", "mean_deviation"])
def test_the_auxiliary_losses_have_weights_of_their_own(part: str, term: str) -> None:
    loss = recipe(model={f"{part}_loss": term, f"{part}_loss_coeff": 0.3}).model.loss.model_dump()
    name = f"{'amplitude' if part == 'amp' else part}_{term.lower()}_weight"
    usual = recipe().model.loss.model_dump()
    assert {key: value for key, value in loss.items() if value != usual[key]} == {name: 0.3}


def test_no_auxiliary_loss_may_be_written_as_a_word() -> None:
    assert recipe(model={"amp_loss": "None"}) == recipe()


def test_probe_weighting_stitches_by_the_probe_and_uniform_by_the_middle() -> None:
    assert recipe().reconstruction.weight == "probe"
    made = recipe(inference={"patch_weighting": "uniform", "middle_trim": 24}).reconstruction
    assert (made.weight, made.window_px) == ("central", 24)


def test_the_clients_batch_of_a_thousand_leaves_our_own() -> None:
    assert recipe().reconstruction == Recipe().reconstruction
    assert recipe(inference={"batch_size": 20}).reconstruction.batch_size == 20


@pytest.mark.parametrize(("device", "ours"), [("cuda", "auto"), ("CPU", "cpu"), ("cuda:1", "cuda:1")])
def test_any_gpu_means_the_cpu_where_there_is_none(device: str, ours: str) -> None:
    assert recipe(training={"device": device}).training.device == ours


def test_words_may_be_written_in_any_case() -> None:
    made = recipe({"neighbor_function": "MIN_DIST"}, {"mode": "supervised"}, {"scheduler": "cosine"})
    assert (made.data.neighbor_rule, made.model.kind, made.training.scheduler) == (
        "min_distance",
        "supervised",
        "cosine",
    )
    assert (made.training.warmup_epochs, made.training.min_lr_ratio) == (0, 0.1)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        (0, "neighbor_function", "Furthest"),
        (0, "normalize", "Row"),
        (1, "mode", "PINN"),
        (1, "amp_loss", "L7"),
        (2, "scheduler", "Stepwise"),
        (2, "physics_weight_schedule", "square"),
        (3, "patch_weighting", "gauss"),
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(part: int, field: str, value: str) -> None:
    four: list[dict[str, Any]] = [{}, {}, {}, {}]
    four[part] = {field: value}
    with pytest.raises(ConfigError, match=rf"Invalid {field} '{value}'\. Expected one of \["):
        recipe(*four)


@pytest.mark.parametrize(("name", "ours"), [("MultiStage", "multi_stage"), ("adaptive", "adaptive")])
def test_training_in_stages_arrives_in_the_recipe(name: str, ours: str) -> None:
    asked = {"stage_1_epochs": 2, "stage_2_epochs": 3, "stage_3_epochs": 4, "physics_weight_schedule": "linear"}
    made = recipe(training={**asked, "scheduler": name, "stage_3_lr_factor": 0.3, "epochs": 50}).training
    stages = made.stages
    assert (made.epochs, made.scheduler) == (None, ours)
    assert (stages.data_epochs, stages.transition_epochs, stages.physics_epochs) == (2, 3, 4)
    assert (stages.physics_weight, stages.physics_learning_rate) == ("linear", 0.3)
    with pytest.raises(ConfigError, match="which have no epochs"):
        recipe(training={"scheduler": name})
    with pytest.raises(ConfigError, match="supervised leaves out"):
        recipe(model={"mode": "Supervised"}, training=asked)


def test_staged_fine_tuning_arrives_in_the_recipe() -> None:
    made = recipe(training={"enable_staged_finetuning": True, "finetune_stage2_epochs": 4, "finetune_val_split": 0.2})
    tune = made.training.fine_tune
    assert tune.staged
    assert (tune.decoder.epochs, tune.encoder_top.epochs, tune.whole.epochs, tune.patience) == (7, 4, 0, 3)
    assert (tune.encoder_top.encoder_top, tune.encoder_top.decoder, tune.encoder_top.head) == (0.01, 0.05, 0.1)
    assert made.data.validation_fraction == 0.2
    all_layers = {"enable_staged_finetuning": True, "finetune_skip_stage3": False, "finetune_stage3_lr_decoder": 0.03}
    whole = recipe(training=all_layers).training.fine_tune.whole
    assert (whole.epochs, whole.encoder_bottom, whole.encoder_top, whole.decoder) == (5, 0.005, 0.01, 0.03)


def test_settings_of_fine_tuning_without_it_are_named(caplog: pytest.LogCaptureFixture) -> None:
    asked = {"finetune_stage1_epochs": 3, "stage_3_lr_factor": 0.5, "stage_1_epochs": 2, "epochs": 9}
    assert recipe(training=asked).training.fine_tune == Recipe().training.fine_tune
    warn_ignored({}, {}, asked, {})
    assert "finetune_stage1_epochs = 3 is not followed: it acts only with enable_staged_finetuning" in caplog.text
    assert "stage_3_lr_factor = 0.5 is not followed" in caplog.text
    assert "epochs = 9 is not followed: it acts only with stage_1_epochs = 0" in caplog.text


@pytest.mark.parametrize("name", ["probe_mask", "probe_mask_tensor"])
def test_a_mask_given_as_an_array_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="only a disk"):
        recipe(model={name: [[1.0, 0.0]]})


def test_objects_and_mappings_mean_the_same_and_stay_as_they_are() -> None:
    model = ModelConfig(mode="SUPERVISED", n_filters_scale=3)  # type: ignore[arg-type]
    assert recipe_of(DataConfig(), model, {}, InferenceConfig()) == recipe(
        model={"mode": "Supervised", "n_filters_scale": 3}
    )
    assert model.mode == "SUPERVISED"


def test_the_four_survive_as_plain_json() -> None:
    four = (
        DataConfig(x_bounds=(0.0, 0.7), C=1, grid_size=(1, 1)),
        ModelConfig(mode="Supervised", probe_mask_diameter=3.5),
        TrainingConfig(training_directories=["a", "b"], epochs=2),
        InferenceConfig(window=9),
    )
    plain = json.loads(json.dumps(as_dicts(*four)))
    assert set(plain) == {"data_config", "model_config", "training_config", "inference_config"}
    assert from_dicts(plain) == four
    assert recipe_of(**plain) == recipe_of(*four)


def test_plain_values_that_are_damaged_are_refused() -> None:
    plain = as_dicts(DataConfig(), ModelConfig(), TrainingConfig(), InferenceConfig())
    with pytest.raises(TypeError, match="bogus"):
        from_dicts({**plain, "data_config": {"bogus": 1}})
    with pytest.raises(TypeError, match="not a list"):
        from_dicts({**plain, "data_config": []})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="inference_config"):
        from_dicts({name: value for name, value in plain.items() if name != "inference_config"})
    with pytest.raises(ConfigError, match="probe_mask is a"):
        as_dicts(DataConfig(), ModelConfig(probe_mask=object()), TrainingConfig(), InferenceConfig())


def test_a_probe_mask_may_be_none_true_or_false() -> None:
    assert recipe(model={"probe_mask": None}) == recipe(model={"probe_mask": False})
    assert recipe({"N": 64}, {"probe_mask": True, "probe_mask_diameter": 16.0}).model.probe.mask_radius == 0.25
