"""Tests that take a `propagator` run over every one that is registered."""

import pytest

from ptychopinn.config import ModelConfig
from ptychopinn.physics import Propagator, propagator_of
from ptychopinn.physics.propagation import PROPAGATORS

NEEDED: dict[str, dict[str, float]] = {"near_field": {"fresnel_number": 0.3}}
"""Further settings of those propagators that need some."""


def every_propagator() -> list[Propagator]:
    names = PROPAGATORS.names()
    return [propagator_of(ModelConfig(propagation=name, **NEEDED.get(name, {}))) for name in names]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "propagator" in metafunc.fixturenames:
        metafunc.parametrize("propagator", every_propagator(), ids=lambda propagator: propagator.name)
