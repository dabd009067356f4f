"""Shapes checked while testing; where the test data lie, and what happens without them; small noise-free scans."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

install_import_hook("ptychopinn.physics", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
"""The shapes in the annotations of the physics are checked in this process, from its first import on."""

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PTYCHOPINN_TEST_DATA", ROOT.parent / "shared"))

OPTIONAL = ("ptychi", "neuralop")
"""Packages that some tests need and the test environment does not have."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs the test data where they are absent, and slow tests unless asked for."""
    drop_shared = not (SHARED / "data").is_dir()
    drop_slow = "slow" not in config.getoption("markexpr")
    dropped = [
        item
        for item in items
        if (drop_shared and item.get_closest_marker("shared_data"))
        or (drop_slow and item.get_closest_marker("slow"))
        or _missing(item)
    ]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
    config.stash[_ABSENT] = drop_shared


def _missing(item: pytest.Item) -> bool:
    """Whether a test is of an optional package that is not installed."""
    return any(find_spec(mark.args[0]) is None for mark in item.iter_markers("optional"))


_ABSENT = pytest.StashKey[bool]()


def pytest_report_header(config: pytest.Config) -> str:
    """One visible line about the data, one about optional packages."""
    state = "found" if (SHARED / "data").is_dir() else "ABSENT: tests that need it are deselected"
    absent = [name for name in OPTIONAL if find_spec(name) is None]
    packages = f"optional packages: ABSENT, their tests are deselected: {', '.join(absent)}" if absent else ""
    return "\n".join([f"test data: {SHARED} {state} (PTYCHOPINN_TEST_DATA)", *([packages] if packages else [])])


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with data/ and parity/."""
    return SHARED


@cache
def rectangular_scan(size: int = 16, modes: int = 1) -> Any:
    """Expected counts of an object with more rows than columns, at fractional positions."""
    from ptychopinn.config import SimulationConfig
    from ptychopinn.simulation import record_patterns, simulate

    config = SimulationConfig(object_size_px=60, probe_size_px=size, probe_modes=modes, step_px=5, seed=size)
    drawn = simulate(config)
    inside = drawn.positions_px[:, 1] < 44 - size // 2 - 2
    object_, positions = drawn.object_guess[:, :44].copy(), drawn.positions_px[inside]
    patterns = record_patterns(object_, drawn.probe, positions, None)
    return replace(drawn, patterns=patterns, positions_px=positions, object_guess=object_)


@pytest.fixture(scope="session")
def noise_free() -> Callable[..., Any]:
    """`noise_free(size=16, modes=1)`: a scan."""
    return rectangular_scan


@pytest.fixture(scope="session")
def scan() -> Any:
    """The usual one: 16 px, one mode."""
    return rectangular_scan()
