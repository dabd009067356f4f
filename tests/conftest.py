"""Shapes checked while testing; where the test data lie, and what happens without them."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("ptychopinn.physics", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
"""The shapes in the annotations of the physics are checked in this process, from its first import on."""

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PTYCHOPINN_TEST_DATA", ROOT.parent / "shared"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what needs the test data where they are absent, and slow tests unless asked for."""
    drop_shared = not (SHARED / "data").is_dir()
    drop_slow = "slow" not in config.getoption("markexpr")
    dropped = [
        item
        for item in items
        if (drop_shared and item.get_closest_marker("shared_data")) or (drop_slow and item.get_closest_marker("slow"))
    ]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
    config.stash[_ABSENT] = drop_shared


_ABSENT = pytest.StashKey[bool]()


def pytest_report_header(config: pytest.Config) -> str:
    """One visible line about the data."""
    state = "found" if (SHARED / "data").is_dir() else "ABSENT: tests that need it are deselected"
    return f"test data: {SHARED} {state} (PTYCHOPINN_TEST_DATA)"


@pytest.fixture
def shared_dir() -> Path:
    """The folder with data/ and parity/."""
    return SHARED
