"""Every way in which an archive can be wrong has its own sentence."""

import hashlib
import json
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from ptychopinn.bundle import archive as archive_module
from ptychopinn.bundle import load_bundle, save_bundle
from ptychopinn.config import Recipe
from ptychopinn.errors import BundleError

WEIGHTS = "model/weights.safetensors"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(
        tmp_path_factory.mktemp("good") / "wts.h5.zip",
        recipe=Recipe(),
        state={"w": torch.arange(400.0)},
        probe=np.ones((1, 8, 8), np.complex64),
        params={"N": 64, "probe": np.ones(3)},
    )


def members_of(file: Path) -> Members:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def edited_manifest(members: Members, change: Callable[[dict], object]) -> Members:
    tree = json.loads(members["manifest.json"])
    change(tree)
    return {**members, "manifest.json": json.dumps(tree).encode()}


def listed(members: Members, name: str, data: bytes) -> Members:
    """The members with one replaced and the manifest made to agree."""
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return edited_manifest({**members, name: data}, lambda tree: tree["files"].update({name: entry}))


def refused(path: Path, part: str) -> None:
    with pytest.raises(BundleError, match=part) as caught:
        load_bundle(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def test_the_archive_that_is_tampered_with_below_is_good_itself(good: Path, tmp_path: Path) -> None:
    assert load_bundle(write(tmp_path / "a.zip", members_of(good))).params["N"] == 64
    deflated = write(tmp_path / "b.zip", members_of(good), zipfile.ZIP_DEFLATED)
    assert torch.equal(load_bundle(deflated).state["w"], torch.arange(400.0))


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.zip", "no such model bundle")
    with pytest.raises(BundleError, match=r"wts\.h5\.zip: no such model bundle"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"weights", b"\x89HDF\r\n\x1a\n" * 9])
def test_not_a_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "is not a zip file")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9, 0.999])
def test_truncated(good: Path, tmp_path: Path, kept: float) -> None:
    data = good.read_bytes()
    (tmp_path / "a.zip").write_bytes(data[: int(kept * len(data))])
    refused(tmp_path / "a.zip", "is truncated or damaged")


def test_flipped_byte_in_the_weights(good: Path, tmp_path: Path) -> None:
    data = bytearray(good.read_bytes())
    data[data.find(struct.pack("<f", 399.0))] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", "truncated or damaged")


def test_any_damage_is_a_bundle_error_or_harmless(good: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    original = good.read_bytes()
    path = tmp_path / "a.zip"
    errors = 0
    for _ in range(300):
        data = bytearray(original)
        for place in rng.integers(4, len(data), size=rng.integers(1, 4)):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(4, len(data))] if rng.random() < 0.2 else data)
        try:
            weights = load_bundle(path).state["w"]
        except BundleError:
            errors += 1
        else:
            assert torch.equal(weights, torch.arange(400.0))
    assert errors > 150


def test_changed_member_of_equal_size(good: Path, tmp_path: Path) -> None:
    members = members_of(good)
    members[WEIGHTS] = members[WEIGHTS][:-1] + b"\x01"
    refused(write(tmp_path / "a.zip", members), f"hash of member {WEIGHTS} differs")


@pytest.mark.parametrize("name", ["recipe.json", "params.json", "arrays.safetensors", WEIGHTS])
def test_hashes_are_checked_before_parsing(good: Path, tmp_path: Path, name: str) -> None:
    members = members_of(good)
    members[name] = b"\xff" * len(members[name])
    refused(write(tmp_path / "a.zip", members), f"hash of member {name} differs")


@pytest.mark.parametrize(("extra", "word"), [(b"more", "larger"), (b"", "smaller")])
def test_member_of_another_size_than_listed(good: Path, tmp_path: Path, extra: bytes, word: str) -> None:
    members = members_of(good)
    members[WEIGHTS] = members[WEIGHTS] + extra if extra else members[WEIGHTS][:-4]
    refused(write(tmp_path / "a.zip", members), f"is {word} than its manifest says")


