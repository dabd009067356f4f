"""The registry that every extension point uses: names, entry points, and what happens to a broken package."""

from pathlib import Path

import pytest

from ptychopinn.errors import ConfigError
from ptychopinn.plugins import Registry

GROUP = "ptychopinn.tests"


def install(folder: Path, module: str, points: dict[str, str], code: str) -> None:
    """What `pip install` leaves behind for a package of one module."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))


def scales(**options: object) -> Registry[object]:
    return Registry("scale", {"linear": float}, setting="plot.scale", group=GROUP, **options)  # type: ignore[arg-type]


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="scale 'linear' is registered already; choose another name"):
        scales().register("linear", int)


def test_an_entry_point_is_found_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = scales()
    with pytest.raises(ConfigError, match=r"plot\.scale = 'log' is not registered; choose one of linear$"):
        registry.resolve("log")
    install(tmp_path, "log_scale", {"log": "log_scale:log"}, "from math import log\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.resolve("log")(1) == 0  # type: ignore[operator]
    assert registry.names() == ["linear", "log"]


def test_no_package_is_imported_for_a_known_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "never_imported", {"log": "never_imported:log"}, "raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = scales()
    assert registry.resolve("linear") is float
    assert not registry.loaded


def test_a_value_that_cannot_be_used_is_refused_like_a_broken_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def check(value: object) -> None:
        if not callable(value):
            raise ConfigError(f"scale must be a function, got {value!r}; name a function in the entry point")

    install(tmp_path, "number_scale", {"number": "number_scale:x"}, "x = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = scales(check=check)
    with pytest.raises(ConfigError, match=r"the plugin number_scale:x cannot be loaded: scale must be a function"):
        registry.resolve("number")
    assert registry.names() == ["linear"]
    assert len(caplog.messages) == 1
    with pytest.raises(ConfigError, match="got 4"):
        registry.register("other", 4)


def test_registries_share_entry_points_whose_modules_fill_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = scales()
    colours: Registry[object] = Registry("colour", {}, setting="plot.colour", shared=registry)
    code = "from test_plugins_tables import colours\ncolours.register('red', 'r')\n"
    install(tmp_path, "red_colour", {"all": "red_colour"}, code)
    (tmp_path / "test_plugins_tables.py").write_text("colours = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("test_plugins_tables.colours", colours)
    assert colours.resolve("red") == "r"
    assert registry.names() == ["linear"]
