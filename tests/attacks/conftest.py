"""A canary that must not fire."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

collect_ignore = ["coverage_fuzz.py"]
"""A program for `make fuzz`, which needs the package atheris."""


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.path, "w")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    """A trap, which must not have been sprung at the end of the test."""
    fired = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(fired)))
    assert fired.exists(), "the canary can fire"
    fired.unlink()
    yield Canary(fired)
    assert not fired.exists(), "something in a file was executed"
