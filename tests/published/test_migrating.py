"""The commands of docs/migrating.md run, on a model in the layout of legacy PtychoPINN."""

import re
import shlex
from pathlib import Path

import earlier_archives as earlier
import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.cli import app

TEXT = (Path(__file__).resolve().parents[2] / "docs/migrating.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("members", [earlier.tensorflow_members, earlier.pytorch_members])
def test_the_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members) -> None:
    monkeypatch.chdir(tmp_path)
    earlier.written(tmp_path / "old.zip", members())
    size = ["simulation.object_size_px=110", "simulation.probe_size_px=64", "simulation.step_px=12"]
    ptychopinn.simulate("scan.npz", overrides=size)
    printed = []
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "ptychopinn"
        extra = ["--set", "reconstruction.check=false"] if words[0] == "reconstruct" else []
        done = CliRunner().invoke(app, [*words, *extra], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        printed.append(done.output)
    assert "of the earlier implementation" in printed[0]
    images = [ptychopinn.Reconstruction.load("image/reconstruction.npz").object_]
    images.append(
        ptychopinn.reconstruct("scan.npz", "new.zip", overrides=["reconstruction.check=false"]).reconstruction.object_
    )
    np.testing.assert_allclose(images[1], images[0], rtol=1e-5, atol=1e-6)


def test_the_page_names_the_architectures() -> None:
    from ptychopinn.generators.registry import architectures

    named = set(re.findall(r"`(legacy_cnn_\w+)`", TEXT))
    assert named == {name for name in architectures() if name.startswith("legacy_")}
