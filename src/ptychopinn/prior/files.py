"""Priors as files: one safetensors file with the recipe and the record of the training as JSON among its metadata."""

import json
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ptychopinn.bundle.manifest import parse_json
from ptychopinn.bundle.strict import check_shapes, load_state_strictly
from ptychopinn.bundle.tensors import pack_tensors, unpack_metadata, unpack_tensors
from ptychopinn.config.base import explain
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import check_regular_file
from ptychopinn.errors import BundleError, ScanError, shown
from ptychopinn.prior.network import PriorNetwork
from ptychopinn.prior.recipe import DEFAULT, PriorRecipe, PriorRecord

ENTRY = "prior"
"""Of the metadata: one, since the order of several is not fixed."""
MOST_BYTES = 5 * 10**6
"""Largest file of a prior that is written or read."""
_GIVE = "give 'default', or a file that `ptychopinn train-prior` wrote"


@dataclass(frozen=True, eq=False)
class Prior:
    """A trained network with its recipe."""

    network: PriorNetwork
    """In evaluation mode, on the CPU."""
    record: PriorRecord
    """How it was trained."""
    name: str
    """`default`, or the file."""
    sha256: str = ""
    """Of the file that it was read from."""

    @property
    def recipe(self) -> PriorRecipe:
        """Architecture and scales."""
        return self.network.recipe


def save_prior(prior: Prior, path: str | Path) -> Path:
    """Write a prior beside the target and rename it; its weights are rounded to float16.

    Raises:
        BundleError: it is larger than `MOST_BYTES`, or a weight is too large for float16.
        OutputError: the file cannot be written.
    """
    target = Path(path)
    parts = {"recipe": prior.recipe.model_dump(mode="json"), "record": prior.record.model_dump(mode="json")}
    weights = {name: value.half() for name, value in prior.network.state_dict().items()}
    if not all(value.isfinite().all() for value in weights.values()):
        raise BundleError(f"{target}: a weight of the prior is not finite, or too large for float16; train it again")
    data = pack_tensors(weights, {ENTRY: json.dumps(parts)})
    if len(data) > MOST_BYTES:
        raise BundleError(f"{target}: the prior has {len(data)} bytes and must have at most {MOST_BYTES}; lower width")
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
    return target


def load_prior(name_or_path: str | Path) -> Prior:
    """Read a prior; nothing in it is executed, and its network is built only if the weights are those of its recipe.

    Args:
        name_or_path: `default` for the one in this package, or a file.

    Raises:
        BundleError: no such file, or one that is damaged, too large, or no prior; weights that are not finite.
    """
    path = default_file() if str(name_or_path) == DEFAULT else Path(name_or_path)
    data = _bytes_of(path)
    state = unpack_tensors(data, str(path))
    parts = _parts(unpack_metadata(data, str(path)), path)
    recipe, record = (_section(kind, parts, path) for kind in (PriorRecipe, PriorRecord))
    assert isinstance(recipe, PriorRecipe)
    assert isinstance(record, PriorRecord)
    with torch.device("meta"):
        check_shapes(PriorNetwork(recipe).state_dict(), state, str(path))
    _check_numbers(state, path)
    network = PriorNetwork(recipe)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as its features
    load_state_strictly(network, state, str(path))
    return Prior(network.eval().requires_grad_(False), record, str(name_or_path), sha256(data).hexdigest())


def default_file() -> Path:
    """Where the prior of this package lies."""
    return Path(str(files("ptychopinn") / "prior" / "default.safetensors"))


def _bytes_of(path: Path) -> bytes:
    try:
        check_regular_file(path, _GIVE)
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except ScanError as error:
        raise BundleError(str(error)) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error}); {_GIVE}") from None
    if len(data) > MOST_BYTES:
        raise BundleError(f"{path}: a prior must have at most {MOST_BYTES} bytes; {_GIVE}")
    return data


def _parts(texts: dict[str, str], path: Path) -> dict[str, Any]:
    """The recipe and the record, as they stand in the file."""
    parts = parse_json(texts.get(ENTRY, "null").encode(), str(path), ENTRY)
    if not isinstance(parts, dict):
        raise BundleError(f"{path}: holds no {ENTRY} among its metadata, so it is no prior; {_GIVE}")
    return parts


def _section(kind: type[PriorRecipe] | type[PriorRecord], parts: dict[str, Any], path: Path) -> object:
    name = "recipe" if kind is PriorRecipe else "record"
    try:
        return kind.model_validate(parts.get(name))
    except ValidationError as error:
        raise BundleError(f"{path}: {shown(explain(error, kind, name))}; {_GIVE}") from None


def _check_numbers(state: dict[str, torch.Tensor], path: Path) -> None:
    kinds = (torch.float16, torch.float32)
    broken = [name for name, value in state.items() if value.dtype not in kinds or not value.isfinite().all()]
    if broken:
        names = shown(", ".join(broken[:4]))
        raise BundleError(
            f"{path}: the weights must be finite numbers, float16 or float32, which {names} are not; {_GIVE}"
        )
