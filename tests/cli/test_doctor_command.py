"""`ptychopinn doctor` says whether the package works here, and proves it by a figure."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement

from ptychopinn.api import doctor
from ptychopinn.api.doctor import Finding, examine
from ptychopinn.errors import OutputError


@pytest.fixture
def _no_reconstruction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_self_test", lambda output: (Finding("self-test", "left out"), None))


def states(name: str) -> list[tuple[str, str]]:
    return [(one.state, one.text) for one in examine().findings if one.name == name]


def test_a_sound_machine_is_good_and_the_figure_is_there(ptycho: Callable, tmp_path: Path) -> None:
    outcome = ptycho("doctor", "-o", tmp_path / "out", "--json")
    found = json.loads(outcome.out)
    texts = {one["name"]: one["text"] for one in found["findings"]}

    assert outcome.code == 0, outcome.out
    assert found["good"]
    assert Path(found["figure"]).stat().st_size > 10_000
    assert f"torch {torch.__version__}" in texts["packages"]
    assert "phase PSNR 5" in texts["self-test"]
    assert "can be written" in texts["this folder"]


def test_a_bad_self_test_ends_with_exit_code_1(
    ptycho: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ITERATIONS", 1)
    outcome = ptycho("doctor", "-o", tmp_path / "out")

    assert outcome.code == 1
    assert "BAD" in outcome.out
    assert "it must be 45 dB or more" in " ".join(outcome.out.split())


@pytest.mark.usefixtures("_no_reconstruction")
def test_another_package_with_our_import_names_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"ptycho": ["ptychopinn", "PtychoPINN-legacy"]})

    ((state, text),) = states("conflict")
    assert state == "bad"
    assert text.startswith("PtychoPINN-legacy also has the import names ptycho and ptycho_torch")


@pytest.mark.usefixtures("_no_reconstruction")
def test_a_folder_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> Path:
        raise OutputError(f"{folder}: cannot be written")

    monkeypatch.setattr(doctor, "check_output_folder", refuse)

    assert states("this folder")[0][0] == "note"
    assert states("temporary files")[0][0] == "bad"


@pytest.mark.usefixtures("_no_reconstruction")
@pytest.mark.parametrize(("error", "state"), [(0.0, "good"), (0.01, "bad"), (None, "bad")])
def test_a_gpu_is_compared_with_the_cpu(monkeypatch: pytest.MonkeyPatch, error: float | None, state: str) -> None:
    facts = SimpleNamespace(name="Test GPU", total_memory=16 << 30)
    transform = torch.fft.fft2
    calls = iter([1.0, None if error is None else 1.0 + error])

    def faulty(field: torch.Tensor) -> torch.Tensor:
        factor = next(calls)
        if factor is None:
            raise RuntimeError("no kernel image is available\nfor execution")
        return factor * transform(field)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: facts)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, name: self)
    monkeypatch.setattr(torch.fft, "fft2", faulty)
    (found,) = doctor._devices()

    assert (found.name, found.state) == ("cuda:0", state)
    assert found.text.startswith("Test GPU, 16 GiB")
    assert "\n" not in found.text


def test_doctor_knows_every_extra_of_users_with_what_it_needs() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert set(doctor.EXTRAS) == set(extras) - {"docs", "test", "tools", "fuzz"}
    for extra, groups in doctor.EXTRAS.items():
        needed = {Requirement(line).name for line in extras[extra]}
        assert needed == {name for group in groups for name in group if name in needed}, extra
        assert all(set(group) & needed for group in groups), extra
