"""Tests that take a `propagator` run over every one that is registered."""

import pytest

from ptychopinn.config import ModelConfig
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.propagation import of_geometry
from ptychopinn.physics import Propagator, propagator_of
from ptychopinn.physics.propagation import PROPAGATORS

GEOMETRY = Geometry(energy_eV=12398.42, distance_m=1e-4 / 0.3, detector_pixel_m=1e-7)
"""Gives propagators the settings that they need: a Fresnel number of 0.3, which patterns of 4 px can represent."""


def every_propagator() -> list[Propagator]:
    return [propagator_of(of_geometry(ModelConfig(propagation=name), GEOMETRY)) for name in PROPAGATORS.names()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "propagator" in metafunc.fixturenames:
        metafunc.parametrize("propagator", every_propagator(), ids=lambda propagator: propagator.name)
