"""The one file of a trained model."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.api.base_api import PtychoModel
from ptycho_torch.api.checkpoint import read_checkpoint, write_checkpoint
from ptycho_torch.model import PtychoPINN_Lightning


def test_it_loads_without_running_code(finished) -> None:
    values = torch.load(finished.folder / "model.ckpt", weights_only=True)
    configs = values["hyper_parameters"]["configs"]
    assert set(configs) == {"data_config", "model_config", "training_config", "inference_config"}
    assert configs["data_config"]["N"] == 16
    assert values["hyper_parameters"]["recipe"]["training"]["epochs"] == 3


def test_checkpoints_of_epochs_load_too(finished) -> None:
    for name in ("best", "last"):
        loaded = PtychoModel.load(finished.folder / "checkpoints" / f"{name}.ckpt")
        assert loaded.data_config.N == 16
        assert loaded.module().trained().probe.shape == (1, 16, 16)


def test_configurations_come_back_as_they_were(finished) -> None:
    four = PtychoModel._extract_configs_from_checkpoint(str(finished.folder / "model.ckpt"))
    assert four == finished.loader.config_manager.four
    assert four[0].grid_size == (2, 2)


def test_weights_come_back_exactly(finished, tmp_path: Path) -> None:
    path = finished.model.save(tmp_path / "again.ckpt")
    loaded = PtychoPINN_Lightning.load_from_checkpoint(path)
    for name, value in finished.model.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert loaded.recipe == finished.model.model.recipe
    assert loaded.loss_name == "poisson_train_loss"


def test_given_configurations_win_over_stored_ones(finished, settings) -> None:
    other = settings(middle_trim=7).inference_config
    loaded = PtychoPINN_Lightning.load_from_checkpoint(finished.folder / "model.ckpt", inference_config=other)
    assert loaded.inference_config is other
    assert loaded.training_config == finished.loader.config_manager.training_config


def test_a_checkpoint_made_on_a_gpu_loads_without_one(finished, tmp_path: Path, monkeypatch) -> None:
    """The device is written with every tensor; it must not be asked for again."""
    asked = []
    load = torch.load

    def spy(*args, **kwargs):
        asked.append(kwargs.get("map_location"))
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", spy)
    read_checkpoint(finished.folder / "model.ckpt")
    assert set(asked) == {"cpu"}
    monkeypatch.undo()
    model = finished.model.module()
    recipe = model.recipe.changed(training=model.recipe.training.changed(device="cuda:3"))
    path = write_checkpoint(
        tmp_path / "gpu.ckpt",
        model.trained(),
        recipe,
        read_checkpoint(finished.folder / "model.ckpt").configs,
    )
    assert PtychoModel.load(path).module().trained().probe.device.type == "cpu"


def test_writing_is_whole_or_not_at_all(finished, tmp_path: Path, monkeypatch) -> None:
    path = finished.model.save(tmp_path / "kept.ckpt")
    before = path.read_bytes()

    def failing(value: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(KeyboardInterrupt):
        finished.model.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def of(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


class Foreign:
    """What an unpickler must not build."""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no checkpoint",
        np.random.default_rng(0).bytes(4000),
        of(torch.ones(3)),
        of({"state_dict": {}}),
        of({"state_dict": {}, "hyper_parameters": {"recipe": {}, "configs": 3}}),
        of({"state_dict": {}, "hyper_parameters": {"recipe": {"no": 1}, "configs": {}}}),
        of({"state_dict": {}, "hyper_parameters": Foreign()}),
    ],
    ids=["empty", "text", "noise", "tensor", "bare", "configs", "recipe", "foreign"],
)
@pytest.mark.parametrize(
    "read", [PtychoModel._extract_configs_from_checkpoint, PtychoPINN_Lightning.load_from_checkpoint]
)
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes, read) -> None:
    path = tmp_path / "strange.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"strange\.ckpt"):
        read(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.ckpt: no such checkpoint"):
        PtychoModel._extract_configs_from_checkpoint(str(tmp_path / "absent.ckpt"))


def test_a_flipped_bit_is_found(finished, tmp_path: Path) -> None:
    data = bytearray((finished.folder / "model.ckpt").read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "flipped.ckpt"
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"flipped\.ckpt"):
        read_checkpoint(path)


def test_weights_of_another_network_are_refused(finished, tmp_path: Path) -> None:
    values = torch.load(finished.folder / "model.ckpt", weights_only=True)
    values["state_dict"].pop(next(name for name in values["state_dict"] if "encoder" in name))
    torch.save(values, tmp_path / "short.ckpt")
    with pytest.raises(ValueError, match=r"short\.ckpt"):
        PtychoPINN_Lightning.load_from_checkpoint(tmp_path / "short.ckpt")
