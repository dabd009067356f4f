"""An archive or a checkpoint of the earlier implementation as a bundle."""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.bundle.archive import EARLIER_MANIFEST, Members, opened_members
from ptychopinn.bundle.content import MODELS, PROBE, Bundle, Origin
from ptychopinn.bundle.legacy.keras import read_keras
from ptychopinn.bundle.legacy.layout import Layout
from ptychopinn.bundle.legacy.lightning import layout_of, read_torch
from ptychopinn.bundle.legacy.pickled import read_pickle
from ptychopinn.bundle.legacy.settings import recipe_of, settings_of, trained_probe
from ptychopinn.bundle.manifest import Manifest
from ptychopinn.bundle.params import storable_params
from ptychopinn.bundle.recognise import GZIP, is_checkpoint
from ptychopinn.data.io.door import first_bytes
from ptychopinn.data.io.memory import check_memory
from ptychopinn.errors import BundleError, ScanError
from ptychopinn.models.beam import parts_of

MOST_MANIFEST_BYTES = 2**16
MOST_SETTINGS_BYTES = 2**29
"""Of `params.dill`, which holds the probe: 30 modes of 1024 x 1024."""
MOST_WEIGHTS_BYTES = 2**31
MOST_EXPANSION = 20
"""Largest ratio of a checkpoint to its gzip file; weights in float32 shrink to 0.9 of their size, truncated ones to
0.4."""
_CONFIGS = ("model_config", "data_config", "training_config")


@final
@dataclass(frozen=True)
class _Read:
    """What was read of a file."""

    layout: Layout
    params: Mapping[str, Any]
    names: tuple[str, ...]
    origin: Origin
    version: str


def earlier_configs(file: Path) -> dict[str, Any]:
    """The configurations that a checkpoint of the earlier implementation holds, as plain values by name.

    Empty for any other checkpoint.

    Raises:
        BundleError: it is damaged, or holds Python objects.
    """
    hyper = read_torch(_checkpoint_bytes(file, str(file)), str(file)).get("hyper_parameters")
    if not isinstance(hyper, dict) or not all(isinstance(hyper.get(name), dict) for name in _CONFIGS):
        return {}
    return {name: value for name, value in hyper.items() if name.endswith("_config")}


def read_earlier(file: Path) -> Bundle:
    """The bundle of an earlier archive or checkpoint; nothing in it is executed.

    Its weights have the names, and its recipe the settings, of our own model with the same layers. `manifest.files` is
    empty: earlier archives have no hashes.

    Raises:
        BundleError: it is damaged, holds anything but numbers, texts and arrays, or a network that is not known.
    """
    where = str(file)
    read = _checkpoint(file, where) if not file.is_dir() and is_checkpoint(file) else _archive(file, where)
    settings = settings_of(read.params, where)
    probe, has_probe = trained_probe(read.params, settings, where)
    recipe = recipe_of(settings, read.layout, probe, has_probe, where)
    params = {
        **storable_params(read.params)[0],
        "intensity_scale": settings.intensity_scale,
        "N": settings.size,
    }
    return Bundle(
        recipe=recipe,
        state=_whole_state(read.layout, probe, recipe.fitted.input_deviation if recipe.fitted else 1.0),
        probe=probe,
        manifest=Manifest(models=read.names, package_version=read.version, created_utc="", files={}),
        params={key: value for key, value in params.items() if key != PROBE or has_probe},
        path=file,
        origin=read.origin,
    )


def _archive(file: Path, where: str) -> _Read:
    with opened_members(file) as members:
        manifest = read_pickle(members.read(EARLIER_MANIFEST, MOST_MANIFEST_BYTES), f"{where}: {EARLIER_MANIFEST}")
        names = _names(manifest, where)
        name = MODELS[1] if MODELS[1] in names else names[0]
        params = read_pickle(members.read(f"{name}/params.dill", MOST_SETTINGS_BYTES), f"{where}: {name}/params.dill")
        if not isinstance(params, dict):
            raise BundleError(f"{where}: {name}/params.dill holds no dictionary; the archive is refused")
        backend, layout = _layout(members, name, params, where)
    title = "TensorFlow" if backend == "tensorflow" else "PyTorch"
    origin = Origin(backend, f"{title} archive of the earlier implementation")
    return _Read(layout, params, names, origin, f"earlier, archive version {manifest.get('version', 'unknown')}")


def _names(manifest: Any, where: str) -> tuple[str, ...]:
    """The models that an archive holds."""
    names = manifest.get("models") if isinstance(manifest, dict) else None
    if not isinstance(names, list) or not names or not set(map(str, names)) <= set(MODELS):
        raise BundleError(
            f"{where}: {EARLIER_MANIFEST} lists no models; must be some of {', '.join(MODELS)}, copy the archive again"
        )
    return tuple(str(name) for name in names)


