"""The curves: a tiny run, gone on with where it ended; what is left out; tables and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.studies.curves import AXES, METHODS, Cell, Curves, Point, Scores, measure_curves, methods, write_curves
from ptychopinn.studies.curves.methods import NETWORK, PTYCHI, SOLVER, WITH_PRIOR, Settings, by_network, by_ptychi
from ptychopinn.studies.curves.study import FIRST_SEED
from ptychopinn.studies.curves.tables import curves_markdown

TINY = Point(patterns=16, step_px=9.0)
"""The positions span some 30 px; scores need 16."""


def tiny(prior: Path, **changed: Any) -> Curves:
    settings = Settings(prior=str(prior), iterations=3)
    given = {"axes": ["dose"], "methods": ["solver"], "seeds": 1, "values": [1e3, 1e5], "base": TINY}
    return Curves(**{**given, "settings": settings, **changed})


def test_a_tiny_run_is_measured_once(smoothing_prior: Path, tmp_path: Path) -> None:
    told: list[str] = []
    first = measure_curves(tmp_path, tiny(smoothing_prior), minutes=0, tell=told.append)
    assert (first, told) == ([], [])
    cells = measure_curves(tmp_path, tiny(smoothing_prior), tell=told.append)
    assert [(cell.value, cell.line) for cell in cells] == [
        (value, line) for value in (1e3, 1e5) for line in (SOLVER, WITH_PRIOR)
    ]
    assert len(told) == 2
    assert all(np.isfinite([cell.scores.psnr_amplitude, cell.scores.psnr_phase]).all() for cell in cells)
    assert cells[0].scores.psnr_phase < cells[2].scores.psnr_phase, "a hundred times the dose"
    assert measure_curves(tmp_path, tiny(smoothing_prior), minutes=0, tell=told.append) == cells
    assert len(told) == 2, "nothing was measured again"
    other = tiny(smoothing_prior, settings=Settings(iterations=2))
    assert measure_curves(tmp_path, other, minutes=0) == [], "other settings are another run"

    paths = write_curves(tmp_path, cells)
    assert set(paths) == {"points", "dose"}
    assert paths["points"].read_text().count("\n") == 5
    table = curves_markdown(cells).splitlines()
    assert table[0].startswith("| photons per pattern | method | scans | amplitude PSNR")
    assert [row.split(" | ")[:3] for row in table[2:]] == [
        [f"| {value}", line, "1"] for value in ("1e+03", "1e+05") for line in (SOLVER, WITH_PRIOR)
    ]


def test_every_axis_changes_the_scan_as_it_says() -> None:
    base = Point(patterns=64).scan(FIRST_SEED)
    dim, part, few, poor, wrong = (
        AXES[axis].point(value, Point(patterns=64)).scan(FIRST_SEED)
        for axis, value in (("dose", 1e3), ("overlap", 0.25), ("patterns", 25), ("probe", 6), ("positions", 1))
    )
    assert dim.counts().sum() == pytest.approx(base.counts().sum() / 10, rel=0.05)
    assert (len(base), len(part), len(few)) == (64, 64, 25)
    area = [np.ptp(scan.positions_px, axis=0).prod() for scan in (base, part)]
    assert area[1] == pytest.approx(4 * area[0], rel=0.3)
    assert np.linalg.norm(poor.probe) == pytest.approx(np.linalg.norm(base.probe), rel=1e-4)
    assert np.abs(poor.probe - base.probe).max() > 0.1 * np.abs(base.probe).max()
    assert np.array_equal(poor.patterns, base.patterns)
    moved = wrong.positions_px - np.asarray(wrong.metadata["true_positions_px"])
    assert np.sqrt(np.square(moved).sum(1).mean()) == pytest.approx(1, rel=0.3)


def test_objects_of_odd_seeds_have_unrelated_amplitude_and_phase() -> None:
    assert [Point().settings(seed).object_correlation for seed in (2000, 2001)] == [None, 0.0]


def test_positions_with_errors_are_refined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def stopped(scan: Any, *, overrides: list[str], **_: Any) -> None:
        seen.append(overrides)
        raise ConfigError("stopped")

    monkeypatch.setattr(methods, "reconstruct", stopped)
    told: list[str] = []
    given = {"axes": ["positions"], "methods": ["solver"], "seeds": 1, "values": [0, 1], "base": TINY}
    assert measure_curves(tmp_path, Curves(**given), tell=told.append) == []
    refined = [[text for text in overrides if "positions" in text] for overrides in seen]
    assert refined == [["reconstruction.refine.positions=false"], ["reconstruction.refine.positions=true"]]
    assert told[0] == "FAILED: solver: ConfigError: stopped"
    assert not list(tmp_path.rglob("*.json")), "what failed is tried again"


def test_the_network_is_that_of_run() -> None:
    small = (
        "model.generator.width=2",
        "model.generator.levels=2",
        "training.epochs=1",
        "reconstruction.refine.iterations=2",
    )
    scores = by_network(TINY.scan(FIRST_SEED), 0, Settings(network=small))
    assert list(scores) == [NETWORK]
    assert scores[NETWORK].cpu_s > 0


def test_pty_chi_is_left_out_where_it_is_missing_and_scored_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    monkeypatch.setattr(methods, "has_ptychi", lambda: False)
    only = Curves(axes=["dose"], methods=["pty-chi"], seeds=1, values=[1e4], base=TINY)
    assert measure_curves(tmp_path, only, tell=told.append) == []
    assert told == ["left out: pty-chi cannot be imported; pip install ptychi"]

    def solve(scan: Any, probe: Any, **_: Any) -> Reconstruction:
        truth = scan.object_guess * (1 + 0.01 * np.random.default_rng(0).normal(size=scan.object_guess.shape))
        return Reconstruction(truth, np.ones(truth.shape), (0, 0), scan.positions_px, probe)

    monkeypatch.setattr(methods, "solve_with_ptychi", solve)
    found = by_ptychi(TINY.scan(FIRST_SEED), 0, Settings())
    assert found[PTYCHI].psnr_amplitude == pytest.approx(40, abs=4)


def test_bad_names_and_priors_are_refused(tmp_path: Path) -> None:
    for wrong in (Curves(axes=["colour"]), Curves(methods=[]), Curves(seeds=0)):
        with pytest.raises(ConfigError):
            measure_curves(tmp_path / "out", wrong)
    with pytest.raises(BundleError):
        measure_curves(tmp_path / "out", Curves(settings=Settings(prior=str(tmp_path / "missing"))))
    assert not (tmp_path / "out").exists()


def test_an_axis_from_zero_has_a_figure(tmp_path: Path) -> None:
    cells = [
        Cell("positions", value, seed, line, Scores(30 - 5 * value + seed, 40.0, 0.5, 1.0))
        for value in (0, 0.25, 1)
        for seed in (0, 1)
        for line in (SOLVER, PTYCHI)
    ]
    assert write_curves(tmp_path, cells)["positions"].stat().st_size > 10_000
    assert "30.5 ± 0.7" in curves_markdown(cells)


def test_the_network_has_few_points() -> None:
    assert METHODS["network"].axes == ("dose",)
