"""The recipe: what it takes, what it refuses, and that it comes back from text as it was."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ptychopinn.config import Recipe
from ptychopinn.errors import ConfigError

CHANGED = [
    "data.group_size=9",
    "data.neighbors=12",
    "data.bounds_y=[0.25, 1.0]",
    "model.probe.modes=3",
    "model.loss.amplitude_mae_weight=0.5",
    "training.epochs=7",
    "training.learning_rate=1e-3",
    "training.betas=[0.8, 0.9]",
    "reconstruction.window_px=20",
    "reconstruction.refine.iterations=30",
    "simulation.seed=4",
]

REFUSED = {
    "data.drop_frames=dim": "data.drop_frames",
    "data.mask_pixels=cold": "data.mask_pixels",
    "model.blur_px=-1": "model.blur_px",
    "model.fly_path_px=[1.0]": "model.fly_path_px",
    "model.fly_steps=1": "model.fly_steps",
    "reconstruction.refine.blur=sharp": "reconstruction.refine.blur",
    "reconstruction.refine.probe_modes=many": "reconstruction.refine.probe_modes",
    "data.flip_patterns=z": "data.flip_patterns",
    "data.flip_positions=z": "data.flip_positions",
    "data.position_unit=inch": "data.position_unit",
    "data.position_scale=0": "data.position_scale",
    "data.detector_binning=0": "data.detector_binning",
    "data.domain=photons": "data.domain",
    "data.axis_order=whn": "data.axis_order",
    "data.position_origin=corner": "data.position_origin",
    "data.source_distance_m=0": "data.source_distance_m",
    "data.energy_eV=8.8e9": "data.energy_eV",
    "data.distance_m=1750": "data.distance_m",
    "data.detector_pixel_m=75": "data.detector_pixel_m",
    "data.mask_bits=0": "data.mask_bits",
    "data.dark=keep": "data.dark",
    "data.probe_model=pinhole": "data.probe_model",
    "data.optics_outer_zone_m=0": "data.optics_outer_zone_m",
    "data.optics_stop_m=-1": "data.optics_stop_m",
    "data.optics_size_m=0": "data.optics_size_m",
    "data.optics_defocus_m=10": "data.optics_defocus_m",
    "data.crop=1": "data.crop",
    "data.pad=1": "data.pad",
    "data.subsampling=first": "data.subsampling",
    "data.neighbor_rule=furthest": "data.neighbor_rule",
    "data.n_groups=0": "data.n_groups",
    "data.group_size=0": "data.group_size",
    "data.group_size=257": "data.group_size",
    "data.neighbors=0": "data.neighbors",
    "data.n_patterns=0": "data.n_patterns",
    "data.min_distance_px=-1": "data.min_distance_px",
    "data.max_distance_px=0": "data.max_distance_px",
    "data.groups_per_pattern=0": "data.groups_per_pattern",
    "data.validation_fraction=0.9": "data.validation_fraction",
    "data.bounds_x=[0.5, 0.2]": "bounds_x",
    "data.sampler=random": "data.sampler",
    "model.kind=unsupervised": "model.kind",
    "model.generator.amplitude_activation=tanh": "model.generator.amplitude_activation",
    "model.generator.grouping=pairs": "model.generator.grouping",
    "model.generator.width=0": "model.generator.width",
    "model.generator.levels=8": "model.generator.levels",
    "training.checkpoints=-1": "training.checkpoints",
    "training.monitor=accuracy": "training.monitor",
    "model.generator.blocks=0": "model.generator.blocks",
    "model.generator.refiner_blocks=0": "model.generator.refiner_blocks",
    "model.generator.stages=-1": "model.generator.stages",
    "model.generator.physics_steps=0": "model.generator.physics_steps",
    "model.generator.spectral_modes=0": "model.generator.spectral_modes",
    "model.generator.spectral=fftw": "model.generator.spectral",
    "model.merge.weight=gaussian": "model.merge.weight",
    "model.probe.modes=0": "model.probe.modes",
    "model.probe.mask_radius=1.5": "model.probe.mask_radius",
    "model.probe.mask_edge_px=-1": "model.probe.mask_edge_px",
    "model.probe.smoothing_px=-1": "model.probe.smoothing_px",
    "model.probe.scale=0": "model.probe.scale",
    "model.positions.limit_px=0": "model.positions.limit_px",
    "model.loss.poisson_weight=-1": "model.loss.poisson_weight",
    "model.loss.poisson_weight=0": "every data term of the loss has weight 0",
    "model.subpixel=nearest": "model.subpixel",
    "model.fresnel_number=0": "model.fresnel_number",
    "model.background=-1": "model.background",
    "model.intensity_scale=none": "model.intensity_scale",
    "training.epochs=0": "training.epochs",
    "training.epochs=1.5": "training.epochs",
    'training.start_from=""': "training.start_from",
    "training.stages.data_epochs=-1": "training.stages.data_epochs",
    "training.stages.transition_epochs=-1": "training.stages.transition_epochs",
    "training.stages.physics_epochs=-1": "training.stages.physics_epochs",
    "training.stages.data_loss=mse": "training.stages.data_loss",
    "training.stages.physics_weight=step": "training.stages.physics_weight",
    "training.stages.data_learning_rate=0": "training.stages.data_learning_rate",
    "training.stages.transition_learning_rate=0": "training.stages.transition_learning_rate",
    "training.stages.physics_learning_rate=0": "training.stages.physics_learning_rate",
    "training.fine_tune.epochs=-1": "training.fine_tune.epochs",
    "training.fine_tune.learning_rate=0": "training.fine_tune.learning_rate",
    "training.fine_tune.patience=0": "training.fine_tune.patience",
    "training.fine_tune.decoder.epochs=-1": "training.fine_tune.decoder.epochs",
    "training.fine_tune.decoder.decoder=-1": "training.fine_tune.decoder.decoder",
    "training.fine_tune.encoder_top.epochs=-1": "training.fine_tune.encoder_top.epochs",
    "training.fine_tune.encoder_top.encoder_top=-1": "training.fine_tune.encoder_top.encoder_top",
    "training.fine_tune.encoder_top.decoder=-1": "training.fine_tune.encoder_top.decoder",
    "training.fine_tune.encoder_top.head=-1": "training.fine_tune.encoder_top.head",
    "training.fine_tune.whole.epochs=-1": "training.fine_tune.whole.epochs",
    "training.fine_tune.whole.encoder_bottom=-1": "training.fine_tune.whole.encoder_bottom",
    "training.fine_tune.whole.encoder_top=-1": "training.fine_tune.whole.encoder_top",
    "training.fine_tune.whole.decoder=-1": "training.fine_tune.whole.decoder",
    "training.fine_tune.whole.head=-1": "training.fine_tune.whole.head",
    "training.scheduler=adaptive": "scheduler adaptive follows the stages of training, which have no epochs",
    "training.patterns_per_step=0": "training.patterns_per_step",
    "training.thinning=1": "training.thinning",
    "training.accumulate_steps=0": "training.accumulate_steps",
    "training.optimizer=lbfgs": "training.optimizer",
    "training.learning_rate=0": "training.learning_rate",
    "training.weight_decay=-1": "training.weight_decay",
    "training.betas=[0.9, 1.0]": "betas",
    "training.momentum=1": "training.momentum",
    "training.scheduler=linear": "training.scheduler",
    "training.min_lr_ratio=2": "training.min_lr_ratio",
    "training.exponential_gamma=0": "training.exponential_gamma",
    "training.warmup_epochs=-1": "training.warmup_epochs",
    "training.plateau_patience=-1": "training.plateau_patience",
    "training.plateau_threshold=-1": "training.plateau_threshold",
    "training.plateau_min_lr=-1": "training.plateau_min_lr",
    "training.plateau_factor=1": "training.plateau_factor",
    "training.gradient_clip=0": "training.gradient_clip",
    "training.gradient_clip_algorithm=max": "training.gradient_clip_algorithm",
    "training.early_stop_patience=0": "training.early_stop_patience",
    "training.seed=-1": "training.seed",
    "training.devices=0": "training.devices",
    "training.logger=comet": "training.logger",
    'training.experiment=""': "training.experiment",
    "training.figure_epochs=0": "training.figure_epochs",
    "training.figure_patterns=-1": "training.figure_patterns",
    "training.figure_patches=65": "training.figure_patches",
    "training.figure_indices=[-1]": "training.figure_indices",
    "training.precision=float16": "training.precision",
    "training.compile_mode=fast": "training.compile_mode",
    "training.threads=0": "training.threads",
    "reconstruction.resolution=half": "reconstruction.resolution",
    "reconstruction.uncertainty_replicas=0": "reconstruction.uncertainty_replicas",
    'reconstruction.prior=""': "reconstruction.prior",
    "reconstruction.refine.iterations=-1": "reconstruction.refine.iterations",
    "reconstruction.refine.loss=3": "reconstruction.refine.loss",
    "reconstruction.refine.penalties={total_variation: -1}": "reconstruction.refine.penalties.total_variation",
    "reconstruction.refine.penalties={smoothness: 1}": "reconstruction.refine.penalties",
    "reconstruction.refine.constraints=[1]": "reconstruction.refine.constraints",
    "model.loss.terms={amplitude: -1}": "model.loss.terms.amplitude",
    "model.loss.terms={poisson: 1}": "poisson_weight",
    "model.loss.penalties={total_variation: 1}": "total_variation_weight",
    "reconstruction.refine.probe_start=-1": "reconstruction.refine.probe_start",
    "reconstruction.refine.positions_start=-1": "reconstruction.refine.positions_start",
    "reconstruction.refine.background=sloped": "reconstruction.refine.background",
    "reconstruction.refine.probe_relaxation=17": "reconstruction.refine.probe_relaxation",
    "reconstruction.refine.intensities=drifting": "reconstruction.refine.intensities",
    "reconstruction.refine.batch_size=0": "reconstruction.refine.batch_size",
    "reconstruction.refine.object_step=2.5": "reconstruction.refine.object_step",
    "reconstruction.refine.probe_step=0": "reconstruction.refine.probe_step",
    "reconstruction.refine.positions_step_px=0": "reconstruction.refine.positions_step_px",
    "reconstruction.refine.positions_prior_px=0": "reconstruction.refine.positions_prior_px",
    "reconstruction.refine.positions_limit_px=0": "reconstruction.refine.positions_limit_px",
    "reconstruction.refine.low_frequency_step=2": "reconstruction.refine.low_frequency_step",
    "reconstruction.refine.momentum=1": "reconstruction.refine.momentum",
    "reconstruction.refine.decay=1.5": "reconstruction.refine.decay",
    "reconstruction.refine.damping=0": "reconstruction.refine.damping",
    "reconstruction.refine.smoothness=-1": "reconstruction.refine.smoothness",
    "reconstruction.refine.edge_preserving=0": "reconstruction.refine.edge_preserving",
    "reconstruction.refine.single_material=-1": "reconstruction.refine.single_material",
    "reconstruction.refine.seed=-1": "reconstruction.refine.seed",
    "reconstruction.batch_size=0": "reconstruction.batch_size",
    "reconstruction.weight=hann": "reconstruction.weight",
    "reconstruction.window_px=0": "reconstruction.window_px",
    "reconstruction.physics_steps=0": "reconstruction.physics_steps",
    "reconstruction.min_coverage=0": "reconstruction.min_coverage",
    "backend=jax": "backend",
}


def test_a_changed_recipe_comes_back_from_yaml_and_pickle() -> None:
    recipe = Recipe().with_overrides(CHANGED)
    assert recipe != Recipe()
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_mapping(recipe.model_dump(mode="json")) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_overrides_arrive_and_nothing_else_changes() -> None:
    recipe = Recipe().with_overrides(CHANGED)
    assert recipe.data.bounds_y == (0.25, 1.0)
    assert recipe.training.learning_rate == 1e-3
    assert recipe.model.probe.modes == 3
    back = recipe.model_dump()
    for item in CHANGED:
        *parents, last = item.partition("=")[0].split(".")
        node: Any = back
        default: Any = Recipe().model_dump()
        for name in parents:
            node, default = node[name], default[name]
        node[last] = default[last]
    assert back == Recipe().model_dump()


def test_a_file_states_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("training: {epochs: 3}\n")
    assert Recipe.from_file(path) == Recipe().with_overrides(["training.epochs=3"])
    path.write_text("")
    assert Recipe.from_file(path) == Recipe()


def sections(model: BaseModel, path: str = "") -> list[tuple[str, BaseModel]]:
    inner = [(name, getattr(model, name)) for name in type(model).model_fields]
    nested = [
        item for name, value in inner if isinstance(value, BaseModel) for item in sections(value, f"{path}{name}.")
    ]
    return [(path, model), *nested]


@pytest.mark.parametrize(
    ("path", "section"), sections(Recipe()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_section_is_frozen_and_refuses_unknown_keys(path: str, section: BaseModel) -> None:
    name = next(iter(type(section).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(section, name, getattr(section, name))
    with pytest.raises(ConfigError, match=rf"{path}colour"):
        Recipe().with_overrides([f"{path}colour=red"])


@pytest.mark.parametrize("override", REFUSED)
def test_a_bad_value_is_refused_by_name(override: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[override]):
        Recipe().with_overrides([override])


def test_every_bounded_field_has_a_refusal_above() -> None:
    """A new rule needs a line in REFUSED."""
    bounded = {
        f"{path}{name}"
        for path, section in sections(Recipe())
        for name, field in type(section).model_fields.items()
        if (field.metadata or "Literal" in str(field.annotation)) and not path.startswith("simulation")
    }
    untested = bounded - {item.partition("=")[0] for item in REFUSED}
    weights = {name for name in untested if name.startswith("model.loss.")}  # all have the rule of the first
    assert not untested - weights


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("training.epochs", "must be section.key=value"),
        ("=3", "must be section.key=value"),
        ("training.epochs.more=3", "is a value and has no keys"),
        ("training.epochs=[", "cannot be read as YAML"),
    ],
)
def test_an_override_that_is_none_is_refused(override: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        Recipe().with_overrides([override])


@pytest.mark.parametrize("text", ["- a\n- b\n", "training: [", "just text"])
def test_a_file_that_is_no_recipe_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        Recipe.from_file(path)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such recipe file"):
        Recipe.from_file(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as a recipe"):
        Recipe.from_file(tmp_path / "binary.yaml")


def test_neighbors_below_the_group_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="neighbors is 3 but a group of 9 needs 8"):
        Recipe().with_overrides(["data.group_size=9", "data.neighbors=3"])


def test_importing_the_configuration_loads_no_torch() -> None:
    code = "import sys, ptychopinn.config; print([name for name in ('torch', 'lightning') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_earlier_names_of_settings_are_accepted_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    old = Recipe.from_mapping({"reconstruction": {"refine": {"positions_bend": True, "material": 600}}})
    refine = old.with_overrides(["reconstruction.refine.smoothness_edge=0.05"]).reconstruction.refine
    assert (refine.positions_distortion, refine.single_material, refine.edge_preserving) == (True, 600, 0.05)
    assert caplog.text.count("is now called") == 3


def test_both_names_of_a_setting_are_refused() -> None:
    with pytest.raises(ConfigError, match="two names of one setting"):
        Recipe.from_mapping({"reconstruction": {"refine": {"material": 1, "single_material": 2}}})


@pytest.mark.parametrize("given", [{"input": "lifted"}, ["model.generator.input=lifted"]])
def test_the_earlier_name_of_the_input_is_accepted_with_a_warning(
    given: dict[str, str] | list[str], caplog: pytest.LogCaptureFixture
) -> None:
    if isinstance(given, dict):
        recipe = Recipe.from_mapping({"model": {"generator": given}})
    else:
        recipe = Recipe().with_overrides(given)
    assert recipe == Recipe()
    assert "now called back_projected" in caplog.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("training: {epochs: 3}\ntraining: {epochs: 4}", "the key training stands twice"),
        ("training: {epochs: 0x" + "f" * 500 + "}", "a whole number must have 64 characters at most"),
        ("training: {epochs: !!timestamp 'x'}", "is not valid YAML"),
    ],
)
def test_ambiguous_and_endless_values_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Recipe.from_yaml(text)


def test_many_faults_are_counted_after_the_first_ones() -> None:
    with pytest.raises(ConfigError, match="and 95 more"):
        Recipe.from_mapping({f"k{number}": 1 for number in range(100)})


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["training.stages.data_epochs=3", "training.epochs=4"], "epochs is 4 but the stages have 3 together"),
        (["training.stages.data_epochs=3", "training.scheduler=plateau"], "scheduler plateau compares losses"),
        (["training.fine_tune.staged=true", "training.scheduler=plateau"], "scheduler plateau compares losses"),
        (
            [f"training.fine_tune.{key}" for key in ("staged=true", "decoder.epochs=0", "encoder_top.epochs=0")],
            "fine_tune.staged has no epochs",
        ),
        (
            ["training.fine_tune.staged=true", "training.start_from=model.zip", "training.epochs=3"],
            "replaces the training of a model",
        ),
        (["training.stages.data_epochs=3", "model.kind=supervised"], "which model.kind=supervised leaves out"),
    ],
)
def test_stages_that_contradict_other_settings_are_refused(overrides: list[str], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        Recipe().with_overrides(overrides)
