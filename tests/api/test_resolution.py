"""Resolution by two halves of the data: against the truth, over the dose, resumed, and where it cannot be measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.api.evaluate import evaluate
from ptychopinn.api.metric_rows import resolution_text
from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.data import Scan

SMALL = ["simulation.object_size_px=100", "simulation.probe_size_px=32", "simulation.step_px=5"]
BOTH = ["reconstruction.resolution=both"]
FACTOR = 1.6
"""Within which the resolution of two halves agrees with that against the truth. A dip of the spectrum of object and
beam can end the curve of the halves early."""


def scan_of(photons: float, seed: int = 41) -> Scan:
    wanted = [f"simulation.photons_per_pattern={photons}", f"simulation.seed={seed}"]
    return ptychopinn.simulate(overrides=[*SMALL, *wanted]).scan


@pytest.fixture(scope="module")
def dim() -> tuple[Scan, Reconstructed]:
    """At 1e3 photons per pattern."""
    scan = scan_of(1e3)
    return scan, ptychopinn.reconstruct(scan, refine=30, overrides=BOTH)


def test_the_halves_agree_with_the_truth(dim: tuple[Scan, Reconstructed]) -> None:
    """1/7 between two halves stands for 0.5 against the truth (Rosenthal and Henderson, 2003)."""
    scan, made = dim
    found = made.metrics["resolution"]["photons"]
    known = evaluate(made.reconstruction, scan).report
    assert known["frc_0.5_outcome"] == found["frc_1/7_outcome"] == "crossed"
    ratio = found["frc_1/7_cycles_per_px"] / known["frc_0.5_cycles_per_px"]
    assert 1 / FACTOR < ratio < FACTOR
    assert found["frc_half_bit_cycles_per_px"] < 0.45
    assert np.hypot(*found["shift_px"]) < 1, "the halves lie where the image lies"


def test_a_lower_dose_is_a_worse_resolution(dim: tuple[Scan, Reconstructed]) -> None:
    bright = ptychopinn.reconstruct(scan_of(1e5), refine=30, overrides=BOTH)
    for kind in ("photons", "scan"):
        at = [made.metrics["resolution"][kind]["frc_half_bit_cycles_per_px"] for made in (dim[1], bright)]
        assert at[1] > 1.3 * at[0]


def test_half_of_the_positions_is_worse_than_half_of_the_photons(dim: tuple[Scan, Reconstructed]) -> None:
    """The same photons, but half the overlap."""
    found = dim[1].metrics["resolution"]
    assert found["scan"]["frc_half_bit_cycles_per_px"] < found["photons"]["frc_half_bit_cycles_per_px"]


def test_without_the_setting_nothing_is_solved_again(tmp_path: Path) -> None:
    calls: list[int] = []
    made = ptychopinn.reconstruct(
        scan_of(1e4), None, tmp_path, refine=2, on_iteration=lambda done, total, numbers: calls.append(done)
    )
    assert calls == [1, 2]
    assert "resolution" not in made.metrics
    assert not (tmp_path / "checkpoints").exists()


def test_the_cost_is_what_the_documents_state() -> None:
    """Two solves of all patterns for the photons, two of half of them for the scan."""
    for kind, solves in (("photons", 2), ("scan", 2)):
        calls: list[int] = []
        ptychopinn.reconstruct(
            scan_of(1e4),
            refine=2,
            overrides=[f"reconstruction.resolution={kind}"],
            on_iteration=lambda done, total, numbers, seen=calls: seen.append(done),
        )
        assert calls == [1, 2] * (1 + solves)


def test_an_interrupted_half_goes_on(tmp_path: Path) -> None:
    scan, wanted = scan_of(1e4), [*BOTH, "reconstruction.refine.iterations=3"]
    whole = ptychopinn.reconstruct(scan, None, overrides=wanted)
    calls: list[int] = []

    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        calls.append(done)
        if len(calls) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ptychopinn.reconstruct(scan, None, tmp_path, overrides=wanted, on_iteration=stop)
    saved = ptychopinn.Reconstruction.load(tmp_path)
    np.testing.assert_array_equal(saved.object_, whole.reconstruction.object_)
    assert "interrupted" not in saved.metadata, "the image itself was finished"
    calls = []
    made = ptychopinn.reconstruct(
        scan, None, tmp_path, overrides=wanted, resume=True, on_iteration=lambda done, *_: calls.append(done)
    )
    assert calls == [3, *[1, 2, 3] * 2], "the second half of the photons goes on after its second iteration"
    assert made.metrics["resolution"] == whole.metrics["resolution"]


def test_values_that_are_no_counts_are_said_to_be_none() -> None:
    scan = scan_of(1e4)
    scan = replace(scan, patterns=scan.patterns.astype(np.float32) * np.float32(0.37))
    found = ptychopinn.reconstruct(scan, refine=2, overrides=BOTH).metrics["resolution"]
    assert "not whole numbers" in found["photons"]["reason"]
    assert resolution_text(found["photons"]).startswith("not measured: the counts are not whole numbers")
    assert "frc_half_bit_cycles_per_px" in found["scan"]


def test_a_network_has_seen_all_data(tmp_path: Path) -> None:
    scan = scan_of(1e4)
    model = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]
    trained = ptychopinn.train(scan, overrides=model)
    for refine in (0, 2):
        found = ptychopinn.reconstruct(scan, trained, refine=refine, overrides=BOTH).metrics["resolution"]
        assert [list(entry) for entry in found.values()] == [["reason"], ["reason"]]


def test_too_few_patterns_are_named() -> None:
    scan = scan_of(1e4)
    few = replace(scan.select(np.array([0])), object_guess=None)
    found = ptychopinn.reconstruct(few, refine=2, overrides=BOTH).metrics["resolution"]
    assert "reason" in found["scan"]
