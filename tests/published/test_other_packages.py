"""The comparison with other packages: each finds a known object where it is, and the tables hold what was measured."""

import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ptychopinn

from .test_benchmarks import run_script

SIZE_PX = 112


@pytest.fixture(scope="module")
def packages(root: Path) -> Iterator[SimpleNamespace]:
    """The modules of `benchmarks/other_packages`."""
    sys.path.insert(0, str(root / "benchmarks"))
    names = ("interface", "measure", "scans", "tables")
    yield SimpleNamespace(
        METHODS=import_module("other_packages").METHODS,
        **{name: import_module(f"other_packages.{name}") for name in names},
    )
    sys.path.remove(str(root / "benchmarks"))


@pytest.mark.parametrize(
    "name",
    [
        "PtychoPINN",
        *(
            pytest.param(name, marks=pytest.mark.optional(module))
            for module, names in {
                "ptychi": ("pty-chi LSQML", "pty-chi LSQML, coarse to fine", "pty-chi rPIE", "pty-chi Adam"),
                "ptyrad": ("PtyRAD", "PtyRAD, constant rates"),
                "cdtools": ("cdtools",),
                "PtyLab": ("PtyLab mPIE", "PtyLab mqNewton"),
            }.items()
            for name in names
        ),
    ],
)
def test_a_method_finds_the_object_where_it_is(packages: SimpleNamespace, name: str) -> None:
    scan = packages.scans.simulated(0, 1e6, SIZE_PX, exact_probe=True)
    method = packages.METHODS[name]
    packages.measure.warm_up(method)
    first, last = method.solve(scan, [0.1, 1.5], 0)
    assert last.iterations > first.iterations
    assert last.cpu_s > first.cpu_s
    report = ptychopinn.evaluate(packages.interface.reconstruction_of(last, scan, name), scan).report
    assert np.abs(report["shift_px"]).max() < 0.3
    assert report["psnr_phase"] > 28
    assert report["contrast_phase"] == pytest.approx(1, abs=0.5)
    assert 0.6 < report["scale_abs"] < 1.6


def test_the_deviance_of_held_out_patterns_is_lowest_for_the_true_object(packages: SimpleNamespace) -> None:
    scan = packages.scans.simulated(0, 1e4, SIZE_PX, exact_probe=True)
    assert scan.object_guess is not None
    half, other = scan.select(np.arange(len(scan)) % 2 == 0), scan.select(np.arange(len(scan)) % 2 == 1)

    def deviance(object_: np.ndarray) -> float:
        found = packages.interface.Found(object_.astype(np.complex64), (0, 0), scan.probe, 1, 0.1)
        return float(packages.measure.held_out_deviance(packages.interface.reconstruction_of(found, half, ""), other))

    true = deviance(scan.object_guess)
    assert 0.1 < true < 1.5
    assert deviance(np.roll(scan.object_guess, 1, axis=0)) > 1.2 * true
    assert deviance(1.1 * scan.object_guess) > 1.02 * true


def spend(cpu_s: float) -> None:
    before = time.process_time()
    while time.process_time() - before < cpu_s:
        pass


def test_estimates_are_taken_nearest_to_the_times_and_taking_them_costs_nothing(packages: SimpleNamespace) -> None:
    counted = []

    def take() -> tuple[np.ndarray, tuple[int, int], np.ndarray]:
        spend(0.1)
        return np.full((2, 2), len(counted)), (0, 0), np.ones((1, 2, 2))

    def iterate() -> None:
        counted.append(1)
        spend(0.02)

    found = packages.interface.continued(packages.interface.Stopwatch([0.001, 0.06, 0.1], take), iterate)
    assert [made.iterations for made in found] == [1, 3, 5]
    assert [made.object_[0, 0] for made in found] == [1, 3, 5]
    assert found[-1].cpu_s == pytest.approx(0.1, rel=0.15)


def test_times_must_ascend(packages: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=r"positive and ascending, got \[1, 0.5\]"):
        packages.interface.Stopwatch([1, 0.5], lambda: None)


def test_a_planned_run_has_the_iterations_that_fit(packages: SimpleNamespace) -> None:
    def solve(count: int) -> SimpleNamespace:
        return SimpleNamespace(iterations=count, cpu_s=0.05 + 0.1 * count + (0.5 if count > 30 else 0))

    found = packages.interface.planned(solve, [0.01, 1.05, 4.05])
    assert [made.iterations for made in found] == [1, 10, 36]


def test_an_absent_package_gives_a_line_with_the_way_out(packages: SimpleNamespace) -> None:
    method = packages.interface.Method("A solver", "a-solver", "no_such_module_of_a_solver", "", print)
    assert str(method.problem()).startswith("A solver: a-solver cannot be imported (")
    assert str(method.problem()).endswith("; pip install a-solver")
    assert packages.METHODS["PtychoPINN"].problem() is None


def values(amplitude: float, cpu_s: float) -> dict[str, float]:
    return {"at": 1.0, "psnr_amplitude": amplitude, "psnr_phase": 2 * amplitude, "scale": 0.9, "cpu_s": cpu_s}


def test_the_tables_say_where_we_are_behind(packages: SimpleNamespace) -> None:
    rows = {
        ("a", "PtychoPINN"): [values(30, 1)],
        ("a", "other"): [values(33, 1)],
        ("b", "PtychoPINN"): [values(32, 1)],
        ("b", "other"): [values(31, 2)],
        ("c", "PtychoPINN"): [values(99, 1)],
    }
    doses = dict.fromkeys("abc", 1e4)
    methods = ["PtychoPINN", "other"]
    behind = packages.tables.ahead_table(rows, doses, methods, "PtychoPINN").splitlines()[2]
    assert behind == "| 1e+04 | 1 s | -1.0 dB (other) | 1 of 2 | -2.0 dB (other) | 1 of 2 |"
    ours, other = packages.tables.simulated_table(rows, doses, methods).splitlines()[2:]
    assert ours == "| 1e+04 | 2 | PtychoPINN | 31.0 / 62.0 (0.90) |"
    assert other == "| 1e+04 | 2 | other | 32.0 / 64.0 (0.90) after 1.5 s |"


def test_the_benchmark_writes_its_tables_with_ours_alone_and_repeats_nothing(root: Path, tmp_path: Path) -> None:
    command = ["benchmarks/compare_packages.py", "-o", str(tmp_path / "runs"), "--objects", "1", "--doses", "1e5"]
    command += ["--seconds", "0.1,0.4", "--size", "96", "--only", "PtychoPINN"]
    command += ["--results", str(tmp_path / "table.md")]
    assert "0_1e+05 PtychoPINN: " in run_script(root, *command)
    again = run_script(root, *command)
    assert "0_1e+05 PtychoPINN: " not in again
    table = (tmp_path / "table.md").read_text()
    assert re_rows(table) == [["1e+05", "1", "PtychoPINN"]]
    assert "| PtychoPINN | ptychopinn " in table
    (path,) = (tmp_path / "runs").rglob("row.json")
    early, late = json.loads(path.read_text())["run"]["values"]
    assert late["psnr_phase"] > early["psnr_phase"] > 10
    assert 0.5 < early["scale"] < 2


def re_rows(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ")[:3] for line in table.splitlines() if line.startswith("| 1e+")]
