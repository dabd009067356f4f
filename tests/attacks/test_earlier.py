"""Hostile archives of the earlier implementation are refused in one sentence, and nothing of them runs."""

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import earlier_archives as earlier
import h5py
import numpy as np
import pytest
import torch
from attempts import attempt_all
from corpus import Attack

from ptychopinn.api.model_files import load_model
from ptychopinn.bundle.legacy import pickled
from ptychopinn.bundle.legacy.pickled import read_pickle
from ptychopinn.errors import BundleError

NAME = "diffraction_to_obj"
KERAS, SETTINGS, WEIGHTS = f"{NAME}/model.keras", f"{NAME}/params.dill", f"{NAME}/model.pth"
MANIFEST = "manifest.dill"


def small(architecture: str) -> torch.nn.Module:
    """A network of few weights, so that many archives are soon written."""
    return earlier.network(architecture, width=16, levels=2)


@pytest.fixture(scope="module")
def tensorflow() -> dict[str, bytes]:
    """The members of a sound TensorFlow archive."""
    return earlier.tensorflow_members(small("legacy_cnn_tensorflow"))


@pytest.fixture(scope="module")
def pytorch() -> dict[str, bytes]:
    """The members of a sound PyTorch archive."""
    return earlier.pytorch_members(small("legacy_cnn_pytorch"))


def state_of_array(shape: tuple[int, ...], kind: str, data: Any) -> bytes:
    """A pickle of an array that says something else of itself than its bytes."""
    made = pickle.dumps({"probe": np.zeros(3, np.uint8)}, protocol=4)
    head = made[: made.index(b"\x8c\x05probe")] + b"\x8c\x05probe"
    text = kind.encode()
    array = (
        b"\x8c\x16numpy._core.multiarray\x8c\x0c_reconstruct\x93\x8c\x05numpy\x8c\x07ndarray\x93K\x00\x85C\x01b\x87R"
    )
    dtype = b"\x8c\x05numpy\x8c\x05dtype\x93\x8c" + bytes([len(text)]) + text + b"\x89\x88\x87R"
    sides = b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", side) for side in shape) + b"t"
    state = b"(K\x01" + sides + dtype + b"\x89" + pickle.dumps(data, protocol=4)[2:-1].replace(b"\x94", b"") + b"t"
    return head.replace(b"\x95", b"\x95", 1)[:2] + b"}\x8c\x05probe" + array + state + b"bs."


def pickles(canary: Any) -> dict[str, bytes]:
    """Settings that would run something, or stand for far more than they hold."""
    laughs = b"\x80\x04(]\x94" + b"".join(b"]\x94(" + 10 * (b"h" + bytes([level])) + b"e\x94" for level in range(60))
    return {
        "command": pickle.dumps({"probe": canary}, protocol=4),
        "command in protocol 0": pickle.dumps(canary, protocol=0),
        "command in protocol 2": pickle.dumps({"N": canary}, protocol=2),
        "os.system": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
        "eval": b"\x80\x04cbuiltins\neval\n\x8c\x01" + b"1\x85R.",
        "import": b"\x80\x04\x8c\x0aptychopinn\x8c\x08__name__\x93.",
        "attribute of numpy": b"\x80\x04\x8c\x05numpy\x8c\x04load\x93\x8c\x01x\x85R.",
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x13ndarray.__class__.x\x93.",
        "instance": b"\x80\x02(cos\nsystem\no.",
        "old instance": b"\x80\x02(ios\nsystem\n.",
        "new object": b"\x80\x02\x8c\x05numpy\x8c\x07ndarray\x93)\x81.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"\x80\x02Pname\n.",
        "buffer": b"\x80\x05\x97.",
        "build of a list": b"\x80\x04]}b.",
        "call of a text": b"\x80\x04\x8c\x01a)R.",
        "array as function": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93K\x01\x85R.",
        "objects": state_of_array((1,), "O8", b""),
        "record": state_of_array((1,), "i4,i4", bytes(8)),
        "more than its bytes": state_of_array((2**40, 2**20), "f8", bytes(8)),
        "negative": state_of_array((-1,), "u1", b""),
        "text as bytes": state_of_array((1,), "u1", "a"),
        "long number": b"\x80\x04\x8a\xff" + bytes(254) + b"\x7f.",
        "longer number": b"\x80\x04\x8b" + struct.pack("<i", 2**30) + b"1.",
        "decimal": b"L" + b"9" * 200_000 + b"L\n.",
        "billion lists": laughs + b"t.",
        "deep": b"\x80\x04" + b"]" * 5000 + b"a" * 4999 + b".",
        "itself": b"\x80\x04]\x94h\x00a.",
        "many": b"\x80\x04(" + b"N" * 400_000 + b"t.",
        "empty": b"",
        "no end": b"\x80\x04}",
        "two values": b"\x80\x04}}.",
        "empty stack": b"\x80\x04.",
        "pop of nothing": b"\x80\x04a.",
        "no mark": b"\x80\x04e.",
        "memo": b"\x80\x04h\x07.",
        "mark as value": b"\x80\x04(.",
        "function as value": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93.",
        "list as key": b"\x80\x04}]K\x01s.",
        "odd items": b"\x80\x04}(K\x01u.",
        "truncated": pickle.dumps(earlier.settings(), protocol=4)[:-400],
        "text": b"no pickle at all",
        "list": pickle.dumps([1]),
        "surrogate": b"\x80\x04}\x8c\x03\xed\xa0\x80K\x01s.",
    }


