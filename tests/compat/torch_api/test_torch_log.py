"""What the client's task log shows: lines of `ptychopinn-torch` and its children, each once."""

import logging
from pathlib import Path

import pytest

from ptycho_torch.api.base_api import InferenceEngine
from ptycho_torch.api.task_log import client_log


def test_lines_of_the_core_come_under_the_clients_name_once(caplog: pytest.LogCaptureFixture) -> None:
    core = logging.getLogger("ptychopinn.training")
    with caplog.at_level(logging.INFO), client_log(), client_log():
        core.info("within %d", 1)
    with caplog.at_level(logging.INFO):
        core.info("after")
    lines = [(record.name, record.getMessage()) for record in caplog.records]
    assert lines == [("ptychopinn-torch.training", "within 1"), ("ptychopinn.training", "after")]


def test_levels_are_those_of_the_client(caplog: pytest.LogCaptureFixture) -> None:
    core = logging.getLogger("ptychopinn")
    before = core.level
    core.setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.WARNING, "ptychopinn-torch"), client_log():
            core.info("too quiet")
            core.warning("heard")
    finally:
        core.setLevel(before)
    assert [record.getMessage() for record in caplog.records] == ["heard"]


def test_everything_is_put_back_after_an_error() -> None:
    core, root = logging.getLogger("ptychopinn"), logging.getLogger()
    before = (list(core.handlers), core.propagate, core.level, list(root.handlers), root.level)
    with pytest.raises(RuntimeError), client_log():
        raise RuntimeError
    assert (list(core.handlers), core.propagate, core.level, list(root.handlers), root.level) == before


def test_a_training_and_a_reconstruction_name_backend_device_and_scale(
    measured, settings, train, tmp_path: Path, caplog, capfd, monkeypatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ptychopinn"), "handlers", [])  # those of a command run in this process
    measured.export(tmp_path / "in" / "a.npz")
    with caplog.at_level(logging.INFO):
        run = train(tmp_path / "in", tmp_path / "out", settings(epochs=1))
        InferenceEngine(run.model, run.loader.config_manager).predict_and_stitch(run.loader)
    assert {record.name.split(".")[0] for record in caplog.records} == {"ptychopinn-torch"}
    text = caplog.text
    assert text.count("backend pytorch, device cpu") == 2
    for said in (
        "read as counts",
        "intensity scale",
        "trained 1 epochs",
        "model.ckpt: the trained model",
        "predicted in",
    ):
        assert text.count(said) >= 1, said
    assert capfd.readouterr() == ("", "")  # no bars, tips or prints
