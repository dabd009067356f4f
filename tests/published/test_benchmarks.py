"""The benchmarks run and print what their tables quote; the figures themselves are not tests."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest


def run_script(root: Path, *arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_overhead_prints_both_ratios(root: Path) -> None:
    printed = run_script(root, "benchmarks/overhead.py", "--rounds", "1", "--threads", "1")
    ratios = [int(percent) for percent in re.findall(r"alone [\d.]+ m?s: (\d+)%", printed)]
    assert len(ratios) == 2
    assert all(ratio > 0 for ratio in ratios)


@pytest.mark.slow
def test_live_places_every_frame_once_and_gives_the_image_of_the_whole_scan(root: Path) -> None:
    printed = run_script(root, "benchmarks/live.py", "--patterns", "400", "--rate", "200")
    row = [word.strip() for word in printed.strip().splitlines()[-1].strip("|").split("|")]
    assert row[:5] == ["400", "200", "8", "8", "400"]
    assert 0 < float(row[5]) <= float(row[6]) <= float(row[7])
    assert float(row[8]) < 1e-5


@pytest.mark.slow
@pytest.mark.optional("tensorflow")
def test_pipeline_prints_the_ratio_of_both_backends(root: Path) -> None:
    printed = run_script(root, "benchmarks/pipeline.py", "--rounds", "1", "--size", "16")
    ratios = [float(number) for number in re.findall(r"\| ([\d.]+) \|$", printed, flags=re.MULTILINE)]
    assert len(ratios) == 4
    assert all(ratio > 0 for ratio in ratios)


QUICK = ["--set", "training.epochs=1", "--set", "data.n_patterns=48", "--set", "model.generator.width=2"]


@pytest.fixture(scope="module")
def measured(root: Path, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, str]:
    """The command for one scan with two seeds of one network, its output folder, and what it printed."""
    folder = tmp_path_factory.mktemp("quality")
    command = ["benchmarks/quality.py", str(shared_dir / "data"), "-o", str(folder), "--only", "siemens64", *QUICK]
    return command, folder, run_script(root, *command, "--architectures", "cnn", "--seeds", "0,1")


@pytest.mark.shared_data
def test_quality_has_a_row_for_each_network_with_its_spread(measured: tuple[list[str], Path, str]) -> None:
    _, folder, printed = measured
    row, reference = (line for line in printed.splitlines() if line.startswith("| siemens64 |"))
    assert row.startswith("| siemens64 | cnn | 0, 1 |")
    assert "±" in row
    assert row.count("|") == reference.count("|") == 20
    assert "the reference" in reference
    assert (folder / "table.md").read_text() in printed
    made = json.loads((folder / "table.json").read_text())
    assert [(trial["row"], trial["seed"]) for trial in made["trials"]] == [("cnn", 0), ("cnn", 1)]
    assert made["environment"]["processor"] in printed
    assert (folder / "table.csv").read_text().count("\n") == 2


@pytest.mark.slow
@pytest.mark.shared_data
def test_quality_compares_halves_and_runs_nothing_twice(measured: tuple[list[str], Path, str], root: Path) -> None:
    command, folder, _ = measured
    model = folder / "siemens64" / "cnn_seed0" / "wts.h5.zip"
    written = model.stat().st_mtime_ns
    halves = run_script(root, *command, "--halves")
    assert "trained on the other half: phase" in halves
    assert "trained on the whole scan: phase" in halves
    assert model.stat().st_mtime_ns == written


@pytest.mark.slow
@pytest.mark.shared_data
def test_quality_takes_recipes_by_name(measured: tuple[list[str], Path, str], root: Path) -> None:
    command, _, _ = measured
    printed = run_script(root, *command, "--architectures", "cnn,mine=transfer")
    assert [line.split(" | ")[1] for line in printed.splitlines() if line.startswith("| siemens64 |")][:2] == [
        "cnn",
        "mine",
    ]


@pytest.mark.slow
@pytest.mark.shared_data
def test_quality_has_grid_lines(root: Path, shared_dir: Path, tmp_path: Path) -> None:
    scans = str(shared_dir / "data")
    printed = run_script(root, "benchmarks/quality.py", scans, "-o", str(tmp_path), "--only", "grid_lines64", *QUICK)
    assert "| grid_lines64 | cnn | 0 |" in printed


@pytest.mark.slow
@pytest.mark.shared_data
def test_quality_has_the_rows_of_refinement(root: Path, shared_dir: Path, tmp_path: Path) -> None:
    command = ["benchmarks/quality.py", str(shared_dir / "data"), "-o", str(tmp_path), "--refinement", "4"]
    printed = run_script(root, *command, "--seeds", "0,1", "--iterations", "1")
    lines = [line.split(" | ") for line in printed.splitlines() if line.startswith("| siemens64 | 4: ")]
    assert [line[1:3] for line in lines] == [["4: one mode", "0, 1"], ["4: three modes", "0, 1"]]
    assert all(0.04 < float(line[10].split(" ± ")[0]) < 1 for line in lines)


@pytest.mark.slow
@pytest.mark.shared_data
def test_refinement_reports_the_residual_position_error(root: Path, shared_dir: Path, tmp_path: Path) -> None:
    command = ["benchmarks/quality.py", str(shared_dir / "data"), "-o", str(tmp_path), "--refinement", "6"]
    printed = run_script(root, *command, "--iterations", "1")
    kept = [line.split(" | ") for line in printed.splitlines() if "6: wrong positions, not refined" in line]
    assert [float(line[11]) for line in kept] == pytest.approx([1, 1], abs=0.05)


def test_a_row_of_quality_is_made_once_and_in_a_folder_of_its_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(root / "benchmarks")
    once = runpy.run_path(str(root / "benchmarks" / "quality.py"))["once"]
    path, row, calls = tmp_path / "scan" / "row_seed0" / "row.json", {"values": {"psnr_phase": 30.0}, "flat": []}, []

    def run() -> dict[str, object]:
        calls.append(1)
        return row

    assert [once(path, {"epochs": epochs}, run) for epochs in (1, 1, 2)] == [row] * 3
    assert len(calls) == 2


def test_results_state_date_revision_command_and_hardware(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "results" / "simulate.md"
    words = ["--patterns", "60", "90", "--size", "16", "--rounds", "1", "--threads", "1", "--results", str(path)]
    run_script(root, "benchmarks/simulate.py", *words)
    head, command, note, empty, *table = path.read_text().splitlines()
    assert re.fullmatch(
        r"Measured on \d{4}-\d\d-\d\d at revision \w+\+? on .*, 1 threads, cpu, torch [\d.+a-z]+\.", head
    )
    assert command.startswith("Command: `python benchmarks/simulate.py --patterns 60 90 ")
    assert str(tmp_path) not in command
    assert (note, empty) == ("Medians of 1 rounds.", "")
    assert [line.split(" | ")[0] for line in table[2:]] == ["| 64 of 16 x 16", "| 100 of 16 x 16"]


@pytest.mark.shared_data
def test_results_of_quality_have_the_rows_that_were_run(
    measured: tuple[list[str], Path, str], root: Path, tmp_path: Path
) -> None:
    command, _, printed = measured
    path = tmp_path / "quality.md"
    run_script(root, *command, "--architectures", "cnn", "--seeds", "0,1", "--results", str(path))
    (row,) = [line for line in path.read_text().splitlines() if line.startswith("| siemens64 |")]
    (whole,) = [line for line in printed.splitlines() if line.startswith("| siemens64 | cnn |")]
    assert row.split(" | ")[:5] == whole.split(" | ")[:5]


def test_kept_back_has_a_row_for_each_image_and_their_difference(root: Path) -> None:
    """On a scan that is none of those of the table, with this checkout as the other one."""
    printed = run_script(root, "benchmarks/kept_back.py", "--seeds", "9001", "--other", str(root))
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| 9001 ")]
    assert [row[5] for row in rows] == ["`reconstruct`", "other: `--refine 50`", "other: `few_photons`"]
    assert all(abs(float(row[9]) - 1) < 0.02 for row in rows)
    gain = float(rows[0][6]) - float(rows[1][6])
    (line,) = [line for line in printed.splitlines() if line.startswith("| other: `--refine 50` | ")]
    differences = [float(number) for number in line.split(" | ")[1].split(", ")]
    assert differences == pytest.approx([gain, gain], abs=0.011), "of one scan mean and worst; the rows are rounded"
    assert "- `reconstruct`: scale " in printed