def keras_files() -> dict[str, bytes]:
    """Networks with code in them, or of another size or kind than they say."""
    net = small("legacy_cnn_tensorflow")
    sound = earlier.keras_file(net)
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    unknown = {**earlier.lambda_layer(), "class_name": "TFOpLambda"}
    return {
        "lambda": earlier.keras_file(net, (earlier.lambda_layer(),)),
        "unknown layer": earlier.keras_file(net, (unknown,)),
        "more convolutions": earlier.keras_file(net, ({**unknown, "class_name": "Conv2D"},)),
        "no zip": b"PK\x03\x04 and no more",
        "truncated": sound[: len(sound) // 2],
        "no weights": earlier.zipped({name: parts[name] for name in ("config.json", "metadata.json")}),
        "no configuration": earlier.zipped({"model.weights.h5": parts["model.weights.h5"]}),
        "text as configuration": earlier.zipped({**parts, "config.json": b"text"}),
        "list as configuration": earlier.zipped({**parts, "config.json": b"[]"}),
        "deep configuration": earlier.zipped({**parts, "config.json": b"[" * 100_000}),
        "deep nodes": earlier.zipped({**parts, "config.json": _deep_nodes()}),
        "text as weights": earlier.zipped({**parts, "model.weights.h5": b"text"}),
        "half of the weights": earlier.zipped({**parts, "model.weights.h5": parts["model.weights.h5"][:9000]}),
        "external": earlier.zipped({**parts, "model.weights.h5": _hdf5(_external)}),
        "link": earlier.zipped({**parts, "model.weights.h5": _hdf5(_linked)}),
        "bomb of chunks": earlier.zipped({**parts, "model.weights.h5": _hdf5(_chunked)}),
        "bomb": earlier.zipped({**parts, "model.weights.h5": bytes(600_000_000)}),
        "path": earlier.zipped({**parts, "../../canary": b"x"}),
    }


def _deep_nodes() -> bytes:
    node = b'{"a":' * 900 + b"1" + b"}" * 900
    return b'{"config": {"layers": [{"name": "a", "class_name": "Conv2D", "config": {}, "inbound_nodes": %s}]}}' % node


def _hdf5(fill: Callable[[h5py.Group], None]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file.create_group("layers/conv2d/vars"))
    return stream.getvalue()


def _external(group: h5py.Group) -> None:
    group.create_dataset("0", (3, 3, 1, 32), "f4", external=[("/etc/passwd", 0, 1152)])


def _linked(group: h5py.Group) -> None:
    group["0"] = h5py.ExternalLink("/etc/hostname", "/x")


def _chunked(group: h5py.Group) -> None:
    group.create_dataset("0", (3, 3, 60_000, 60_000), "f4", chunks=(3, 3, 100, 100), compression="gzip")


def weight_files(canary: Any, folder: Path) -> dict[str, bytes]:
    """Files of weights of PyTorch with code, or of other tensors than the network's."""
    from corpus import pickled_checkpoint

    net = small("legacy_cnn_pytorch")
    state = earlier.pytorch_weights(net)
    first = next(name for name in state if "encoder" in name)
    sound = earlier.saved(state)
    return {
        "command": pickled_checkpoint(folder / "pickle", canary).read_bytes(),
        "packed command": pickled_checkpoint(folder / "packed", canary, zipfile.ZIP_DEFLATED).read_bytes(),
        "old pickle": pickle.dumps(canary),
        "truncated": sound[: len(sound) // 2],
        "no tensor": earlier.saved({**state, first: "text"}),
        "expanded": earlier.saved({**state, first: torch.zeros(1).expand(2**40, 1, 3, 3)}),
        "other shape": earlier.saved({**state, first: torch.zeros(16, 2, 3, 3)}),
        "lacks one": earlier.saved({name: value for name, value in state.items() if name != first}),
        "has one more": earlier.saved({**state, "model.autoencoder.decoder_shared.eca.conv.weight": torch.ones(1)}),
        "another network": earlier.saved({"model.generator.lifter.conv1.weight": torch.ones(1)}),
        "list": earlier.saved([1]),
        "NaN": earlier.saved({**state, first: torch.full_like(state[first], torch.nan)}),
    }


def attacks(folder: Path, canary: Any, tensorflow: dict, pytorch: dict) -> Iterator[Attack]:
    """Every one of them as an archive."""
    for name, data in pickles(canary).items():
        for member in (SETTINGS, MANIFEST):
            file = folder / f"{member.partition('.')[0].replace('/', ' ')} {name}.zip"
            yield f"{member} {name}", earlier.written(file, {**tensorflow, member: data}), True
    for name, data in keras_files().items():
        yield f"keras {name}", earlier.written(folder / f"keras {name}.zip", {**tensorflow, KERAS: data}), True
    for name, data in weight_files(canary, folder).items():
        yield f"pth {name}", earlier.written(folder / f"pth {name}.zip", {**pytorch, WEIGHTS: data}), True
        (folder / f"{name}.ckpt").write_bytes(data)
        yield f"ckpt {name}", folder / f"{name}.ckpt", True
    for name in ("../canary", "/tmp/canary", "a\\b", "diffraction_to_obj/../../canary"):
        file = folder / f"path {name.replace('/', ' ')}.zip"
        yield f"path {name}", earlier.written(file, {**tensorflow, name: b"x"}), True
    yield (
        "bomb",
        earlier.written(folder / "bomb.zip", {**tensorflow, SETTINGS: bytes(800_000_000)}, zipfile.ZIP_DEFLATED),
        True,
    )
    for missing in (SETTINGS, KERAS):
        rest = {name: data for name, data in tensorflow.items() if name != missing}
        yield f"without {missing}", earlier.written(folder / f"without {missing[19:]}.zip", rest), True
    whole = earlier.zipped(tensorflow)
    (folder / "half.zip").write_bytes(whole[: len(whole) // 2])
    yield "half", folder / "half.zip", True
    place = whole.index(SETTINGS.encode()) + 200
    (folder / "flipped.zip").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    yield "wrong checksum", folder / "flipped.zip", True
    (folder / "bomb.ckpt.gz").write_bytes(gzip.compress(bytes(300_000_000)))
    yield "gzip bomb", folder / "bomb.ckpt.gz", True
    (folder / "half.ckpt.gz").write_bytes(gzip.compress(earlier.saved({"a": torch.ones(1000)}))[:-20])
    yield "half of a gzip file", folder / "half.ckpt.gz", True


def test_hostile_archives(
    tmp_path: Path, canary: Any, tensorflow: dict, pytorch: dict, record_property: Callable[[str, object], None]
) -> None:
    listed = list(attacks(tmp_path, canary, tensorflow, pytorch))
    outcomes = attempt_all([lambda path=path: load_model(path) for _, path, _ in listed])
    bad = [
        f"{name}: {outcome}"
        for (name, _, _), outcome in zip(listed, outcomes, strict=True)
        if not outcome.is_safe or outcome.kind != "sentence"
    ]
    record_property("attacks", ["earlier archives", len(listed)])
    assert bad == []
    assert len(listed) == len({path for _, path, _ in listed}) >= 130


def test_what_is_attacked_is_sound_itself(tmp_path: Path, tensorflow: dict, pytorch: dict) -> None:
    for members in (tensorflow, pytorch):
        load_model(earlier.written(tmp_path / "sound.zip", members))


@pytest.mark.parametrize(
    ("attack", "sentence"),
    [
        ("command", r"names (posix|pathlib|os|subprocess|builtins|[a-z_.]+)\..*nothing of it was run"),
        ("os.system", "names os.system, which is not an array of numbers; nothing of it was run"),
        ("new object", "the instruction NEWOBJ"),
        ("objects", "no type of numbers"),
        ("billion lists", "stands for more than"),
        ("many", "more than .* instructions"),
    ],
)
def test_pickles_are_refused_by_name(canary: Any, attack: str, sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        read_pickle(pickles(canary)[attack], "archive.zip: params.dill")


def test_a_lambda_layer_is_refused_by_name(tmp_path: Path, tensorflow: dict) -> None:
    file = earlier.written(tmp_path / "a.zip", {**tensorflow, KERAS: keras_files()["lambda"]})
    with pytest.raises(BundleError, match=r"the layer innocent is of the kind Lambda.*is code"):
        load_model(file)


def test_no_global_is_ever_imported() -> None:
    """The reader has no way to look a name up: it imports neither `pickle` nor `importlib`."""
    assert not {"pickle", "importlib", "dill"} & set(vars(pickled))


def test_settings_changed_at_random_end_in_a_sentence(canary: Any) -> None:
    """Single bytes of sound settings, changed, removed and doubled."""
    sound, rng = pickle.dumps(earlier.settings(), protocol=4), np.random.default_rng(5)
    for _ in range(3000):
        place, how = int(rng.integers(len(sound))), int(rng.integers(3))
        byte = bytes([int(rng.integers(256))])
        data = sound[:place] + (byte, b"", byte + sound[place : place + 1])[how] + sound[place + 1 :]
        with suppress(BundleError):
            read_pickle(data, "archive.zip: params.dill")
