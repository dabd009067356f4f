"""One rule for the backend, and no silent fall-back."""

import pytest

from ptycho.backend import VARIABLE, loading_backend, only_pytorch, requested_backend, training_backend
from ptychopinn.errors import ConfigError


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the tests asks for nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)


def test_nothing_requested_trains_by_pytorch_and_loads_by_the_archive() -> None:
    assert requested_backend() is None
    assert training_backend() == "pytorch"
    assert loading_backend("tensorflow") == "tensorflow"


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


def test_training_by_tensorflow_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tensorflow")
    with pytest.raises(
        ConfigError, match=r"'tensorflow' is not available.*--backend pytorch.*unset PTYCHOPINN_BACKEND"
    ):
        training_backend()


def test_an_archive_of_another_backend_is_refused_and_both_are_named() -> None:
    with pytest.raises(ConfigError, match="'tensorflow' was requested but the model was saved by backend 'pytorch'"):
        loading_backend("pytorch", "tensorflow")


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

    with pytest.raises(ConfigError):
        training_backend()
