"""A dictionary of parameters as plain JSON, its arrays moved to the file of arrays."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.errors import BundleError, shown

REFERENCE = "$array"
PREFIX = "params/"
"""Names of arrays that belong to the parameters begin so."""


def split_params(params: Mapping[str, Any]) -> tuple[str, dict[str, NDArray[Any]]]:
    """JSON text and the arrays it refers to; tuples become lists, paths become text.

    >>> text, arrays = split_params({"N": np.int64(64), "probe": np.ones(3)})
    >>> text, list(arrays)
    ('{"N": 64, "probe": {"$array": "params/probe"}}', ['params/probe'])

    Raises:
        BundleError: a value that JSON cannot hold, named by its key.
    """
    arrays: dict[str, NDArray[Any]] = {}
    return json.dumps(_encode(params, "", arrays), allow_nan=False), arrays


def storable_params(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BundleError]]:
    """The entries of a client's dictionary that a bundle can hold, and, for each other key, why it cannot.

    >>> storable_params({"N": 64, "callback": print})[0]
    {'N': 64}
    """
    kept, refused = {}, {}
    for key, value in params.items():
        try:
            split_params({key: value})
        except BundleError as error:
            refused[key] = error
        else:
            kept[key] = value
    return kept, refused


def join_params(tree: Any, arrays: dict[str, NDArray[Any]], where: str) -> dict[str, Any]:
    """Undo `split_params`; the arrays used are taken out of `arrays`.

    Raises:
        BundleError: the parameters are no dictionary or refer to an array that is not there.
    """
    if not isinstance(tree, dict):
        raise BundleError(f"{where}: does not hold a dictionary; the bundle is damaged")
    try:
        return {key: _decode(value, arrays, where) for key, value in tree.items()}
    except RecursionError:
        raise BundleError(f"{where}: is nested too deeply; the bundle is damaged") from None


def _encode(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray | torch.Tensor | complex | np.complexfloating):
        return _move_array(value, path, arrays)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise BundleError(f"params: {path} is {value}, which JSON cannot hold; give a finite number or None")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_encode(item, f"{path}.{index}", arrays) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_checked_key(key, path): _encode(item, _join(path, key), arrays) for key, item in value.items()}
    raise BundleError(f"params: {path} is a {type(value).__name__}; a bundle holds plain values and arrays only")


def _move_array(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> dict[str, str]:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    name = PREFIX + path
    if name in arrays:
        raise BundleError(f"params: two arrays have the path {path}; rename one of the keys")
    arrays[name] = array
    return {REFERENCE: name}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _checked_key(key: Any, path: str) -> str:
    if not isinstance(key, str) or key == REFERENCE:
        raise BundleError(f"params: key {key!r} in {path or 'the dictionary'}: must be text other than {REFERENCE}")
    return key


def _decode(value: Any, arrays: dict[str, NDArray[Any]], where: str) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays, where) for item in value]
    if not isinstance(value, dict):
        return value
    if REFERENCE not in value:
        return {key: _decode(item, arrays, where) for key, item in value.items()}
    name = value[REFERENCE]
    if not isinstance(name, str) or name not in arrays:
        raise BundleError(f"{where}: refers to array {shown(name)!r}, which is not there; the bundle is damaged")
    return arrays.pop(name)
