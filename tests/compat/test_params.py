"""`ptycho.params`: the legacy dictionary and its derived sizes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptycho import params


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The dictionary is global: put it back."""
    before = dict(params.cfg)
    yield
    params.cfg.clear()
    params.cfg.update(before)


@pytest.mark.shared_data
def test_defaults_are_those_of_the_earlier_system(shared_dir: Path) -> None:
    fields = json.loads((shared_dir / "parity" / "config_fields.json").read_text())
    assert fields["ptycho.params.DEFAULT_CFG"] == params.DEFAULT_CFG


@pytest.mark.shared_data
def test_derived_sizes_are_those_of_the_earlier_system(shared_dir: Path) -> None:
    files = sorted((shared_dir / "parity" / "params_cfg").glob("[!_]*.json"))
    assert files
    for path in files:
        case = json.loads(path.read_text())
        params.cfg.clear()
        params.cfg.update(case["update_legacy_dict_from_DEFAULT_CFG"])
        derived = case["derived_from_params"]
        assert {name: params.get(name) for name in derived} == derived, path.name


def test_set_and_get_share_the_dictionary_that_clients_hold() -> None:
    held = params.cfg
    params.set("intensity_scale", 2.5)
    assert held["intensity_scale"] == 2.5
    held["N"] = 64
    assert params.get("N") == 64


def test_a_derived_size_follows_its_settings_and_no_stale_entry() -> None:
    params.cfg.update({"N": 64, "gridsize": 1, "bigN": 999})
    assert params.get("bigN") == 64
    params.set("gridsize", 3)
    assert params.get("bigN") == 72


def test_a_missing_key_raises_key_error() -> None:
    with pytest.raises(KeyError, match="intensity_scale"):
        params.get("intensity_scale")


def test_the_defaults_do_not_change_with_the_dictionary() -> None:
    params.set("N", 7)
    assert params.DEFAULT_CFG["N"] == 128