def _layout(
    members: Members, name: str, params: Mapping[str, Any], where: str
) -> tuple[Literal["pytorch", "tensorflow"], Layout]:
    weights, network = f"{name}/model.pth", f"{name}/model.keras"
    if weights in members:
        state = read_torch(members.read(weights, MOST_WEIGHTS_BYTES), f"{where}: {weights}")
        activation, border = str(params.get("amp_activation", "silu")), params.get("probe.big", True)
        return "pytorch", layout_of(state, activation, bool(border), f"{where}: {weights}")
    if network in members:
        return "tensorflow", read_keras(members.read(network, MOST_WEIGHTS_BYTES), f"{where}: {network}")
    raise BundleError(
        f"{where}: holds neither {network} nor {weights}; archives from before Keras 3 are not read, save the model "
        "again with the last release of the earlier implementation"
    )


def _checkpoint(file: Path, where: str) -> _Read:
    values = read_torch(_checkpoint_bytes(file, where), where)
    hyper, state = values.get("hyper_parameters"), values.get("state_dict")
    if not isinstance(hyper, dict) or not isinstance(state, dict):
        raise BundleError(f"{where}: is a file of weights, but no checkpoint of a model; give a .ckpt of a training")
    if not all(isinstance(hyper.get(name), dict) for name in _CONFIGS):
        raise BundleError(
            f"{where}: is a checkpoint, but not one of the earlier implementation; give the wts.h5.zip of the training"
        )
    model, data, training = (hyper[name] for name in _CONFIGS)
    layout = layout_of(state, str(model.get("amp_activation", "silu")), bool(model.get("probe_big", True)), where)
    origin = Origin("pytorch", "Lightning checkpoint of the earlier implementation")
    version = f"earlier, Lightning {values.get('pytorch-lightning_version', 'unknown')}"
    return _Read(layout, _checkpoint_settings(model, data, training, where), MODELS, origin, version)


def _checkpoint_settings(
    model: Mapping[str, Any], data: Mapping[str, Any], training: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """The settings of a checkpoint under the names of an archive's.

    A checkpoint holds no scale of the input; under its rule `Parseval` the mean of the summed squares is N^2.
    """
    grid = data.get("grid_size")
    size, photons = data.get("N"), data.get("nphotons")
    if not isinstance(grid, list | tuple) or len(grid) != 2 or not isinstance(size, int) or size < 1:
        raise BundleError(f"{where}: its data_config holds no N and grid_size; give another checkpoint")
    if not isinstance(photons, int | float) or not photons > 0:
        raise BundleError(f"{where}: its data_config holds no positive nphotons; give another checkpoint")
    return {
        **{key: training[key] for key in ("epochs", "batch_size", "learning_rate") if key in training},
        "N": size,
        "gridsize": grid[0],
        "nphotons": photons,
        "intensity_scale": float(photons) ** 0.5 / size,
        "probe_scale": data.get("probe_scale"),
        "model_type": "supervised" if model.get("mode") == "Supervised" else "pinn",
        "object.big": bool(model.get("object_big", True)),
    }


def _checkpoint_bytes(file: Path, where: str) -> bytes:
    """The file, unpacked if gzip packed it, no more than `MOST_EXPANSION` times as large."""
    packed = file.stat().st_size
    is_gzip = first_bytes(file, 2) == GZIP
    limit = min(MOST_EXPANSION * packed, MOST_WEIGHTS_BYTES) if is_gzip else MOST_WEIGHTS_BYTES
    try:
        check_memory(packed, f"{where}: the checkpoint")
        with gzip.open(file) if is_gzip else file.open("rb") as stream:
            data: bytes = stream.read(limit + 1)
    except ScanError as error:
        raise BundleError(str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise BundleError(f"{where}: is truncated or damaged ({error}); copy it again") from None
    if len(data) > limit:
        raise BundleError(f"{where}: holds more than the {limit} bytes that are read of a checkpoint; it is refused")
    return data


def _whole_state(layout: Layout, probe: NDArray[np.complex64], deviation: float) -> dict[str, torch.Tensor]:
    """The weights of our own model: the network's, the probe's and those of the normalisation."""
    parts, unit = parts_of(torch.from_numpy(probe))
    return {
        "probe_parts": parts,
        "probe_unit": unit,
        "log_scale": torch.zeros(()),
        "generator.input_mean": torch.zeros(()),
        "generator.input_deviation": torch.tensor(deviation),
        **{f"generator.network.{name}": value for name, value in layout.state.items()},
    }
