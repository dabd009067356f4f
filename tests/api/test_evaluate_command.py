"""`ptychopinn evaluate` with several images: a column for each, warnings by name, three files."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn import Reconstruction
from ptychopinn.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, its truth in `good/`, a constant in `flat/`."""
    path = tmp_path_factory.mktemp("images")
    small = ["object_size_px=52", "probe_size_px=16", "step_px=3"]
    scan = ptychopinn.simulate(path / "scan.npz", overrides=[f"simulation.{setting}" for setting in small]).scan
    assert scan.object_guess is not None
    for name, object_ in (("good", scan.object_guess), ("flat", np.ones_like(scan.object_guess))):
        (path / name).mkdir()
        image = Reconstruction(object_, np.ones(object_.shape), (0, 0), scan.positions_px, scan.probe)
        image.save(path / name)
    return path


def run(*words: object) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, ["evaluate", *(str(word) for word in words)], catch_exceptions=False)
    return outcome.exit_code, outcome.stdout, outcome.stderr


def test_several_images_stand_beside_each_other(folder: Path, tmp_path: Path) -> None:
    files = [folder / "good", folder / "flat" / "reconstruction.npz"]
    code, out, err = run(*files, "--reference", folder / "scan.npz", "-o", tmp_path, "--pixel-size-nm", "8")
    assert code == 0
    assert out.splitlines()[0].split() == ["good", "flat"]
    (line,) = [line for line in out.splitlines() if line.startswith("FRC 0.5 (of Nyquist)")]
    assert line.split()[4:] == ["1.000", "never", "above"]
    assert "16.0 nm" in out
    assert "flat: the phase has 0.0" in err
    assert "good" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "evaluation.png", "frc.png"}
    reports = json.loads((tmp_path / "metrics.json").read_text())["reconstructions"]
    assert list(reports) == ["good", "flat"]
    assert reports["good"]["region"] == reports["flat"]["region"]


def test_names_are_given_in_order(folder: Path) -> None:
    words = [folder / "good", folder / "flat", "--reference", folder / "scan.npz"]
    code, out, _ = run(*words, "--name", "truth itself", "--name", "nothing")
    assert code == 0
    assert out.splitlines()[0].split() == ["truth", "itself", "nothing"]
    code, _, err = run(*words, "--name", "one")
    assert code == 2
    assert "for 2 reconstructions" in err


def test_one_image_keeps_its_page(folder: Path, tmp_path: Path) -> None:
    code, out, _ = run(folder / "good", "--reference", folder / "scan.npz", "-o", tmp_path)
    assert code == 0
    assert "phase PSNR, rings above 5" in out
    assert f"ring correlation: {tmp_path / 'frc.png'}" in out
    assert list(json.loads((tmp_path / "metrics.json").read_text())) == ["reference"]
