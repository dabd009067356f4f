"""Save a trained model as one file and load it again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.bundle.archive import MAX_JSON_BYTES, read_archive, write_archive
from ptychopinn.bundle.content import MODELS, PROBE, Bundle
from ptychopinn.bundle.layouts import to_pytorch, to_tensorflow
from ptychopinn.bundle.legacy import read_earlier
from ptychopinn.bundle.manifest import (
    ARRAYS,
    BUNDLE_NAME,
    MANIFEST,
    OPTIMIZER,
    PARAMS,
    RECIPE,
    WEIGHTS_OF,
    Manifest,
    parse_json,
)
from ptychopinn.bundle.params import PREFIX, join_params, split_params
from ptychopinn.bundle.recognise import bundle_file, is_earlier
from ptychopinn.bundle.tensors import pack_arrays, pack_tensors, unpack_arrays, unpack_tensors
from ptychopinn.config import Recipe
from ptychopinn.config.backend import Backend
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.errors import BundleError, ConfigError, shown


def save_bundle(
    path: str | Path,
    *,
    recipe: Recipe,
    state: Mapping[str, torch.Tensor],
    probe: NDArray[Any],
    arrays: Mapping[str, NDArray[Any]] | None = None,
    params: Mapping[str, Any] | None = None,
    models: tuple[str, ...] = MODELS,
    optimizer: Mapping[str, torch.Tensor] | None = None,
    backends: Sequence[Backend] = (),
) -> Path:
    """Write a bundle beside the target and rename it: an interrupted save leaves an older bundle whole.

    Args:
        path: The file, or a folder that shall hold `wts.h5.zip`.
        recipe: What the model was trained with, fitted statistics included; in the bundle our own engine runs it.
        state: `module.state_dict()`.
        probe: (M, H, W), complex, sqrt(photons).
        arrays: Further arrays by name; not `probe`, and no name that begins with `params/`.
        params: A client's dictionary; arrays in it move to the file of arrays.
        models: Names under which clients ask for the model.
        optimizer: Flat tensors of the optimiser's state.
        backends: Whose weights are written, the one that runs the model first; that of the recipe by default.

    Returns:
        The file written.

    Raises:
        BundleError: a value that a bundle cannot hold.
        OutputError: the file cannot be written.
    """
    target = Path(path) / BUNDLE_NAME if Path(path).is_dir() else Path(path)
    text, moved = split_params(params or {})
    named = {PROBE: _checked_probe(probe), **_checked_arrays(arrays or {}), **moved}
    members = {
        RECIPE: _portable(recipe).to_json().encode(),
        PARAMS: _checked_size(text),
        ARRAYS: pack_arrays(named),
    }
    backends = tuple(backends) or (recipe.backend,)
    for backend in backends:
        members[WEIGHTS_OF[backend]] = pack_tensors(state if backend == "pytorch" else to_tensorflow(state))
    if optimizer is not None:
        members[OPTIMIZER] = pack_tensors(optimizer)
    manifest = Manifest.describe(members, tuple(models), backends)
    with atomic_path(target) as temporary:
        write_archive(temporary, {MANIFEST: manifest.model_dump_json(indent=2).encode(), **members})
    return target


def _portable(recipe: Recipe) -> Recipe:
    """The recipe with the engine that every machine has; the weights are the same."""
    engine = recipe.model.generator.spectral
    return recipe if engine == "own" else recipe.with_overrides(["model.generator.spectral=own"])


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle after its names, sizes and hashes were checked; nothing in it is executed.

    Archives and checkpoints of the earlier implementation are read as well, see `ptychopinn.bundle.legacy`.

    Args:
        path: The file, the folder that holds `wts.h5.zip`, or a folder with the unpacked members of one.

    Raises:
        BundleError: the file is missing, damaged, changed, of a newer major version, or of another backend.
    """
    file = bundle_file(path)
    if is_earlier(file):
        earlier = read_earlier(file)
        _finite(earlier.state, file)
        return earlier
    manifest, members = read_archive(file)
    arrays = unpack_arrays(members[ARRAYS], f"{file}: {ARRAYS}")
    params = join_params(parse_json(members[PARAMS], str(file), PARAMS), arrays, f"{file}: {PARAMS}")
    optimizer = members.get(OPTIMIZER)
    states = {backend: _state(backend, members[name], file) for backend, name in manifest.weights.items()}
    return Bundle(
        recipe=_read_recipe(members[RECIPE], manifest, file),
        state=states[manifest.backend],
        states=states,
        probe=_taken_probe(arrays, file),
        manifest=manifest,
        arrays=arrays,
        params=params,
        optimizer=None if optimizer is None else unpack_tensors(optimizer, f"{file}: {OPTIMIZER}"),
        path=file,
    )


def _checked_probe(probe: NDArray[Any]) -> NDArray[np.complex64]:
    value = np.asarray(probe)
    if value.ndim != 3 or value.dtype.kind not in "fc":
        raise BundleError(f"probe has shape {value.shape} and type {value.dtype}; must be complex (M, H, W)")
    return value.astype(np.complex64)


def _checked_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for name in arrays:
        if name == PROBE or name.startswith(PREFIX):
            raise BundleError(f"array name {name!r} is reserved in a bundle; use another name")
    return dict(arrays)


def _checked_size(text: str) -> bytes:
    data = text.encode()
    if len(data) > MAX_JSON_BYTES:
        raise BundleError(
            f"params: {len(data)} bytes of JSON are more than the {MAX_JSON_BYTES} of a bundle; "
            "give long lists as numpy arrays"
        )
    return data


def _read_recipe(data: bytes, manifest: Manifest, file: Path) -> Recipe:
    tree = parse_json(data, str(file), RECIPE)
    try:
        return Recipe.from_mapping(tree, RECIPE)
    except ConfigError as error:
        raise BundleError(
            f"{file}: was written by ptychopinn {shown(manifest.package_version)} and its recipe does not fit "
            f"this version ({shown(error)}); load it with the version that wrote it"
        ) from None


def _taken_probe(arrays: dict[str, NDArray[Any]], file: Path) -> NDArray[np.complex64]:
    probe = arrays.pop(PROBE, None)
    if probe is None or probe.ndim != 3 or probe.dtype != np.complex64:
        raise BundleError(f"{file}: {ARRAYS} holds no complex probe of shape (M, H, W); the bundle is damaged")
    if probe.size == 0 or not np.isfinite(probe).all() or not probe.any():
        raise BundleError(
            f"{file}: its probe must have modes and pixels, finite and not all 0, got {probe.shape}; train again"
        )
    return probe


def _state(backend: Backend, data: bytes, file: Path) -> dict[str, torch.Tensor]:
    """The weights of a backend by their names in PyTorch."""
    stored = _finite(unpack_tensors(data, f"{file}: {WEIGHTS_OF[backend]}"), file)
    return stored if backend == "pytorch" else to_pytorch(stored)


def _finite(state: dict[str, torch.Tensor], file: Path) -> dict[str, torch.Tensor]:
    """The weights, none of which is NaN or infinite."""
    broken = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise BundleError(
            f"{file}: the weights must be finite numbers, got NaN or infinity in {shown(', '.join(broken))}; train the "
            "model again"
        )
    return state
