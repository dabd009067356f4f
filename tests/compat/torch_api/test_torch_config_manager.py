"""The five configurations, held together."""

import pickle

import pytest

from ptycho_torch.api.base_api import ConfigManager, DataloaderFormats, PtychoModel
from ptycho_torch.config_params import DataConfig, TrainingConfig


def model_of(config_manager: ConfigManager) -> PtychoModel:
    data, model, training, inference = config_manager.four
    return PtychoModel(model, data, training, inference)


def test_attributes_are_the_arguments(settings) -> None:
    held = settings()
    again = ConfigManager(
        data_config=held.data_config,
        model_config=held.model_config,
        training_config=held.training_config,
        inference_config=held.inference_config,
        datagen_config=held.datagen_config,
    )
    for name in ("data_config", "model_config", "training_config", "inference_config", "datagen_config"):
        assert getattr(again, name) is getattr(held, name)
    assert pickle.loads(pickle.dumps(held)).flat() == held.flat()


def test_without_arguments_all_are_defaults() -> None:
    assert ConfigManager().data_config == DataConfig()


def test_a_loaded_model_gives_its_own_configurations(settings) -> None:
    held = settings()
    taken = ConfigManager.from_loaded_model(model_of(held))
    assert taken.four == held.four
    assert taken.validate_arch_compatibility(model_of(held)) is None


def test_differing_fields_are_listed_with_both_values(settings) -> None:
    model = model_of(settings())
    with pytest.raises(
        ValueError, match=r"data_config\.N \(here 64, model 16\), .*n_filters_scale \(here 3, model 1\)"
    ):
        settings(N=64, n_filters_scale=3).validate_arch_compatibility(model)


def test_settings_that_weights_do_not_depend_on_may_differ(settings) -> None:
    other = settings(mode="Supervised", epochs=9, loss_function="MAE", middle_trim=3)
    assert other.validate_arch_compatibility(model_of(settings())) is None


def test_fields_change_by_name(settings) -> None:
    held = settings()
    held.update(N=32, epochs=7, training_config={"batch_size": 3}, data_config={"C": 9})
    assert (held.data_config.N, held.training_config.epochs) == (32, 7)
    assert (held.training_config.batch_size, held.data_config.C) == (3, 9)
    held.update(training_config=TrainingConfig(epochs=1))
    assert held.flat()["training_config.epochs"] == 1


def test_fields_that_are_nobodys_or_of_two_are_refused(settings) -> None:
    with pytest.raises(TypeError, match="no configuration has a field 'epoch'"):
        settings(epoch=3)
    with pytest.raises(TypeError, match="data_config has no field epochs"):
        settings(data_config={"epochs": 3})
    with pytest.raises(ValueError, match="batch_size is a field of training_config and inference_config"):
        settings(batch_size=3)


def test_the_format_is_found_by_the_clients_word() -> None:
    assert DataloaderFormats("lightning_only_module") is DataloaderFormats.LIGHTNING_ONLY_MODULE
    with pytest.raises(ValueError, match="tfrecord"):
        DataloaderFormats("tfrecord")
