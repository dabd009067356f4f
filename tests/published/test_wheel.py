"""The wheel holds what people outside need: types, recipes, nothing of the tests."""

import os
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

PACKAGES = ("ptychopinn", "ptycho", "ptycho_torch")

CLIENT = """
import ptycho.raw_data
import ptycho_torch.config_params
import ptychopinn

reveal_type(ptychopinn.run)
reveal_type(ptychopinn.Recipe)
reveal_type(ptycho.raw_data.RawData.from_file)
reveal_type(ptycho_torch.config_params.DataConfig)
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_say_that_they_have_types(package: str) -> None:
    assert (files(package) / "py.typed").is_file()


@pytest.fixture(scope="module")
def unpacked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(root), "--no-deps", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("ptychopinn-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_alone(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")} == set(PACKAGES)


@pytest.mark.slow
def test_the_wheel_holds_every_recipe(unpacked: Path, root: Path) -> None:
    names = {path.name for path in (root / "src/ptychopinn/recipes").glob("*.yaml")}
    assert {path.name for path in (unpacked / "ptychopinn/recipes").iterdir()} == names


@pytest.mark.slow
def test_a_client_of_the_wheel_sees_types(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "client.py"]
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    revealed = [line for line in done.stdout.splitlines() if "Revealed type" in line]

    assert done.returncode == 0, done.stdout
    assert len(revealed) == 4
    assert not [line for line in revealed if line.endswith('"Any"')]


@pytest.mark.slow
def test_a_new_user_runs_the_wheel_alone(root: Path, tmp_path: Path) -> None:
    """In a new environment, outside the checkout: doctor, simulate, info, run by a named recipe, view --static."""
    words = [sys.executable, str(root / "scripts/try_wheel.py"), sys.executable, "--keep", str(tmp_path / "tried")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("all steps passed\n")
    assert "page: report.html" in done.stdout
