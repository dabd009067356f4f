"""Hostile files end in a result or in one sentence: nothing executed, no hang, no crash, little memory."""

import json
import os
import signal
import struct
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from archive_kinds import archive_kinds
from attempts import attempt, attempt_all
from corpus import (
    Attack,
    bundle_with,
    hdf5_attacks,
    npz_attacks,
    pickled_checkpoint,
    recipe_attacks,
    sound_arrays,
    sound_bundle,
)
from hdf5_kinds import hdf5_kinds
from recipe_texts import REFUSED

from ptychopinn.api.model_files import load_model
from ptychopinn.bundle.checkpoint import read_checkpoint
from ptychopinn.config import Recipe
from ptychopinn.data import read_scan, write_scan

Failures = Callable[..., list[str]]


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    path = tmp_path / "sound.npz"
    np.savez(path, **sound_arrays())
    return path


@pytest.fixture
def cxi_file(scan_file: Path) -> Path:
    return write_scan(read_scan(scan_file), scan_file.with_suffix(".cxi"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of an untrained network."""
    return sound_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def failures(record_property: Callable[[str, object], None]) -> Callable[..., list[str]]:
    """Counts attacks by their kind; the summary of the tests shows the numbers."""

    def counted(kind: str, attacks: Iterable[Attack], work: Callable[[Path], object], at_least: int) -> list[str]:
        listed = list(attacks)
        assert len({name for name, _, _ in listed}) == len(listed) >= at_least
        record_property("attacks", [kind, len(listed)])
        return _failures(listed, work)

    return counted


def _failures(listed: list[Attack], work: Callable[[Path], object]) -> list[str]:
    """What of the attacks did not end as it should."""
    outcomes = attempt_all([lambda path=path: work(path) for _, path, _ in listed])
    return [
        f"{name}: {outcome}"
        for (name, _, refused), outcome in zip(listed, outcomes, strict=True)
        if not outcome.is_safe or (refused and outcome.kind != "sentence") or "SECRET" in outcome.message
    ]


def test_limits_and_canary_can_fail(tmp_path: Path) -> None:
    def exhaust() -> None:
        np.ones(150_000_000)

    assert not attempt(exhaust).is_safe
    assert attempt(lambda: time.sleep(9), seconds=1).kind == "hang"
    assert attempt(lambda: os.kill(os.getpid(), signal.SIGKILL)).message == "SIGKILL"
    assert attempt(lambda: 1 / 0).message == "ZeroDivisionError: division by zero"
    assert attempt(lambda: os._exit(3)).message == "exit code 3"


def test_scans_in_npz(tmp_path: Path, canary: object, failures: Failures) -> None:
    folder = tmp_path / "attacks"
    folder.mkdir()
    assert failures("scans in NPZ", npz_attacks(folder, canary), read_scan, 150) == []


def test_scans_in_hdf5(tmp_path: Path, cxi_file: Path, failures: Failures) -> None:
    folder = tmp_path / "attacks"
    folder.mkdir()
    assert failures("scans in HDF5", hdf5_attacks(cxi_file, folder), read_scan, 100) == []


def test_archives(tmp_path: Path, failures: Failures) -> None:
    assert failures("archives of scans", archive_kinds(tmp_path), read_scan, 85) == []


def test_kinds_of_datasets(tmp_path: Path, cxi_file: Path, failures: Failures) -> None:
    folder = tmp_path / "attacks"
    folder.mkdir()
    assert failures("datasets in HDF5", hdf5_kinds(cxi_file, folder), read_scan, 80) == []


def test_recipes_in_bundles(tmp_path: Path, bundle: Path, failures: Failures) -> None:
    with zipfile.ZipFile(bundle) as archive:
        tree = json.loads(archive.read("recipe.json"))

    def attacks() -> Iterable[Attack]:
        for number, (name, changed) in enumerate(recipe_attacks(tree)):
            path = bundle_with(bundle, tmp_path / f"{number}.zip", {"recipe.json": json.dumps(changed).encode()})
            yield name, path, False

    assert attempt(lambda: load_model(bundle)).kind == "result"
    assert failures("recipes in bundles", attacks(), load_model, 180) == []


@pytest.mark.parametrize("value", [2000, 4096])
@pytest.mark.parametrize("name", ["width", "blocks", "spectral_modes"])
def test_a_network_larger_than_its_weights_is_never_built(bundle: Path, tmp_path: Path, name: str, value: int) -> None:
    with zipfile.ZipFile(bundle) as archive:
        tree = json.loads(archive.read("recipe.json"))
    value = min(value, 256) if name == "blocks" else value
    tree["model"]["generator"] |= {name: value, "architecture": "fno"}
    path = bundle_with(bundle, tmp_path / "evil.zip", {"recipe.json": json.dumps(tree).encode()})
    outcome = attempt(lambda: load_model(path))
    assert outcome.kind == "sentence"
    assert outcome.peak < 2**28
    assert "do not fit" in outcome.message


def _safetensors(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    header, data = {}, b""
    for name, (kind, shape, values) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_members_of_bundles(tmp_path: Path, bundle: Path, canary: object, failures: Failures) -> None:
    with zipfile.ZipFile(bundle) as archive:
        weights = archive.read("model/weights.safetensors")
    nan = weights[:-4] + np.float32(np.nan).tobytes()
    hostile = {
        "nan": {"model/weights.safetensors": nan},
        "huge header": {"model/weights.safetensors": struct.pack("<Q", 2**62) + b"{}"},
        "deep header": {"model/weights.safetensors": struct.pack("<Q", 100_000) + b"[" * 100_000},
        "no weights": {"model/weights.safetensors": _safetensors({})},
        "names": {"model/weights.safetensors": _safetensors({"\x1b[2J" + "A" * 100_000: ("U8", [0], b"")})},
        "empty probe": {"arrays.safetensors": _safetensors({"probe:complex": ("F32", [0, 16, 16, 2], b"")})},
        "flat probe": {"arrays.safetensors": _safetensors({"probe:complex": ("F32", [1, 2, 2, 2], bytes(32))})},
        "deep parameters": {"params.json": b"[" * 100_000},
        "missing array": {"params.json": b'{"a": {"$array": "params/\\u001b[2J"}}'},
        "surrogate": {"params.json": b'{"a": {"$array": "\\ud800"}}'},
        "deep recipe": {"recipe.json": b"[" * 100_000},
        "digits": {"recipe.json": b'{"training": {"threads": ' + b"9" * 5000 + b"}}"},
        "bomb": {"model/weights.safetensors": weights + bytes(400_000_000)},
        "device": {"../../../dev/shm/canary": b"x"},
    }

    def attacks() -> Iterable[Attack]:
        for name, change in hostile.items():
            yield f"bundle {name}", bundle_with(bundle, tmp_path / f"{name}.zip", change), True

    assert failures("members of bundles", attacks(), load_model, 14) == []


@pytest.mark.parametrize(
    ("raw", "identity"),
    [
        (("F32", [], bytes(4)), ("F64", [1, 3], bytes(24))),
        (("F32", [5], bytes(20)), ("F64", [5, 3], bytes(120))),
        (("F32", [4, 2], bytes(32)), ("F64", [5, 3], bytes(120))),
        (("F32", [0, 2], b""), ("F64", [1, 3], bytes(24))),
        (("F32", [4, 2], np.full(8, np.inf, np.float32).tobytes()), ("F64", [4, 3], bytes(96))),
    ],
)
def test_odd_fitted_positions(tmp_path: Path, bundle: Path, raw: tuple, identity: tuple) -> None:
    with zipfile.ZipFile(bundle) as archive:
        weights = archive.read("model/weights.safetensors")
    size = struct.unpack("<Q", weights[:8])[0]
    header, data = json.loads(weights[8 : 8 + size]), weights[8 + size :]
    for name, (kind, shape, values) in {"shifts.raw": raw, "shifts.identity": identity}.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    change = {"model/weights.safetensors": struct.pack("<Q", len(text)) + text + data}
    path = bundle_with(bundle, tmp_path / "evil.zip", change)
    assert attempt(lambda: load_model(path)).kind == "sentence"


def test_checkpoints(tmp_path: Path, canary: object, failures: Failures) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"PK\x03\x04 and no more")
    torch.save(torch.zeros(3), tmp_path / "tensor")
    whole = (tmp_path / "tensor").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    attacks = [(name, tmp_path / name, True) for name in ("empty", "text", "tensor", "half", "absent")]
    attacks.append(("pickle", pickled_checkpoint(tmp_path / "pickle", canary), True))
    attacks.append(("packed", pickled_checkpoint(tmp_path / "packed", canary, zipfile.ZIP_DEFLATED), True))
    attacks += [("device", Path("/dev/zero"), True), ("folder", tmp_path, True)]
    assert failures("checkpoints", attacks, lambda path: read_checkpoint(path, "a checkpoint", "train again"), 9) == []


def test_recipes_in_files(tmp_path: Path, failures: Failures) -> None:
    attacks = [("device", Path("/dev/zero"), True), ("folder", tmp_path, True)]
    for name, text in REFUSED.items():
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        attacks.append((name, tmp_path / name, True))
    assert failures("recipes in files", attacks, Recipe.from_file, 50) == []
