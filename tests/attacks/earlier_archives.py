"""Archives in the layout of the earlier implementation, written by code of the tests alone."""

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators.registry import build_network

MODELS = ["autoencoder", "diffraction_to_obj"]


def network(architecture: str, *, width: int = 32, levels: int = 3, patterns: int = 1) -> torch.nn.Module:
    """A network with random weights."""
    torch.manual_seed(7)
    config = GeneratorConfig(
        architecture=architecture, input="relative_amplitude", output="polar", width=width, levels=levels
    )
    return build_network(patterns, 2 * patterns, config).eval()


def settings(**changes: Any) -> dict[str, Any]:
    """What `params.dill` holds, with a probe."""
    probe = np.exp(-(np.linspace(-2, 2, 64)[:, None, None] ** 2)) * np.ones((1, 64, 1), np.complex64)
    plain = {"N": 64, "gridsize": 1, "nphotons": 1e6, "intensity_scale": 31.25, "probe": probe.astype(np.complex64)}
    return {**plain, "amp_activation": "sigmoid", "model_type": "pinn", "object.big": True, **changes}


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tensorflow_members(
    net: torch.nn.Module | None = None, params: Mapping[str, Any] | None = None, version: str = "1.0"
) -> dict[str, bytes]:
    """The members of a TensorFlow archive."""
    keras = keras_file(net or network("legacy_cnn_tensorflow"))
    return _members({"model.keras": keras, "model.h5": b"ignored"}, params or settings(), version)


def pytorch_members(
    net: torch.nn.Module | None = None, params: Mapping[str, Any] | None = None, version: str = "2.0-pytorch"
) -> dict[str, bytes]:
    """The members of a PyTorch archive; it stores no probe."""
    stored = dict(params or settings())
    stored.pop("probe", None)
    weights = saved(pytorch_weights(net or network("legacy_cnn_pytorch")))
    return _members({"model.pth": weights}, stored, version)


def checkpoint(net: torch.nn.Module, **changes: Any) -> bytes:
    """A checkpoint of Lightning."""
    values = {
        "state_dict": pytorch_weights(net),
        "pytorch-lightning_version": "2.6.6",
        "hyper_parameters": {
            "model_config": {"amp_activation": "silu", "probe_big": True, "object_big": False},
            "data_config": {"N": 64, "nphotons": 1e6, "grid_size": [1, 1], "probe_scale": 4.0},
            "training_config": {"epochs": 1},
            "inference_config": {},
        },
        **changes,
    }
    return saved(values)


def saved(values: Any) -> bytes:
    """A file of torch.save."""
    stream = io.BytesIO()
    torch.save(values, stream)
    return stream.getvalue()


def _members(model: Mapping[str, bytes], params: Mapping[str, Any], version: str) -> dict[str, bytes]:
    found = {"manifest.dill": pickle.dumps({"models": MODELS, "version": version}, protocol=4)}
    for name in MODELS:
        found |= {f"{name}/{part}": data for part, data in model.items()}
        found[f"{name}/params.dill"] = pickle.dumps(dict(params), protocol=4)
    found[f"{MODELS[0]}/custom_objects.dill"] = b"cos\nsystem\n."
    return found


def written(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """The archive as a file."""
    path.write_bytes(zipped(members, method))
    return path


_LAYERS = (
    ("attention.squeeze", "attention.ChannelGate.mlp.1"),
    ("attention.excite", "attention.ChannelGate.mlp.3"),
    ("attention.place", "attention.SpatialGate.compress"),
    ("border_block.first", "conv_up_block.conv1"),
    ("border_block.second", "conv_up_block.conv2"),
    (".first", ".conv1"),
    (".second", ".conv2"),
    (".centre", ".conv1"),
    (".border", ".conv2"),
)


def pytorch_weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights under the names of the earlier module."""
    return {"model.forward_model.alpha": torch.ones(1)} | {
        _earlier_name(name): value.clone() for name, value in net.state_dict().items()
    }


def _earlier_name(name: str) -> str:
    branch, _, rest = name.partition(".")
    for ours, theirs in _LAYERS:
        if ours in name:
            rest = f".{rest}".replace(ours if ours.startswith(".") else f".{ours}", f".{theirs.lstrip('.')}")[1:]
            break
    if branch == "encoder":
        return f"model.autoencoder.encoder.blocks.{rest}"
    short = {"amplitude": "amp", "phase": "phase"}[branch]
    inner = rest if rest.startswith("blocks.") else f"{short}.{rest}"
    return f"model.autoencoder.decoder_{short}.{inner}"


def convolutions(net: torch.nn.Module) -> list[str]:
    """The convolutions in the order in which the earlier implementation made them."""
    levels = len(net.encoder)
    names = [f"encoder.{level}.{part}" for level in range(levels) for part in ("first", "second")]
    for branch in ("amplitude", "phase"):
        names += [f"{branch}.centre", f"{branch}.border"]
        names += [f"{branch}.blocks.{block}.{part}" for block in range(levels - 1) for part in ("first", "second")]
        names += [f"{branch}.border_block.first", f"{branch}.border_block.second"]
    return names


def keras_file(
    net: torch.nn.Module, extra: tuple[dict[str, Any], ...] = (), weights: bytes | None = None, offset: int = 0
) -> bytes:
    """A `.keras` file: layers in another order than they were made, as Keras sorts them.

    Args:
        net: its weights.
        extra: further layers of the configuration.
        weights: the HDF5 member instead of that of the network.
        offset: number of the first convolution in the session that made it.
    """
    made = convolutions(net)
    title = {name: f"conv2d{f'_{k + offset}' if k + offset else ''}" for k, name in enumerate(made)}
    heads = [name for name in made if name.endswith((".centre", ".border"))]
    order = [name for name in made if name not in heads and name.startswith("encoder")]
    decoders = [[name for name in made if name not in heads and name.startswith(b)] for b in ("amplitude", "phase")]
    order += [name for pair in zip(*decoders, strict=True) for name in pair] + heads[::-1]
    layers = [_entry("Conv2D", title[name], []) for name in order]
    layers.append(_entry("ActivationLayer", "amp", [title["amplitude.centre"]], activation_name="sigmoid"))
    layers.append(_entry("ActivationLayer", "phi", [title["phase.centre"]], activation_name="tanh"))
    config = {"class_name": "Functional", "config": {"layers": [*layers, *extra]}}
    data = _hdf5(net, order) if weights is None else weights
    return zipped({"metadata.json": b"{}", "config.json": json.dumps(config).encode(), "model.weights.h5": data})


def _entry(kind: str, name: str, inputs: list[str], **config: Any) -> dict[str, Any]:
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [one, 0, 0]}} for one in inputs]
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": [{"args": tensors, "kwargs": {}}]}


def lambda_layer() -> dict[str, Any]:
    """A layer that is code."""
    return _entry("Lambda", "innocent", [], function={"class_name": "__lambda__", "config": {"code": "4wEA"}})


def _hdf5(net: torch.nn.Module, order: list[str]) -> bytes:
    state, stream = net.state_dict(), io.BytesIO()
    with h5py.File(stream, "w") as file:
        for k, name in enumerate(order):
            group = file.create_group(f"layers/conv2d{f'_{k}' if k else ''}/vars")
            group["0"] = state[f"{name}.weight"].permute(2, 3, 1, 0).contiguous().numpy()
            group["1"] = state[f"{name}.bias"].numpy()
    return stream.getvalue()
