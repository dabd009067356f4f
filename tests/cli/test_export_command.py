"""`ptychopinn export` as a person would use it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptychopinn import read_scan
from ptychopinn.api.export import network_inputs
from ptychopinn.api.model_files import load_model
from ptychopinn.reconstruction import Reconstructor


@pytest.mark.optional("onnx")
def test_a_trained_model_gives_the_same_patches_of_a_scan(
    ptycho: Callable, model_file: Path, scan_file: Path, tmp_path: Path
) -> None:
    from ptychopinn.bundle.onnx_file import onnx_function

    target = tmp_path / "new" / "network.onnx"
    outcome = ptycho("export", model_file, target)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"network: {target}\n")
    assert "difference from PyTorch: " in outcome.out

    trained, scan = load_model(model_file), read_scan(scan_file)
    made = onnx_function(target)(network_inputs(trained, scan))
    patches, _ = Reconstructor.for_scan(trained, scan, device="cpu").patches()
    np.testing.assert_allclose(made[:, 0] + 1j * made[:, 1], patches[:, 0], atol=1e-4)
    assert [path.name for path in target.parent.iterdir()] == ["network.onnx"]


@pytest.mark.slow
@pytest.mark.optional("onnx")
def test_8_bits_are_scaled_by_a_scan_and_what_they_cost_is_said(
    ptycho: Callable, scan_file: Path, tmp_path: Path
) -> None:
    settings = [word for name in ("width=8", "levels=2") for word in ("--set", f"model.generator.{name}")]
    assert ptycho("train", scan_file, "-o", tmp_path / "out", *settings, "--set", "training.epochs=2").code == 0
    outcome = ptycho("export", tmp_path / "out", tmp_path / "small.onnx", "--int8", scan_file)
    assert outcome.code == 0, outcome.err
    text = " ".join(outcome.out.split())
    assert "in 8 bits: patches change by " in text
    assert "times as fast as float32 on this CPU" in text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("MODEL", "network.txt"), "name a file that ends in .onnx"),
        (("nothing.zip", "network.onnx"), "nothing.zip"),
    ],
)
@pytest.mark.optional("onnx")
def test_a_refusal_is_one_sentence(
    ptycho: Callable, model_file: Path, tmp_path: Path, words: tuple[str, str], part: str
) -> None:
    model, target = words
    outcome = ptycho("export", model_file if model == "MODEL" else tmp_path / model, tmp_path / target)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in " ".join(outcome.err.split())
    assert not list(tmp_path.iterdir())
