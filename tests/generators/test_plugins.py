"""Generators from other packages: an entry point is enough, and a broken one stops nobody."""

import subprocess
import sys
from pathlib import Path

import pytest

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError
from ptychopinn.generators import architectures, parts, registry, resolve
from ptychopinn.generators.registry import build_network, resolve_part

CODE = """
from torch import nn
from ptychopinn.generators import compose, register_part

class Pointwise(nn.Conv2d):
    def __init__(self, channels_in, channels_out, config):
        super().__init__(channels_in, channels_out, 1)

class Shuffled(nn.Identity):
    def __init__(self, width, config):
        super().__init__()
"""
REGISTERS = 'register_part("bottleneck", "{name}", Shuffled)\n'


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (registry._ARCHITECTURES, *registry._PARTS.values()):
        monkeypatch.setattr(table, "entries", dict(table.entries))
    monkeypatch.setattr(registry._ARCHITECTURES, "loaded", dict(registry._ARCHITECTURES.loaded))


def install(folder: Path, module: str, points: dict[str, str], code: str = CODE) -> None:
    """What `pip install` leaves behind for a package of one module."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ptychopinn.generators]", *lines, ""]))


def test_an_architecture_comes_from_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'pointwise' is not registered"):
        resolve("pointwise")
    install(tmp_path, "pointwise_net", {"pointwise": "pointwise_net:Pointwise"})
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve("pointwise").__module__ == "pointwise_net"
    assert build_network(2, 3, GeneratorConfig(architecture="pointwise")).weight.shape == (3, 2, 1, 1)
    assert "pointwise" in architectures()


def test_a_module_registers_its_parts_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "shuffled_parts", {"all": "shuffled_parts"}, CODE + REGISTERS.format(name="shuffled"))
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_part("bottleneck", "shuffled").__name__ == "Shuffled"
    assert "shuffled" in parts("bottleneck")
    assert "all" not in architectures()


def test_a_broken_package_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, "broken_net", {"broken": "broken_net:Net"}, "import a_module_that_nobody_has\n")
    install(tmp_path, "second_cnn", {"cnn": "second_cnn:Pointwise"})
    monkeypatch.syspath_prepend(tmp_path)
    ours = resolve("cnn")
    assert "broken" not in architectures()
    assert "cnn" in architectures()
    assert resolve("cnn") is ours
    told = [message for message in caplog.messages if "plugin" in message]
    assert len(told) == 2
    assert any("broken_net:Net" in message and "a_module_that_nobody_has" in message for message in told)
    with pytest.raises(ConfigError, match=r"the plugin broken_net:Net cannot be loaded: No module named"):
        resolve("broken")


def test_a_broken_package_does_not_reach_the_help(tmp_path: Path) -> None:
    install(tmp_path, "fatal_net", {"fatal": "fatal_net:Net"}, "raise SystemError('no')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ptychopinn.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert "fatal" not in done.stdout + done.stderr