def test_member_that_unpacks_to_more_than_the_archive_says(good: Path, tmp_path: Path) -> None:
    """The declared sizes agree with the manifest, the compressed stream holds a thousand times as much."""
    members = members_of(good)
    size = len(members[WEIGHTS])
    path = write(tmp_path / "a.zip", {**members, WEIGHTS: bytes(1000 * size)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(WEIGHTS.encode()))
    data[at + 24 : at + 28] = struct.pack("<I", size)
    path.write_bytes(data)
    refused(path, "truncated or damaged")


def test_zip_bomb_with_an_honest_manifest(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "FREE_BYTES", 1000)
    members = listed(members_of(good), WEIGHTS, bytes(2**20))
    refused(write(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED), "expands to far more bytes")


def test_huge_manifest_is_not_read(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_JSON_BYTES", 5000)
    members = members_of(good)
    members["manifest.json"] += b" " * 5000
    refused(write(tmp_path / "a.zip", members), "manifest.json has .* bytes, more than the 5000 allowed")


def test_huge_parameters_are_not_read(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_JSON_BYTES", 7900)
    members = listed(members_of(good), "params.json", b"{}" + b" " * 8000)
    refused(write(tmp_path / "a.zip", members), "params.json has 8002 bytes, more than the 7900 allowed")


@pytest.mark.parametrize("name", ["recipe.json", "params.json", "arrays.safetensors", WEIGHTS])
def test_missing_member(good: Path, tmp_path: Path, name: str) -> None:
    members = members_of(good)
    del members[name]
    refused(write(tmp_path / "a.zip", members), f"lacks member.* {name}")
    unlisted = edited_manifest(members, lambda tree: tree["files"].pop(name))
    refused(write(tmp_path / "b.zip", unlisted), f"lacks member.* {name}")


def test_optimizer_that_is_listed_but_absent(good: Path, tmp_path: Path) -> None:
    members = listed(members_of(good), "optimizer.safetensors", b"x")
    del members["optimizer.safetensors"]
    refused(write(tmp_path / "a.zip", members), "lacks member.* optimizer.safetensors")


@pytest.mark.parametrize("name", ["run.py", "manifest.dill", "model/", "model/../recipe.json2"])
def test_unknown_member(good: Path, tmp_path: Path, name: str) -> None:
    part = "leaves its folder" if ".." in name else "unknown member"
    refused(write(tmp_path / "a.zip", {**members_of(good), name: b""}), part)


def test_unknown_member_that_the_manifest_lists(good: Path, tmp_path: Path) -> None:
    refused(write(tmp_path / "a.zip", listed(members_of(good), "run.py", b"1")), "holds unknown member.* run.py")
    members = listed(members_of(good), "run.py", b"1")
    del members["run.py"]
    refused(write(tmp_path / "b.zip", members), "lists unknown member.* run.py")


def test_known_member_that_the_manifest_does_not_list(good: Path, tmp_path: Path) -> None:
    refused(
        write(tmp_path / "a.zip", {**members_of(good), "optimizer.safetensors": b"x"}),
        "manifest does not list",
    )


@pytest.mark.parametrize("name", ["/etc/passwd", "../out", "model/../../out", "C:\\out", "a\\b"])
def test_unsafe_path(good: Path, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.zip", {**members_of(good), name: b"x"})
    refused(path, "absolute path or leaves its folder")
    assert not (tmp_path.parent / "out").exists()


def test_symbolic_link(good: Path, tmp_path: Path) -> None:
    members = members_of(good)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            kind = stat.S_IFLNK if name == WEIGHTS else stat.S_IFREG
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, data)
    refused(tmp_path / "a.zip", "is a symbolic link")


def test_duplicate_member(good: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", members_of(good))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(WEIGHTS, b"other weights")
    refused(path, "is there twice")


def test_too_many_members(good: Path, tmp_path: Path) -> None:
    extra = {f"file{k}": b"" for k in range(100)}
    refused(write(tmp_path / "a.zip", {**members_of(good), **extra}), "holds 105 members")


def test_odd_compression(good: Path, tmp_path: Path) -> None:
    refused(write(tmp_path / "a.zip", members_of(good), zipfile.ZIP_BZIP2), "compression other than")


def test_encrypted(good: Path, tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.zip", members_of(good)).read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", "is encrypted")


def test_no_manifest(good: Path, tmp_path: Path) -> None:
    members = members_of(good)
    del members["manifest.json"]
    refused(write(tmp_path / "a.zip", members), "holds no manifest.json")


def test_code_in_an_archive_of_the_earlier_implementation_is_named_and_not_run(tmp_path: Path) -> None:
    trap = b"cos\nsystem\n(S'touch executed'\ntR."
    refused(write(tmp_path / "a.zip", {"manifest.dill": trap, "params.dill": trap}), "names os.system")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"{", "manifest.json is not valid JSON"),
        (b"\xff\xfe\x00", "manifest.json is not valid JSON"),
        (b"[" * 200_000, "manifest.json is not valid JSON"),
        (b"[]", "does not say format 'ptychopinn-bundle'"),
        (b'{"format": "other"}', "does not say format 'ptychopinn-bundle'"),
    ],
)
def test_manifest_that_is_none(good: Path, tmp_path: Path, text: bytes, part: str) -> None:
    refused(write(tmp_path / "a.zip", {**members_of(good), "manifest.json": text}), part)


def set_key(key: str, value: object) -> Callable[[dict], None]:
    return lambda tree: tree.update({key: value})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (set_key("format_version", "2.0"), r"format_version 2\.0 .* is newer than 1\.x.*upgrade"),
        (set_key("format_version", 3), "format_version 3 .* is newer"),
        (set_key("format_version", "next"), "no readable format_version"),
        (set_key("format_version", None), "no readable format_version"),
        (lambda tree: tree.pop("format_version"), "no readable format_version"),
        (set_key("backend", "tensorflow"), "must name the weights of the backend tensorflow"),
        (lambda tree: tree.pop("backend"), "backend is None"),
        (set_key("models", []), "damaged at models"),
        (set_key("files", []), "damaged at files"),
        (
            set_key("files", {"recipe.json": {"sha256": "00", "bytes": 1}}),
            r"damaged at files\.recipe\.json\.sha256",
        ),
        (
            set_key("files", {"recipe.json": {"sha256": 64 * "0", "bytes": -1}}),
            r"damaged at files\.recipe\.json\.bytes",
        ),
        (lambda tree: tree.pop("created_utc"), "damaged at created_utc"),
    ],
)
def test_manifest_with_a_wrong_value(good: Path, tmp_path: Path, change: Callable[[dict], object], part: str) -> None:
    refused(write(tmp_path / "a.zip", edited_manifest(members_of(good), change)), part)


