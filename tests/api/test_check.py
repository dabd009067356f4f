"""`check` names what is wrong with the geometry of a scan, and nothing where nothing is."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.api.check import is_far_better, surely_less
from ptychopinn.api.geometry_candidates import described, factors, first_readings, may_be_other_domain
from ptychopinn.api.geometry_trials import Trial
from ptychopinn.data import Scan, write_scan
from ptychopinn.data.reading import Axes, ReadingConvention

SMALL = [
    "simulation.object_size_px=72",
    "simulation.probe_size_px=32",
    "simulation.photons_per_pattern=1e5",
    "simulation.step_px=3.5",
]


@pytest.fixture(scope="module")
def right() -> Scan:
    scan = ptychopinn.simulate(overrides=[*SMALL, "simulation.seed=3120"]).scan
    return replace(scan, object_guess=None)


def test_a_right_scan_is_right(right: Scan) -> None:
    found = ptychopinn.check(right)
    assert (found.verdict, found.settings) == ("right", ())
    assert found.trials[0].name == "as read"
    assert found.trials[0].as_good
    assert all(trial.unexplained > 1.3 * found.trials[0].unexplained for trial in found.trials if not trial.as_good)
    assert "right as read" in found.message
    assert found.conclusion.endswith("of their structure")
    assert found.message.startswith(f"{found.conclusion};")


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        (ReadingConvention(Axes(rows=True)), "data.flip_positions=y"),
        pytest.param(ReadingConvention(Axes(swap=True)), "data.swap_positions=true", marks=pytest.mark.slow),
        (ReadingConvention(shift=1), "data.shift_positions=-1"),
        (ReadingConvention(scale=1e3), "data.position_scale=0.001"),
    ],
)
def test_a_wrong_geometry_is_named(right: Scan, wrong: ReadingConvention, setting: str) -> None:
    found = ptychopinn.check(wrong.scan(right))
    assert found.verdict == "wrong"
    assert (setting,) in [trial.settings for trial in found.equivalent]
    assert found.settings == found.trials[0].settings
    assert f"--set {found.settings[0]}" in found.message


def test_a_file_that_cannot_be_read_as_given(right: Scan, tmp_path: Path) -> None:
    """Patterns with the zero frequency at the corner, which reading refuses."""
    path = write_scan(ReadingConvention(fftshift=True).scan(right), tmp_path / "scan.npz")
    with pytest.raises(ptychopinn.PtychoPINNError, match="fftshift"):
        ptychopinn.info(path)
    found = ptychopinn.check(path)
    assert (found.verdict, found.settings) == ("wrong", ("data.fftshift=true",))
    assert "as given it cannot be read" in found.message


def test_a_flip_across_a_line_is_one_class_with_no_flip() -> None:
    line = ["simulation.object_size_px=[36,150]", "simulation.scan_kind=raster", "simulation.seed=3121"]
    made = ptychopinn.simulate(overrides=[*SMALL, *line]).scan
    found = ptychopinn.check(replace(made, object_guess=None))
    assert found.verdict == "right"
    assert ("data.flip_positions=y",) in [trial.settings for trial in found.equivalent]
    assert ("data.flip_positions=x",) not in [trial.settings for trial in found.equivalent]
    assert f"These {len(found.equivalent)} geometries fit equally well" in found.message


def test_nothing_is_concluded_without_structure(right: Scan) -> None:
    rng = np.random.default_rng(0)
    noise = replace(right, patterns=rng.poisson(0.05, right.patterns.shape).astype(np.uint16))
    found = ptychopinn.check(noise)
    assert (found.verdict, found.settings) == ("unknown", ())


def test_a_bad_fit_is_checked_once(right: Scan, caplog: pytest.LogCaptureFixture) -> None:
    wrong = replace(right, positions_px=right.positions_px[:, ::-1].copy())
    with caplog.at_level(logging.INFO, "ptychopinn"):
        checked = ptychopinn.reconstruct(wrong, refine=8).verdict
    unchecked = ptychopinn.reconstruct(wrong, refine=8, overrides=["reconstruction.check=false"]).verdict
    assert checked is not None
    assert unchecked is not None
    assert checked.checked is not None
    assert "data.swap_positions=true" in checked.checked
    assert checked.checked in checked.message
    assert unchecked.checked is None
    assert len([record for record in caplog.records if record.name == "ptychopinn.check"]) == 1
    assert not [record for record in caplog.records if record.getMessage().startswith("refined 1/12")]


@pytest.mark.parametrize(("factor", "wanted"), [(1e3, 1e-3), (1e-6, 1e6), (1.0, 2.0)])
def test_units_under_which_beams_overlap(right: Scan, factor: float, wanted: float) -> None:
    assert wanted in factors(replace(right, positions_px=right.positions_px * factor))


def test_lengths_with_a_known_pixel(right: Scan) -> None:
    in_um = replace(right, positions_px=right.positions_px * 26e-3, pixel_size_m=26e-9)
    assert any(factor == pytest.approx(1e-6 / 26e-9) for factor in factors(in_um))


def test_domains_that_values_allow(right: Scan) -> None:
    """Counts are whole, squares of their roots too; averaged patterns may be either."""
    roots = np.sqrt(right.patterns.astype(np.float32))
    assert not may_be_other_domain(right)
    assert may_be_other_domain(replace(right, domain="amplitude"))
    assert may_be_other_domain(replace(right, patterns=roots))
    assert not may_be_other_domain(replace(right, patterns=roots, domain="amplitude"))
    assert may_be_other_domain(replace(right, patterns=roots * 1.7, domain="amplitude"))


def test_amplitudes_read_as_counts_are_named(right: Scan) -> None:
    """Normalised amplitudes, which are neither counts nor roots of counts, of many photons."""
    made = ptychopinn.simulate(overrides=[*SMALL, "simulation.photons_per_pattern=1e6", "simulation.seed=3122"]).scan
    amplitudes = 0.37 * np.sqrt(made.patterns.astype(np.float32))
    found = ptychopinn.check(replace(made, patterns=amplitudes, domain="counts", object_guess=None))
    assert found.settings == ("data.domain=amplitude",)


def test_domains_are_compared_without_single_patterns() -> None:
    """Patterns of too little noise leave less than nothing unexplained, but for a few."""
    values = np.full(40, -0.02)
    values[:4] = 8.0
    numbers = np.arange(40)
    as_counts = Trial(ReadingConvention(), float(values.mean()), 1.2, values / 40, numbers)
    spread = np.full(40, 0.1)
    as_amplitude = Trial(ReadingConvention(domain="amplitude"), 0.1, 3.0, spread / 40, numbers)
    assert not surely_less(as_amplitude, as_counts)
    assert is_far_better(as_amplitude, as_counts)
    assert not is_far_better(replace(as_amplitude, reading=ReadingConvention(reverse=True)), as_counts)
    assert not is_far_better(replace(as_amplitude, unexplained=0.5), as_counts)


def test_every_reading_has_a_name_of_its_own(right: Scan) -> None:
    names = [described(reading) for reading in first_readings(right)]
    assert len(set(names)) == len(names)
