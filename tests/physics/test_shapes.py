"""The shapes in the annotations are checked while testing, and cost nothing otherwise."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from ptychopinn import physics
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
    """Without the hook of the test run the functions are plain, and no module asks for the checker."""
    folder = Path(physics.__file__).parent
    assert hasattr(intensity, "__wrapped__")
    spec = spec_from_file_location("plain_detection", folder / "detection.py")
    assert spec is not None
    assert spec.loader is not None
    plain = module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert not hasattr(plain.intensity, "__wrapped__")
    sources = list(folder.glob("*.py"))
    assert sources
    assert not [path.name for path in sources if "beartype" in path.read_text(encoding="utf-8")]
