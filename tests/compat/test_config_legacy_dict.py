"""The dataclasses of `ptycho.config.config` against numbers of the earlier system: legacy dictionary and validation."""

import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from ptycho import params
from ptycho.config import config as settings
from ptycho.config.config import InferenceConfig, ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptychopinn.errors import ConfigError

CASES = (
    "infer_basic",
    "infer_n_images",
    "model_only",
    "train_defaults",
    "train_gs2_n128_paths",
    "train_mae_torch_backend",
    "train_n_images_deprecated",
    "train_oversampling_sequential",
    "train_realspace_probe_trainable",
)
VALIDATORS: dict[str, Any] = {
    "model": lambda values: settings.validate_model_config(ModelConfig(**values)),
    "training": lambda values: settings.validate_training_config(TrainingConfig(ModelConfig(), **values)),
    "execution": lambda values: PyTorchExecutionConfig(**values),
}
ACCEPTED_NOW = ({"probe_scale": 0.0}, {"architecture": "hybrid"}, {"batch_size": 12})
"""Named divergences, each tested below."""


def fixture(shared_dir: Path, case: str) -> dict[str, Any]:
    text = (shared_dir / "parity" / "params_cfg" / f"{case}.json").read_text()
    return json.loads(text, object_hook=lambda tree: Path(tree["__path__"]) if set(tree) == {"__path__"} else tree)


def build(inputs: dict[str, Any]) -> Any:
    kind = getattr(settings, inputs["class"])
    if inputs["model_kwargs"] is None:
        return kind(**inputs["kwargs"])
    return kind(model=ModelConfig(**inputs["model_kwargs"]), **inputs["kwargs"])


def with_divergences(expected: dict[str, Any], given: dict[str, Any], *, keep_none: bool) -> dict[str, Any]:
    """What the earlier system wrote, with our defaults of `n_groups` and `backend` where the case gives neither."""
    ours = dict(expected)
    if "backend" in ours and "backend" not in given:
        ours["backend"] = "pytorch"
    if ours.get("n_groups") == 512 and not {"n_groups", "n_images"} & set(given):
        ours["n_groups"] = None
        if not keep_none:
            del ours["n_groups"]
    return ours


@pytest.mark.shared_data
@pytest.mark.parametrize("case", CASES)
def test_the_legacy_dictionary_is_that_of_the_earlier_system(shared_dir: Path, case: str) -> None:
    data = fixture(shared_dir, case)
    given = data["inputs"]["kwargs"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = build(data["inputs"])
    shown = [{"category": item.category.__name__, "message": str(item.message)} for item in caught]
    assert shown == data["construction_warnings"]
    flat = with_divergences(data["dataclass_to_legacy_dict"], given, keep_none=True)
    assert settings.dataclass_to_legacy_dict(config) == flat
    for start, key in (
        ({}, "update_legacy_dict_from_empty"),
        (params.DEFAULT_CFG, "update_legacy_dict_from_DEFAULT_CFG"),
    ):
        cfg = dict(start)
        settings.update_legacy_dict(cfg, config)
        assert cfg == with_divergences(data[key], given, keep_none=False)


@pytest.mark.shared_data
def test_validation_gives_the_verdicts_of_the_earlier_system(shared_dir: Path) -> None:
    matrix = json.loads((shared_dir / "parity" / "params_cfg" / "_validation_matrix.json").read_text())
    assert len(matrix) > 25
    for row in matrix:
        if row["ok"] or row["input"] in ACCEPTED_NOW:
            VALIDATORS[row["label"]](row["input"])
            continue
        message = row["message"].replace("positive power of 2", "positive").split(",")[0]
        with pytest.raises(ValueError, match=re.escape(message)):
            VALIDATORS[row["label"]](row["input"])


def test_a_group_count_of_none_means_every_pattern() -> None:
    config = TrainingConfig(ModelConfig())
    assert config.n_groups is None
    cfg: dict[str, Any] = {}
    settings.update_legacy_dict(cfg, config)
    assert "n_groups" not in cfg


def test_the_default_backend_is_pytorch() -> None:
    assert TrainingConfig(ModelConfig()).backend == "pytorch"
    assert InferenceConfig(ModelConfig(), Path("m"), Path("t")).backend == "pytorch"


@pytest.mark.parametrize("size", [1, 3, 12, 1000])
def test_any_batch_size_from_one_is_accepted(size: int) -> None:
    settings.validate_training_config(TrainingConfig(ModelConfig(), batch_size=size))


def test_a_probe_scale_of_zero_is_accepted() -> None:
    settings.validate_model_config(ModelConfig(probe_scale=0.0))


def test_the_architecture_hybrid_is_accepted() -> None:
    settings.validate_model_config(ModelConfig(architecture="hybrid"))


def test_an_inference_config_validates_its_model() -> None:
    settings.validate_inference_config(InferenceConfig(ModelConfig(), Path("m"), Path("t")))
    with pytest.raises(ConfigError, match="gridsize"):
        settings.validate_inference_config(InferenceConfig(ModelConfig(gridsize=0), Path("m"), Path("t")))


def test_configs_are_mutable_and_picklable_and_accept_a_size_of_zero() -> None:
    config = TrainingConfig(model=ModelConfig(N=0))
    config.model.N = 64
    for value in (config, InferenceConfig(ModelConfig(), Path("m"), Path("t")), PyTorchExecutionConfig()):
        assert pickle.loads(pickle.dumps(value)) == value


def test_the_warning_of_n_images_points_at_the_caller() -> None:
    with pytest.warns(DeprecationWarning, match="n_groups") as caught:
        config = TrainingConfig(ModelConfig(), n_images=300, n_groups=20)
    assert caught[0].filename == __file__
    assert config.n_groups == 20


def test_execution_settings_never_enter_the_legacy_dictionary() -> None:
    """A field that both have is written with the training setting's value."""
    cfg: dict[str, Any] = {}
    settings.update_legacy_dict(cfg, TrainingConfig(ModelConfig(), gradient_clip_val=2.0))
    own = set(PyTorchExecutionConfig.__dataclass_fields__) - set(TrainingConfig.__dataclass_fields__)
    assert cfg["gradient_clip_val"] == 2.0
    assert not own & set(cfg)
