"""What the figure of a result states: file, method, verdict, and the patterns that it is about."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.api import reconstructed
from ptychopinn.api.figure_content import content_of_image, title_of
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.plotting import ReportContent
from ptychopinn.solver import photons_of

SCAN = ["simulation.object_size_px=64", "simulation.probe_size_px=32", "simulation.step_px=3.5"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    made = ptychopinn.simulate(overrides=[*SCAN, "simulation.seed=52"]).scan
    return replace(made, object_guess=None, source="folder/my scan.npz")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ReportContent]]:
    """Title and content of each figure that is drawn."""
    seen: list[tuple[str, ReportContent]] = []
    plain = reconstructed.figure_reconstruction

    def draw(*arguments: object, **named: object) -> object:
        seen.append((named["title"], named["content"]))  # type: ignore[arg-type]
        return plain(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reconstructed, "figure_reconstruction", draw)
    return seen


def test_heading_patterns_and_misfit_are_those_of_the_result(
    scan: Scan, tmp_path: Path, shown: list[tuple[str, ReportContent]]
) -> None:
    bad = np.zeros(scan.patterns.shape[1:], bool)
    bad[3, 5] = True
    made = ptychopinn.reconstruct(replace(scan, bad_pixels=bad), None, tmp_path, refine=12)
    ((title, content),) = shown
    assert title == "Reconstruction of my scan.npz"
    assert content.method == "iterative solver, 12 iterations, prior default"
    assert made.verdict is not None
    assert (content.level, content.message) == (made.verdict.level, made.verdict.message)
    assert list(content.deviance) == made.metrics["refine"]["deviance_of_iterations"]
    assert content.ratio is not None
    assert content.ratio.shape == (len(scan),)
    assert float(np.median(content.ratio)) == pytest.approx(made.verdict.patterns.median_ratio)
    assert [one.label for one in content.patterns] == ["best fit", "median fit", "worst fit"]
    assert content.patterns[2].number == made.verdict.patterns.worst_pattern
    assert content.patterns[0].ratio == content.ratio.min()
    expected = photons_of(made.reconstruction, ScanTensors(scan)).numpy()
    for one in content.patterns:
        np.testing.assert_array_equal(one.measured, np.where(bad, 0, scan.counts()[one.number]))
        np.testing.assert_allclose(one.modelled, expected[one.number], rtol=1e-3, atol=1e-3)
        assert one.valid is not None
        np.testing.assert_array_equal(one.valid, ~bad)


def test_a_wrong_geometry_is_named_in_the_heading(
    scan: Scan, tmp_path: Path, shown: list[tuple[str, ReportContent]]
) -> None:
    wrong = replace(scan, positions_px=scan.positions_px[:, ::-1].copy())
    ptychopinn.reconstruct(wrong, None, tmp_path, refine=10, overrides=["reconstruction.check=false"])
    assert shown[0][1].level == "does not fit"
    assert "DOES NOT FIT" in shown[0][1].message
    saved = content_of_image(ptychopinn.Reconstruction.load(tmp_path))
    assert (saved.level, saved.message) == (shown[0][1].level, shown[0][1].message), "for `evaluate`"
    assert saved.method == "iterative solver, 10 iterations"


def test_a_network_and_an_interrupted_solver_are_named(
    scan: Scan, tmp_path: Path, shown: list[tuple[str, ReportContent]]
) -> None:
    model = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]
    trained = ptychopinn.train(scan, overrides=model)
    ptychopinn.reconstruct(scan, trained, tmp_path / "a")
    ptychopinn.reconstruct(scan, trained, tmp_path / "b", refine=2)

    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ptychopinn.reconstruct(scan, None, tmp_path / "c", refine=5, on_iteration=stop)
    assert [content.method for _, content in shown] == [
        "network cnn",
        "network cnn, then iterative solver, 2 iterations, prior default",
        "iterative solver, 3 of 5 iterations (interrupted)",
    ]


def test_five_patterns_and_one(scan: Scan, tmp_path: Path, shown: list[tuple[str, ReportContent]]) -> None:
    for count in (5, 1):
        few = scan.select(np.arange(count))
        made = ptychopinn.reconstruct(few, None, tmp_path / str(count), refine=2)
        assert made.paths["figure"].stat().st_size > 10_000
    assert [len(content.patterns) for _, content in shown] == [3, 1]


def test_titles_are_short() -> None:
    image = ptychopinn.reconstruct(ptychopinn.simulate(overrides=SCAN).scan, refine=1).reconstruction
    assert title_of(image) == "Reconstruction"
    long = replace(image, metadata={**image.metadata, "source": "/data/" + 200 * "x" + ".npz"})
    assert len(title_of(long, "Evaluation")) < 80
