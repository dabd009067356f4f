"""The shapes in the annotations are checked while testing, and cost nothing otherwise."""

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from ptychopinn.physics import DiffractionModel, exit_wave, intensity


def test_a_probe_without_modes_is_refused() -> None:
    """A probe (H, W) cannot pass as modes: the earlier system let it broadcast into batch or modes."""
    object_ = torch.ones(16, 16, dtype=torch.complex64)
    positions = torch.tensor([[8.0, 8.0]])
    with pytest.raises(TypeCheckError, match="probe"):
        DiffractionModel()(object_, positions, torch.ones(8, 8, dtype=torch.complex64))


def test_a_real_wave_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="detector_wave"):
        intensity(torch.ones(1, 8, 8))


def test_windows_of_another_size_than_the_probe_are_refused() -> None:
    with pytest.raises(TypeCheckError, match="patches"):
        exit_wave(torch.ones(1, 8, 8, dtype=torch.complex64), torch.ones(3, 8, 1, dtype=torch.complex64))


def test_nothing_is_checked_outside_of_tests() -> None:
    """Importing the physics loads no checker, and the functions are not wrapped."""
    code = (
        "import sys, ptychopinn.physics as p;"
        "sys.exit('beartype' in sys.modules or hasattr(p.intensity, '__wrapped__'))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
