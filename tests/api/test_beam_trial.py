"""`check`, `info` and the verdict name a beam that varies, and a sample that moves during an exposure."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import check, info, reconstruct
from ptychopinn.api.beam_trial import BeamTrial, beam_trial, scan_step_px
from ptychopinn.api.geometry_trials import part_of
from ptychopinn.api.short_fits import ShortFits
from ptychopinn.config import ModelConfig, Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.simulation import simulate

PATH_PX = 4.5


def scan_of(seed: int, photons: float = 1e6, path_px: float = 0.0, **more: object) -> Scan:
    """Of 64 patterns, without the object guess."""
    settings = {
        "object_size_px": 72,
        "probe_size_px": 32,
        "step_px": 5,
        "jitter_px": 0.8,
        "photons_per_pattern": photons,
    }
    model = ModelConfig(fly_path_px=(0.0, path_px), fly_steps=9) if path_px else ModelConfig()
    return replace(simulate(SimulationConfig(**settings, seed=seed, **more), model), object_guess=None)


def tried(scan: Scan) -> BeamTrial:
    fits = ShortFits.of(part_of(scan, Recipe()), Recipe())
    assert fits is not None
    return beam_trial(fits)


@pytest.mark.parametrize(
    ("seed", "photons", "kind"),
    [(1, 1e6, "composite"), (2, 1e5, "dead_leaves"), (3, 1e4, "lines"), (4, 1e6, "text"), (5, 1e5, "gaussian_field")],
)
def test_nothing_is_named_where_the_beam_is_steady(seed: int, photons: float, kind: str) -> None:
    found = tried(scan_of(seed, photons, object_kind=kind))
    assert found.gains.keys() >= {"probe_relaxation", "fly_path"}
    assert found.named == ()
    assert found.sentence is None


@pytest.mark.parametrize("seed", [6, 7])
def test_a_beam_that_varies_is_named_with_the_evidence_and_the_option(seed: int) -> None:
    found = tried(scan_of(seed, probe_relaxation=1))
    assert found.named[0] == "probe_relaxation"
    assert found.varying_power == pytest.approx(0.05, rel=0.6)
    assert found.gains["probe_relaxation"] > 3
    assert found.sentence is not None
    assert found.sentence.startswith("The shape of the beam seems to vary from pattern to pattern, by")
    assert f"by {found.gains['probe_relaxation']:.3g} standard errors" in found.sentence
    assert "(--set reconstruction.refine.probe_relaxation=1)." in found.sentence


@pytest.mark.parametrize("seed", [8, 9])
def test_a_path_is_named_with_its_direction_and_length(seed: int) -> None:
    found = tried(scan_of(seed, path_px=PATH_PX))
    assert found.named[0] == "fly_path"
    assert found.path_px is not None
    y, x = found.path_px
    assert abs(y) < 1
    assert x == pytest.approx(PATH_PX, rel=0.3)
    assert found.sentence is not None
    assert "moves during an exposure" in found.sentence.replace("to move", "moves")
    assert f"--set model.fly_path_px=[{y:.2g},{x:.2g}]" in found.sentence


def test_a_second_mode_is_not_taken_for_a_path_or_a_beam_that_varies() -> None:
    two = scan_of(10, probe_modes=2)
    strongest = two.probe[:1] * np.float32(np.linalg.norm(two.probe) / np.linalg.norm(two.probe[0]))
    found = tried(replace(two, probe=strongest))
    assert found.named[0] == "probe_modes"
    assert "--set reconstruction.refine.probe_modes=auto" in (found.sentence or "")


def test_check_and_the_verdict_name_a_beam_that_varies() -> None:
    scan = scan_of(6, probe_relaxation=1, probe_relaxation_power=0.2)
    found = check(scan)
    assert found.verdict != "wrong"
    (sentence,) = (one for one in found.problems if "shape of the beam" in one)
    assert found.beam is not None
    assert sentence == found.beam.sentence
    assert found.entry()["beam"]["named"][0] == "probe_relaxation"
    made = reconstruct(scan, refine=24)
    assert made.verdict is not None
    assert made.verdict.ratio > 10
    assert "The shape of the beam seems to vary" in made.verdict.message
    unchecked = reconstruct(scan, refine=24, overrides=["reconstruction.check=false"])
    assert unchecked.verdict is not None
    assert unchecked.verdict.checked is None


def test_info_compares_patterns_at_the_same_position() -> None:
    steady, varying = (scan_of(11, poisson_noise=False, **more) for more in ({}, {"probe_relaxation": 1}))

    def sentences(second: Scan, factor: float = 1.0, pairs: int = 64) -> list[str]:
        """Of the steady scan with other counts at the first positions, drawn from the photons of a second scan."""
        photons = np.concatenate([steady.patterns, factor * second.patterns[:pairs]])
        counts = np.random.default_rng(1).poisson(photons).astype(np.uint32)
        places = np.concatenate([steady.positions_px, steady.positions_px[:pairs]])
        found = info(replace(steady, patterns=counts, positions_px=places, domain="counts"))
        return [one for one in found.problems if "recorded at the same position" in one]

    assert sentences(steady, pairs=0) == []
    assert sentences(steady) == []
    assert sentences(steady, factor=0.8) == []
    assert sentences(varying, pairs=2) == []
    (sentence,) = sentences(varying)
    assert "(64 pairs)" in sentence
    assert "--set reconstruction.refine.probe_relaxation=1" in sentence


def test_steps_follow_lines_or_nothing_is_said_of_a_path() -> None:
    raster = np.array([[y, x if y % 8 else 27 - x] for y in range(0, 32, 4) for x in range(0, 30, 3)], float)
    assert scan_step_px(raster) == pytest.approx((0.0, 3.0), abs=1e-9)
    assert scan_step_px(raster[:, ::-1]) == pytest.approx((3.0, 0.0), abs=1e-9)
    turn = np.sqrt(np.arange(200.0))
    spiral = 3 * turn[:, None] * np.column_stack([np.sin(3.5 * turn), np.cos(3.5 * turn)])
    assert scan_step_px(spiral) is None
    assert scan_step_px(raster[:1]) is None
