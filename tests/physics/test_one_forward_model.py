"""The forward model is written once: no second spelling of what `DiffractionModel` and its neighbours decide."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.data.frame import nearest_pixel
from ptychopinn.physics import split_position

SOURCE = Path(ptychopinn.__file__).resolve().parents[1]
PACKAGES = ("ptycho", "ptycho_torch", "ptychopinn")
"""Ours: an installed package lies beside all others."""
PHYSICS = "ptychopinn/physics/"
SECOND_BACKEND = "ptychopinn/tensorflow/"
"""Writes generator and physics a second time; tests/tensorflow/test_parity.py compares the two."""
SPELLINGS = {
    "rounding to the nearest pixel": (
        r"floor\([^()]*(\([^()]*\)[^()]*)*\+ 0\.5\)",
        ("ptychopinn/physics/shift.py", "ptychopinn/data/frame.py"),
    ),
    "the mask of some patterns": (r"(mask|measured|bad\w*|seen)\.ndim [!=]= [23]", ("ptychopinn/data/masks.py",)),
    "the sub-pixel rule": (r"[!=]= \"bilinear\"|subpixel [!=]= ", ("ptychopinn/physics/forward.py",)),
    "the propagator": (r"FarField|detect_patches|exit_waves? = to_(detector|sample)", (PHYSICS,)),
    "the fractional part of a position": (r"shifted_probes\(", (PHYSICS,)),
}
"""What is decided in one place -> how another place would spell it, and the files where it stands."""


def places(pattern: str, sources: dict[str, str]) -> set[str]:
    return {name for name, text in sources.items() if re.search(pattern, text)}


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    files = (path for package in PACKAGES for path in (SOURCE / package).rglob("*.py"))
    found = {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in files}
    return {name: text for name, text in found.items() if not name.startswith(SECOND_BACKEND)}


@pytest.mark.parametrize("what", SPELLINGS)
def test_it_is_spelt_once(what: str, sources: dict[str, str]) -> None:
    pattern, homes = SPELLINGS[what]
    found = places(pattern, sources)
    assert any(name.startswith(homes) for name in found), "the pattern finds not even the one place"
    assert not [name for name in found if not name.startswith(homes)]


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("rounding to the nearest pixel", "whole = np.floor(scan.positions_px + 0.5).astype(np.int64)"),
        ("rounding to the nearest pixel", "whole = torch.floor(f(x) - origin + 0.5)"),
        (
            "the mask of some patterns",
            "seen = measured[rows] if measured is not None and measured.ndim == 3 else measured",
        ),
        ("the mask of some patterns", "where = bad if bad.ndim == 3 else bad[None]"),
        ("the sub-pixel rule", 'if self.config.subpixel == "bilinear":'),
        ("the sub-pixel rule", 'if subpixel != "probe":'),
        ("the propagator", "expected = intensity(FarField()(exit_wave(probes, patches)))"),
        ("the fractional part of a position", "probes, _ = shifted_probes(probe, remainder)"),
    ],
)
def test_second_spellings_are_found(what: str, line: str) -> None:
    assert places(SPELLINGS[what][0], {"elsewhere.py": line})


def test_both_forms_of_rounding_agree() -> None:
    positions = np.array([[2.5, -1.25], [-0.5, 3.5], [0.49999999, 7.0]])
    np.testing.assert_array_equal(nearest_pixel(positions), split_position(torch.from_numpy(positions))[0].numpy())
