"""The verbs as calls that return objects."""

from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import PtychoPINNError, Reconstruction, Scan
from ptychopinn.api.run import Run

SCAN = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=3"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=2"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """121 patterns of 16 px."""
    return ptychopinn.simulate(overrides=SCAN).scan


@pytest.fixture(scope="module")
def result(scan: Scan) -> Run:
    """A run of the network alone that writes nothing."""
    return ptychopinn.run(scan, overrides=MODEL, solve=False)


def test_run_returns_arrays_history_and_no_paths_without_output(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = ptychopinn.run(scan, overrides=MODEL, solve=False)

    assert isinstance(result.reconstruction, Reconstruction)
    assert result.reconstruction.object_.shape == (52, 52)
    assert len(result.trained.history["train_loss"]) == 2
    assert result.paths == {}
    assert list(tmp_path.iterdir()) == []


def test_run_tells_of_epochs_and_batches(scan: Scan) -> None:
    epochs: list[tuple[int, int]] = []
    batches: list[tuple[int, int]] = []
    ptychopinn.run(
        scan,
        overrides=[*MODEL, "reconstruction.batch_size=50"],
        solve=False,
        on_epoch=lambda done, total, numbers: epochs.append((done, total)),
        on_batch=lambda done, total: batches.append((done, total)),
    )

    assert epochs == [(1, 2), (2, 2)]
    assert batches == [(50, 121), (100, 121), (121, 121)]


def test_the_seed_fixes_the_image(scan: Scan, result: Run) -> None:
    again = ptychopinn.run(scan, overrides=MODEL, solve=False).reconstruction
    other = ptychopinn.run(scan, overrides=[*MODEL, "training.seed=1"], solve=False).reconstruction

    np.testing.assert_array_equal(again.object_, result.reconstruction.object_)
    assert not np.allclose(other.object_, result.reconstruction.object_, atol=1e-4)


def test_train_then_reconstruct_equals_run(scan: Scan, result: Run) -> None:
    trained = ptychopinn.train(scan, overrides=MODEL)
    made = ptychopinn.reconstruct(scan, trained)

    np.testing.assert_allclose(made.reconstruction.object_, result.reconstruction.object_, atol=1e-5)


def test_run_uses_as_many_patterns_as_asked_for(scan: Scan) -> None:
    result = ptychopinn.run(scan, overrides=[*MODEL, "data.n_patterns=40", "data.subsampling=sequential"])

    np.testing.assert_array_equal(result.reconstruction.positions_px, scan.positions_px[:40])


def test_a_scan_without_reference_is_not_scored(scan: Scan) -> None:
    from dataclasses import replace

    flat = replace(scan, object_guess=np.ones_like(scan.object_guess))
    for unknown in (flat, replace(scan, object_guess=None)):
        result = ptychopinn.run(unknown, overrides=MODEL, solve=False)
        assert result.reconstructed.metrics["reference"] is None
        assert result.reconstructed.metrics["data"]["amplitude_misfit"] > 0


def test_a_scan_too_small_to_be_scored_is_still_reconstructed(scan: Scan) -> None:
    corner = scan.select(np.flatnonzero((scan.positions_px < 22).all(axis=1)))
    result = ptychopinn.run(corner, overrides=[*MODEL, "data.group_size=4"], solve=False)

    assert result.reconstructed.metrics["reference"] is None
    assert result.reconstruction.covered.any()


def test_evaluate_takes_what_run_returns(scan: Scan, result: Run) -> None:
    report = ptychopinn.evaluate(result.reconstruction, scan).report

    assert report["psnr_phase"] == pytest.approx(result.reconstructed.metrics["reference"]["psnr_phase"], abs=1e-6)
    assert scan.object_guess is not None
    by_array = ptychopinn.evaluate(result.reconstruction, scan.object_guess).report
    assert by_array["psnr_phase"] == pytest.approx(report["psnr_phase"], abs=1e-6)


def test_evaluate_moves_the_reference_onto_the_image(scan: Scan, result: Run) -> None:
    assert scan.object_guess is not None
    moved = np.roll(scan.object_guess, (2, -1), axis=(0, 1)) * np.exp(0.7j)
    image = Reconstruction(
        object_=moved,
        coverage=result.reconstruction.coverage,
        origin_px=result.reconstruction.origin_px,
        positions_px=scan.positions_px,
        probe=scan.probe,
    )
    evaluated = ptychopinn.evaluate(image, scan)

    inside = np.s_[15:35, 15:35]
    np.testing.assert_allclose(evaluated.reference[inside], moved[inside], atol=0.02)
    assert evaluated.report["shift_px"] == pytest.approx([-2, 1], abs=0.01)


def test_evaluate_refuses_a_region_outside(scan: Scan, result: Run) -> None:
    with pytest.raises(PtychoPINNError, match="leaves the frame"):
        ptychopinn.evaluate(result.reconstruction, scan, region=(0, 400, 0, 400))


def test_simulate_writes_only_where_it_is_told(tmp_path: Path) -> None:
    made = ptychopinn.simulate(tmp_path / "new" / "scan.npz", overrides=SCAN)

    assert made.path == tmp_path / "new" / "scan.npz"
    again = ptychopinn.read_scan(made.path)
    np.testing.assert_array_equal(again.patterns, made.scan.patterns)
    assert ptychopinn.simulate(overrides=SCAN).path is None


def test_interrupt_reaches_the_caller(scan: Scan, tmp_path: Path) -> None:
    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ptychopinn.train(scan, tmp_path, overrides=MODEL, on_epoch=stop)
