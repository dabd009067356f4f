"""`ptychopinn check`: what it prints, and its exit code."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import ptychopinn
from ptychopinn.data import write_scan
from ptychopinn.data.reading import ReadingConvention

SMALL = [
    "simulation.object_size_px=72",
    "simulation.probe_size_px=32",
    "simulation.photons_per_pattern=1e5",
    "simulation.step_px=3.5",
    "simulation.seed=3122",
]


def test_the_settings_mend_a_file(ptycho: Callable, tmp_path: Path) -> None:
    """Conjugated, as JSON on the command line; with the settings there is nothing left to mend."""
    made = ptychopinn.simulate(overrides=SMALL).scan
    path = write_scan(ReadingConvention(conjugate=True).scan(made), tmp_path / "scan.npz")
    outcome = ptycho("check", path, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 3
    assert ["data.conjugate_probe=true"] in [one["settings"] for one in found["trials"] if one["as_good"]]
    again = ptycho("check", path, *(word for one in found["settings"] for word in ("--set", one)))
    assert again.code == 0
    assert "the geometry is right as read" in again.out
    assert "problem:" not in again.out


def test_what_else_is_wrong_is_named(ptycho: Callable, tmp_path: Path) -> None:
    made = ptychopinn.simulate(overrides=SMALL).scan
    noise = np.random.default_rng(0).poisson(20, made.patterns.shape)
    path = write_scan(replace(made, patterns=made.patterns + noise), tmp_path / "scan.npz")
    outcome = ptycho("check", path)
    assert "problem: The pixels in the corners" in outcome.out + outcome.err
    assert "--set model.background=" in outcome.out + outcome.err
