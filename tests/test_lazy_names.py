"""Packages whose names are loaded when they are first used list these names, and load each of them."""

from importlib import import_module
from pathlib import Path

import pytest

import ptychopinn

SOURCE = Path(ptychopinn.__file__).parent
PACKAGES = sorted(
    ".".join(("ptychopinn", *file.parent.relative_to(SOURCE).parts))
    for file in SOURCE.rglob("__init__.py")
    if "loads(" in file.read_text()
)


def test_the_packages_are_found() -> None:
    assert {"ptychopinn", "ptychopinn.physics", "ptychopinn.plotting"} <= set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_dir_lists_the_public_names_and_each_can_be_loaded(name: str) -> None:
    package = import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is not None, public


@pytest.mark.parametrize("name", PACKAGES)
def test_a_name_that_does_not_exist_is_refused_by_name(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing_of_this_name'"):
        _ = import_module(name).nothing_of_this_name
