"""`check` says when the positions of a scan look wrong."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import check, simulate
from ptychopinn.api.geometry_trials import part_of
from ptychopinn.api.position_trial import position_trial
from ptychopinn.config import Recipe
from ptychopinn.data import Scan

SETTINGS = ("object_size_px=96", "probe_size_px=32", "step_px=5", "photons_per_pattern=1e5", "seed=5")


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(overrides=[f"simulation.{one}" for one in SETTINGS]).scan


def moved(scan: Scan, error_px: float) -> Scan:
    errors = error_px * np.random.default_rng(1).uniform(-(3**0.5), 3**0.5, scan.positions_px.shape)
    return replace(scan, positions_px=scan.positions_px + errors)


def test_wrong_positions_are_said_with_the_evidence_and_the_option(scan: Scan) -> None:
    found = check(moved(scan, 0.8))
    assert found.verdict == "right", "no other reading of the file mends random errors"
    assert found.positions is not None
    assert found.positions.gain_in_standard_errors > 3
    assert found.positions.moved_rms_px == pytest.approx(0.8, rel=0.3)
    (sentence,) = (one for one in found.problems if "positions look wrong" in one)
    assert sentence.endswith("refine them (--set reconstruction.refine.positions=true).")
    assert f"{found.positions.moved_rms_px:.2g} px rms" in sentence
    assert found.entry()["positions"]["patterns"] == found.positions.patterns


def test_right_positions_are_no_problem(scan: Scan) -> None:
    found = position_trial(part_of(scan, Recipe()), Recipe())
    assert found is not None
    assert not found.look_wrong()


def test_nothing_is_said_where_no_photons_can_be_withheld(scan: Scan) -> None:
    scaled = replace(scan, patterns=(0.37 * scan.counts()).astype(np.float32), domain="counts")
    assert position_trial(part_of(scaled, Recipe()), Recipe()) is None
