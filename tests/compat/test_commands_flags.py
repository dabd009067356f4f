"""Flags of the old commands: every field has one, both spellings work, old names warn."""

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from ptycho.commands import inference, train
from ptycho.commands.flags import read_value
from ptycho.commands.settings import given_values, training_settings
from ptycho.config.config import InferenceConfig, ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptychopinn.cli.flags import members
from ptychopinn.errors import ConfigError

SECTIONS = ((TrainingConfig, ""), (ModelConfig, ""), (PyTorchExecutionConfig, "torch_"))
SPECIAL = {"accelerator": "cpu", "checkpoint_mode": "max", "logger_backend": "none"}
FIELDS = [
    (settings, prefix, field.name)
    for settings, prefix in SECTIONS
    for field in fields(settings)
    if field.name not in ("model", "n_images")
]


def other_text(settings: type, name: str) -> str:
    """Text of a value of the field that is not its default."""
    if name in SPECIAL:
        return SPECIAL[name]
    kind = next(one for one in members(get_type_hints(settings)[name]) if one is not type(None))
    default = getattr(settings, name, None)
    if get_origin(kind) is Literal:
        return next(str(choice) for choice in get_args(kind) if choice != default)
    if get_origin(kind) is list:
        return "3,5"
    return {bool: str(not default), int: "7", float: "0.625", str: "other", Path: "some/where"}[kind]


def settings_of(*words: str) -> tuple[TrainingConfig, PyTorchExecutionConfig]:
    return training_settings(given_values(train.OPTIONS, words))


@pytest.mark.parametrize(("settings", "prefix", "name"), FIELDS)
@pytest.mark.parametrize("dashes", [True, False])
def test_every_field_has_a_flag_in_both_spellings(settings: type, prefix: str, name: str, dashes: bool) -> None:
    flag = f"{prefix}{name}".replace("_", "-") if dashes else f"{prefix}{name}"
    text = other_text(settings, name)
    config, execution = settings_of(f"--{flag}", text)
    owner: Any = {TrainingConfig: config, ModelConfig: config.model, PyTorchExecutionConfig: execution}[settings]

    value = getattr(owner, name)
    assert value == read_value(get_type_hints(settings)[name], text)
    assert value != getattr(settings, name, None)


def test_nothing_given_leaves_every_default() -> None:
    assert settings_of() == (TrainingConfig(model=ModelConfig()), PyTorchExecutionConfig())


def test_every_field_of_a_reconstruction_has_a_flag() -> None:
    words = []
    for field in fields(InferenceConfig):
        if field.name not in ("model", "n_images"):
            words += [f"--{field.name}", other_text(InferenceConfig, field.name)]

    assert set(given_values(inference.OPTIONS, words)) == {field.name for field in fields(InferenceConfig)} - {
        "model",
        "n_images",
    }


@pytest.mark.parametrize(
    ("flag", "text", "field", "value"),
    [
        ("--torch-logger", "tensorboard", "logger_backend", "tensorboard"),
        ("--torch-accumulate-grad-batches", "2", "accum_steps", 2),
        ("--torch-checkpoint-monitor", "train_loss", "checkpoint_monitor_metric", "train_loss"),
        ("--learning_rate", "1e-4", "learning_rate", 1e-4),
        ("--torch-devices", "auto", "devices", "auto"),
        ("--torch-deterministic", "warn", "deterministic", "warn"),
        ("--torch_accelerator", "cpu", "accelerator", "cpu"),
    ],
)
def test_names_that_differ_from_the_field(flag: str, text: str, field: str, value: object) -> None:
    assert getattr(settings_of(flag, text)[1], field) == value


def test_switches_need_no_value_and_have_an_opposite() -> None:
    assert settings_of("--probe_trainable")[0].probe_trainable is True
    assert settings_of("--probe-trainable=false")[0].probe_trainable is False
    assert settings_of("--no-object-big")[0].model.object_big is False
    assert settings_of("--no_torch_enable_checkpointing")[1].enable_checkpointing is False


