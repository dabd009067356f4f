"""One rule for the backend, and no silent fall-back."""

import pytest

from ptycho.backend import VARIABLE, loading_backend, only_pytorch, requested_backend, training_backend
from ptychopinn.config import backend
from ptychopinn.errors import ConfigError


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the tests asks for nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(params=[True, False], ids=["TensorFlow installed", "TensorFlow missing"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the packages of TensorFlow are there, as the rule sees it."""
    monkeypatch.setattr(backend, "_is_installed", lambda: request.param)
    return request.param


def test_nothing_requested_trains_by_pytorch_and_loads_by_the_archive(
    installed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ptychopinn")
    assert requested_backend() is None
    assert training_backend() == "pytorch"
    assert loading_backend("pytorch") == "pytorch"
    assert loading_backend("tensorflow") == ("tensorflow" if installed else "pytorch")
    assert ("PyTorch runs this model of the backend tensorflow" in caplog.text) is not installed


@pytest.mark.parametrize(
    ("given", "configured", "variable", "wanted"),
    [
        ("pytorch", "tensorflow", "tensorflow", "pytorch"),
        (None, "tensorflow", "pytorch", "tensorflow"),
        (None, "pytorch", "tensorflow", "tensorflow"),
        (None, "pytorch", "PyTorch", "pytorch"),
        (None, "pytorch", "", None),
    ],
)
def test_flag_before_setting_before_variable(
    monkeypatch: pytest.MonkeyPatch, given: str | None, configured: str, variable: str, wanted: str | None
) -> None:
    monkeypatch.setenv(VARIABLE, variable)

    assert requested_backend(given, configured) == wanted


def test_a_backend_that_is_not_installed_gives_the_line_that_installs_it(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "tensorflow")
    if installed:
        assert training_backend() == loading_backend("pytorch") == "tensorflow"
        return
    for choose in (training_backend, lambda: loading_backend("pytorch")):
        with pytest.raises(
            ConfigError, match=r"pip install 'ptychopinn\[tensorflow\]'.*--backend pytorch.*unset PTYCHOPINN_BACKEND"
        ):
            choose()


def test_an_archive_without_a_mapping_is_refused_and_both_backends_are_named(installed: bool) -> None:
    obstacle = "model.generator.architecture is 'fno'"
    with pytest.raises(
        ConfigError, match=r"'tensorflow' was requested but the model was saved by backend 'pytorch'.*'fno'"
    ):
        loading_backend("pytorch", "tensorflow", obstacle=obstacle)
    assert loading_backend("tensorflow", obstacle=obstacle) == "pytorch"


def test_an_archive_is_run_by_the_backend_that_is_asked_for(installed: bool) -> None:
    assert loading_backend("tensorflow", "pytorch") == "pytorch"
    assert loading_backend(("pytorch", "tensorflow")) == "pytorch"


def test_an_unknown_backend_is_refused_where_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "jax")
    with pytest.raises(
        ConfigError, match=r"PTYCHOPINN_BACKEND = 'jax' is no backend; choose one of pytorch, tensorflow"
    ):
        training_backend()


def test_the_pytorch_package_does_not_follow_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tensorflow")
    with only_pytorch():
        assert training_backend(configured="tensorflow") == "pytorch"

    assert requested_backend(configured="tensorflow") == "tensorflow"
