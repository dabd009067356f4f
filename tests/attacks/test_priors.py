"""Hostile files of priors: `--prior` and `info` end in one sentence, with little memory, and nothing is executed."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attempts import attempt, attempt_all

from ptychopinn.api.prior_info import prior_rows
from ptychopinn.api.prior_use import prior_of
from ptychopinn.config import Recipe


def packed(header: object, data: bytes) -> bytes:
    """Safetensors with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def hostile_bytes(sound: bytes, canary: object) -> dict[str, bytes]:
    """Whole files, by name."""
    size = struct.unpack("<Q", sound[:8])[0]
    header, data = json.loads(sound[8 : 8 + size]), sound[8 + size :]
    text, first = header["__metadata__"]["prior"], header["first.weight"]
    parts = json.loads(text)

    def with_text(changed: str) -> bytes:
        return packed({**header, "__metadata__": {"prior": changed}}, data)

    def with_recipe(**changes: object) -> bytes:
        return with_text(json.dumps({**parts, "recipe": {**parts["recipe"], **changes}}))

    def with_record(**changes: object) -> bytes:
        return with_text(json.dumps({**parts, "record": {**parts["record"], **changes}}))

    def with_first(**changes: object) -> bytes:
        return packed({**header, "first.weight": {**first, **changes}}, data)

    return {
        "empty": b"",
        "text": b"a prior",
        "pickle": pickle.dumps(canary),
        "archive": b"PK\x03\x04" + bytes(60),
        "truncated header": sound[: size // 2],
        "truncated data": sound[:-4],
        "longer data": sound + bytes(4),
        "nan": sound[:-4] + np.float32(np.nan).tobytes(),
        "infinite": sound[:-4] + np.float32(np.inf).tobytes(),
        "header of an exabyte": struct.pack("<Q", 2**62) + b"{}",
        "deep header": packed(b"[" * 100_000, b""),
        "header that is no mapping": packed([1, 2], b""),
        "no tensors": packed({"__metadata__": header["__metadata__"]}, b""),
        "no texts": packed({name: part for name, part in header.items() if name != "__metadata__"}, data),
        "texts that are none": packed({**header, "__metadata__": {"prior": 1}}, data),
        "text of half a letter": with_text("\ud800"),
        "text that is no mapping": with_text("[1, 2]"),
        "no recipe": with_text('{"record": {}}'),
        "shape of other weights": with_first(shape=[*reversed(first["shape"])]),
        "shape that overflows": with_first(shape=[2**62, 2**62]),
        "negative shape": with_first(shape=[-1, 8, 3, 3]),
        "offsets beyond the file": with_first(data_offsets=[0, 2**40]),
        "integers": with_first(dtype="I32"),
        "names": packed(
            {**header, "\x1b[2J" + 1000 * "A": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}, data
        ),
        "huge recipe": with_recipe(width=10**9, levels=10**9),
        "largest recipe": with_recipe(width=64, levels=5, blocks=4),
        "recipe of nan": with_recipe(noise_floor=float("nan")),
        "recipe of digits": with_text('{"recipe": {"width": ' + 5000 * "9" + "}}"),
        "deep text": with_text("[" * 100_000),
        "unknown setting": with_recipe(**{"\x1b[2J" + 1000 * "B": 1}),
        "deep record": with_text('{"record": {"settings": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}}"),
        "long record": with_record(trained_on=10_000 * "C"),
    }


def test_hostile_priors(
    smoothing_prior: Path, tmp_path: Path, canary: object, record_property: Callable[[str, object], None]
) -> None:
    attacks = {
        "device": Path("/dev/zero"),
        "folder": tmp_path,
        "absent": tmp_path / "absent",
        "pipe": tmp_path / "pipe",
    }
    os.mkfifo(attacks["pipe"])
    for name, data in hostile_bytes(smoothing_prior.read_bytes(), canary).items():
        attacks[name] = tmp_path / f"{name}.safetensors"
        attacks[name].write_bytes(data)
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(2**40)
    attacks["sparse"] = tmp_path / "sparse"
    assert attempt(lambda: prior_of(asking_for(smoothing_prior))).kind == "result"
    record_property("attacks", ["priors", 2 * len(attacks)])
    works = [lambda path=path: prior_of(asking_for(path)) for path in attacks.values()]
    works += [lambda path=path: prior_rows(path) for path in attacks.values()]
    outcomes = attempt_all(works)
    named = zip([*attacks, *attacks], outcomes, strict=True)
    assert [f"{name}: {found}" for name, found in named if found.kind != "sentence" or not found.is_safe] == []


@pytest.mark.parametrize("depth", [50, 500])
def test_a_nested_record_of_any_text_can_be_shown(smoothing_prior: Path, tmp_path: Path, depth: int) -> None:
    sound = smoothing_prior.read_bytes()
    size = struct.unpack("<Q", sound[:8])[0]
    header = json.loads(sound[8 : 8 + size])
    nested = '{"\\ud800[red]": ' * depth + '"\\ud800\\u001b[2J"' + "}" * depth
    recipe = json.dumps(json.loads(header["__metadata__"]["prior"])["recipe"])
    header["__metadata__"]["prior"] = f'{{"recipe": {recipe}, "record": {{"scores": {nested}}}}}'
    path = tmp_path / "nested.safetensors"
    path.write_bytes(packed(header, sound[8 + size :]))
    outcome = attempt(lambda: prior_rows(path))
    assert outcome.is_safe
    if outcome.kind == "result":
        assert all(text.isprintable() for row in prior_rows(path) for text in row)


def asking_for(path: Path) -> Recipe:
    """A recipe with this prior."""
    return Recipe().with_overrides([f"reconstruction.prior={json.dumps(str(path))}"])