@pytest.mark.parametrize(
    ("words", "field", "value", "instead"),
    [
        (("--n_images", "64"), "n_groups", 64, "--n_groups"),
        (("--n-images=64",), "n_groups", 64, "--n_groups"),
        (("--device", "cpu"), "accelerator", "cpu", "--torch-accelerator"),
        (("--disable_mlflow",), "logger_backend", "csv", "MLflow"),
    ],
)
def test_old_spellings_work_and_warn(
    caplog: pytest.LogCaptureFixture, words: tuple[str, ...], field: str, value: object, instead: str
) -> None:
    with caplog.at_level(logging.WARNING, "ptychopinn"):
        config, execution = settings_of(*words)

    assert getattr(config if field == "n_groups" else execution, field) == value
    (message,) = caplog.messages
    assert message.startswith(f"DeprecationWarning: {words[0].partition('=')[0].replace('n-i', 'n_i')}")
    assert instead in message


def test_new_spellings_do_not_warn(caplog: pytest.LogCaptureFixture) -> None:
    settings_of("--n_groups", "64", "--torch-accelerator", "cpu")

    assert caplog.messages == []


def test_yaml_gives_fields_flat_or_nested_and_flags_win(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "nepochs: 7\nnphotons: 1e5\nn_groups: null\nprobe_trainable: yes\nmodel: {gridsize: 2, N: 32}\n"
        "amp_activation: relu\ntorch: {learning_rate: 1e-4, recon_log_fixed_indices: [3, 5]}\ntorch_logger: none\n"
        "output_dir: some/where\n"
    )
    config, execution = settings_of("--config", str(file), "--nepochs", "9")

    assert (config.nepochs, config.nphotons, config.n_groups, config.probe_trainable) == (9, 1e5, None, True)
    assert (config.model.gridsize, config.model.N, config.model.amp_activation) == (2, 32, "relu")
    assert (execution.learning_rate, execution.logger_backend) == (1e-4, None)
    assert execution.recon_log_fixed_indices == [3, 5]
    assert config.output_dir == Path("some/where")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nepoch: 3", ("nepoch", "did you mean --nepochs?")),
        ("nepochs: many", ("nepochs", "'many' is not a whole number")),
        ("model: {gridsiz: 2}", ("gridsiz", "--gridsize")),
        ("- 1\n- 2", ("mapping",)),
        ("a: [", ("YAML",)),
    ],
)
def test_bad_yaml_is_refused_with_its_name(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        settings_of("--config", str(file))

    for word in (str(file), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nepoch", "3"), ("--nepoch is no option", "did you mean --nepochs?")),
        (("scan.npz",), ("scan.npz is no option", "--help")),
        (("--nepochs",), ("--nepochs needs a value",)),
        (("--nepochs", "2.5"), ("--nepochs: '2.5' is not a whole number",)),
        (("--architecture", "resnet"), ("--architecture", "one of cnn, ", "hybrid")),
        (("--probe_trainable", "perhaps"), ("--probe_trainable", "true or false")),
        (("--torch-precision", "8"), ("--torch-precision", "bf16-mixed")),
        (("--torch-accelerator", "tpu"), ("TPU",)),
        (("--config", "/no/such.yaml"), ("/no/such.yaml", "no such file")),
    ],
)
def test_bad_arguments_name_the_rule(words: tuple[str, ...], said: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(*words)

    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int | None, "none", None),
        (int, "1e3", 1000),
        (int | Literal["auto"], "AUTO", "auto"),
        (int | Literal["auto"], "2", 2),
        (str | None, "none", None),
        (str, "none", "none"),
        (bool | Literal["warn"], "off", False),
        (float, "1E9", 1e9),
        (list[int] | None, "[1, 2]", [1, 2]),
    ],
)
def test_values_by_type(kind: object, text: str, value: object) -> None:
    read = read_value(kind, text)

    assert read == value
    assert type(read) is type(value)
