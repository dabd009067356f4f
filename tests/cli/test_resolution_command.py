"""`--resolution`: in the files, in the figure and in the summary of a command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import ptychopinn
from ptychopinn.api import reconstructed
from ptychopinn.api.metric_rows import resolution_text
from ptychopinn.data import write_scan
from ptychopinn.plotting import ReportContent

SMALL = ["simulation.object_size_px=72", "simulation.probe_size_px=32", "simulation.step_px=5"]


def test_files_figure_and_summary_name_it(ptycho: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = replace(
        ptychopinn.simulate(overrides=[*SMALL, "simulation.photons_per_pattern=1e3"]).scan,
        object_guess=None,
        pixel_size_m=5e-9,
    )
    write_scan(scan, tmp_path / "a.npz")
    shown: list[ReportContent] = []
    plain = reconstructed.figure_reconstruction

    def seen(*arguments: object, **named: object) -> object:
        shown.append(named["content"])  # type: ignore[arg-type]
        return plain(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reconstructed, "figure_reconstruction", seen)
    out = ptycho("reconstruct", tmp_path / "a.npz", "--refine", "10", "--resolution", "photons", "-o", tmp_path)
    assert out.code == 0
    entry = json.loads((tmp_path / "metrics.json").read_text())["resolution"]
    assert list(entry) == ["photons"]
    at = entry["photons"]["frc_half_bit_cycles_per_px"]
    assert entry["photons"]["frc_half_bit_half_period_nm"] == pytest.approx(2.5 / at)
    assert "halves of the photons" in out.out
    assert resolution_text(entry["photons"]) in " ".join(out.out.split())
    first, last = shown
    assert first.resolution == {}, "the image is written before the halves are solved"
    assert last.resolution["photons"].crossing("half_bit") == at
    assert list(last.region or ()) == entry["photons"]["region"]
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"half_of_photons_1_image.npz", "half_of_photons_2_image.npz"}
