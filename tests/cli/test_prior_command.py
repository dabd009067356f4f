"""`--prior`: in the commands that apply the solver, in their summary and figure, and in `info`."""

from collections.abc import Callable
from pathlib import Path

import pytest

import ptychopinn
from ptychopinn.api import reconstructed
from ptychopinn.api.metric_rows import prior_text
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.plotting import ReportContent

QUICK = ["--set", "reconstruction.check=false", "--set", "reconstruction.refine.smoothness=0"]
NOISY = {
    "object_size_px": 64,
    "probe_size_px": 32,
    "step_px": 4,
    "object_kind": "gaussian_field",
    "photons_per_pattern": 1e3,
}
"""A smooth object at few photons, where a blur is an improvement."""


@pytest.fixture(scope="module")
def noisy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noisy") / "scan.npz"
    ptychopinn.simulate(path, overrides=[f"simulation.{name}={value}" for name, value in NOISY.items()])
    return path


@pytest.mark.parametrize("words", [["reconstruct", "--refine", "12"], ["run", "--no-train"]])
def test_summary_and_figure_show_the_prior(
    ptycho: Callable,
    noisy_file: Path,
    smoothing_prior: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    shown: list[ReportContent] = []
    plain = reconstructed.figure_reconstruction

    def seen(*arguments: object, **named: object) -> object:
        shown.append(named["content"])  # type: ignore[arg-type]
        return plain(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reconstructed, "figure_reconstruction", seen)
    monkeypatch.setattr("ptychopinn.api.reconstructed.compare_with_reference", lambda *_: None)
    given = [words[0], noisy_file, *words[1:], *QUICK, "--prior", smoothing_prior, "-o", tmp_path]
    out = ptycho(*given)
    assert out.code == 0
    image = Reconstruction.load(tmp_path)
    assert image.prior_correction is not None
    told = " ".join(out.out.split())
    assert prior_text(image.metadata["prior"])[:60] in told
    assert "applying the prior" in told
    assert shown[0].added is not None
    assert shown[0].added.rms_sigma == image.metadata["prior"]["moved_rms_sigma"]
    assert ptycho(*given[:-4], "--prior", "none", "-o", tmp_path / "none").code == 0
    assert shown[1].added is None


def test_a_file_that_is_no_prior_ends_with_code_2(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    for bad in (scan_file, tmp_path, tmp_path / "missing", ""):
        out = ptycho("reconstruct", scan_file, "--prior", bad, "-o", tmp_path / "out")
        assert out.code == 2
        assert "prior" in out.err
        assert not (tmp_path / "out").exists()


def test_info_prints_a_prior(ptycho: Callable, smoothing_prior: Path, tmp_path: Path) -> None:
    out = ptycho("info", smoothing_prior)
    assert out.code == 0
    assert "scores: gain: phase_dB" in out.out
    (tmp_path / "no.safetensors").write_bytes(b"no prior")
    assert ptycho("info", tmp_path / "no.safetensors").code == 2
