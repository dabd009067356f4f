"""`check` says when the positions of a scan look wrong."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import check, simulate
from ptychopinn.api.geometry_trials import part_of
from ptychopinn.api.position_trial import position_trial
from ptychopinn.api.short_fits import FEWEST_PATTERNS, Fitted, ShortFits
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.solver import Trials

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


@pytest.fixture(scope="module")
def fits(scan: Scan) -> ShortFits:
    found = ShortFits.of(part_of(scan, Recipe()), Recipe())
    assert found is not None
    return found


def test_right_positions_are_no_problem(fits: ShortFits) -> None:
    found = position_trial(fits)
    assert found is not None
    assert not found[0].look_wrong()


def test_nothing_is_said_where_no_photons_can_be_withheld(scan: Scan) -> None:
    scaled = replace(scan, patterns=(0.37 * scan.counts()).astype(np.float32), domain="counts")
    assert ShortFits.of(part_of(scaled, Recipe()), Recipe()) is None


def test_positions_that_move_far_without_a_gain_are_searched_once_more(
    fits: ShortFits, monkeypatch: pytest.MonkeyPatch
) -> None:
    priors: list[float] = []

    def fitted(self: ShortFits, trials: Trials) -> Fitted:
        priors.append(trials.config.positions_prior_px)
        errors = np.random.default_rng(2).normal(0, 1.2, fits.plain.image.positions_px.shape)
        better = 1.0 if len(priors) == 1 else 0.9
        return Fitted(moved_image(fits, errors), better * fits.plain.deviance)

    monkeypatch.setattr(ShortFits, "fitted", fitted)
    found = position_trial(fits)
    assert priors == [1.0, 3.0]
    assert found is not None
    assert found[0].look_wrong()
    assert "--set reconstruction.refine.positions_prior_px=3)" in found[0].sentence


def test_a_refinement_that_diverges_or_is_asked_for_anyway_says_nothing(
    fits: ShortFits, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert position_trial(replace(fits, trials=fits.trials.changed(positions=True))) is None
    monkeypatch.setattr(ShortFits, "fitted", lambda self, trials: None)
    assert position_trial(fits) is None


def test_few_patterns_are_not_fitted(scan: Scan) -> None:
    assert ShortFits.of(part_of(scan.select(np.arange(FEWEST_PATTERNS - 1)), Recipe()), Recipe()) is None


def moved_image(fits: ShortFits, errors_px: np.ndarray) -> Reconstruction:
    return replace(fits.plain.image, positions_px=fits.trials.start.positions_px + errors_px)