@pytest.mark.parametrize("version", ["0.3", "1.7", 1])
def test_older_and_minor_versions_are_read(good: Path, tmp_path: Path, version: object) -> None:
    def change(tree: dict) -> None:
        tree.update(format_version=version, added_later={"a": 1})

    bundle = load_bundle(write(tmp_path / "a.zip", edited_manifest(members_of(good), change)))
    assert bundle.manifest.format_version == str(version)


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("recipe.json", b"{", "recipe.json is not valid JSON"),
        (
            "recipe.json",
            b'{"training": {"epocs": 3}}',
            "recipe does not fit this version .*did you mean epochs",
        ),
        ("recipe.json", b"[]", "recipe does not fit this version"),
        ("params.json", b"[]", "params.json: does not hold a dictionary"),
        ("params.json", b'{"a": {"$array": "params/b"}}', "refers to array 'params/b'"),
        ("params.json", b'{"a": {"$array": ["probe"]}}', "refers to array"),
        (WEIGHTS, b"no tensors", "weights.safetensors: is no valid safetensors data"),
        ("arrays.safetensors", b"", "arrays.safetensors: is no valid safetensors data"),
        ("arrays.safetensors", safetensors.numpy.save({"a": np.ones(2)}), "holds no complex probe"),
        (
            "arrays.safetensors",
            safetensors.numpy.save({"probe": np.ones((1, 2, 2))}),
            "holds no complex probe",
        ),
        (
            "arrays.safetensors",
            safetensors.numpy.save({"probe:complex": np.ones(3)}),
            "real and imaginary parts",
        ),
        (WEIGHTS, safetensors.numpy.save({"w:complex": np.ones(3)}), "real and imaginary parts"),
        (WEIGHTS, safetensors.numpy.save({"w:complex": np.ones(2, int)}), "real and imaginary parts"),
    ],
)
def test_content_that_hashes_well_but_is_wrong(good: Path, tmp_path: Path, name: str, data: bytes, part: str) -> None:
    members = members_of(good)
    if name == "arrays.safetensors":
        members = listed(members, "params.json", b"{}")
    refused(write(tmp_path / "a.zip", listed(members, name, data)), part)
