"""The table of groups kept beside the scan."""

import logging
import os

import numpy as np
import pytest

from ptychopinn.config import DataConfig
from ptychopinn.data import cache as cache_module
from ptychopinn.data import cached_groups, make_groups

CONFIG = DataConfig(group_size=4, neighbors=7)
POSITIONS = np.random.default_rng(0).uniform(0, 50, (60, 2))


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """Grows by one with every table that is made."""
    calls: list[int] = []

    def counted(*args, **kwargs):
        calls.append(1)
        return make_groups(*args, **kwargs)

    monkeypatch.setattr(cache_module, "make_groups", counted)
    return calls


def test_the_second_time_it_is_read(tmp_path, made) -> None:
    first = cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG, 3)
    assert os.listdir(tmp_path) == ["fly.g2k7.groups_cache.npz"]
    again = cached_groups(tmp_path / "fly.npz", POSITIONS.copy(), CONFIG, 3)
    assert len(made) == 1
    np.testing.assert_array_equal(first.index, again.index)
    np.testing.assert_array_equal(first.index, make_groups(POSITIONS, CONFIG, np.random.default_rng(3)).index)


CHANGES = [
    {"positions_px": POSITIONS + 1e-9},
    {"positions_px": POSITIONS[:-1]},
    {"seed": 4},
    {"config": CONFIG.changed(n_groups=5)},
    {"config": CONFIG.changed(max_distance_px=40.0)},
    {"scan_index": np.zeros(60, np.int64)},
    {"seeds": np.arange(60)},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_other_content_makes_another_table_and_replaces_the_file(tmp_path, made, change) -> None:
    call = {"positions_px": POSITIONS, "config": CONFIG, "seed": 3}
    cached_groups(tmp_path / "fly.npz", **call)
    cached_groups(tmp_path / "fly.npz", **(call | change))
    assert len(made) == 2
    cached_groups(tmp_path / "fly.npz", **(call | change))
    assert len(made) == 2
    assert len(os.listdir(tmp_path)) == 1


def test_settings_that_do_not_touch_groups_keep_the_file(tmp_path, made) -> None:
    cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG, 3)
    cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG.changed(domain="counts"), 3)
    assert len(made) == 1


def test_a_damaged_file_is_made_anew(tmp_path, made, caplog) -> None:
    path = tmp_path / "fly.g2k7.groups_cache.npz"
    expected = cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG, 3).index
    sound = path.read_bytes()
    np.savez(tmp_path / "other.npz", nothing=np.ones(2))
    np.save(tmp_path / "single.npy", np.ones(2))
    damaged = [
        b"",
        b"no zip",
        sound[: len(sound) // 2],
        sound[:200] + bytes(64) + sound[264:],
        (tmp_path / "other.npz").read_bytes(),
        (tmp_path / "single.npy").read_bytes(),
    ]
    for number, content in enumerate(damaged, start=1):
        path.write_bytes(content)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ptychopinn.data"):
            groups = cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG, 3)
        np.testing.assert_array_equal(groups.index, expected)
        assert len(made) == 1 + number
        assert "the groups are computed again" in caplog.text
        assert path.read_bytes() == sound


@pytest.mark.parametrize(
    "index",
    [
        np.full((60, 4), 60),
        np.full((60, 4), -1),
        np.zeros((60, 3), int),
        np.zeros((0, 4), int),
        np.zeros((60, 4)),
    ],
)
def test_a_table_that_does_not_fit_is_not_used(tmp_path, made, index) -> None:
    path = tmp_path / "fly.g2k7.groups_cache.npz"
    cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG, 3)
    with np.load(path) as archive:
        key = archive["key"]
    np.savez(path, key=key, index=index)
    assert len(cached_groups(tmp_path / "fly.npz", POSITIONS, CONFIG, 3)) == 60
    assert len(made) == 2


def test_a_folder_that_cannot_be_written_is_only_logged(tmp_path, made, caplog) -> None:
    with caplog.at_level(logging.INFO, "ptychopinn.data"):
        groups = cached_groups(tmp_path / "absent" / "fly.npz", POSITIONS, CONFIG, 3)
    assert len(groups) == 60
    assert "groups are not kept" in caplog.text
    assert os.listdir(tmp_path) == []
