"""Named tensors and arrays to safetensors bytes and back.

Complex values are stored as reals with a last axis (real, imaginary) under a name that ends in `:complex`,
because safetensors knows no complex128 at all and complex64 only in its newest releases.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from ptychopinn.bundle.manifest import parse_json
from ptychopinn.errors import BundleError, shown

MARK = ":complex"


def pack_tensors(tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Tensors from any device, each stored whole even where two share memory; texts by name beside them.

    >>> state = unpack_tensors(pack_tensors({"w": torch.tensor([1 + 2j])}), "example")
    >>> state["w"]
    tensor([1.+2.j])
    """
    stored = {}
    for name, tensor in tensors.items():
        _check_name(name)
        value = tensor.detach().cpu().resolve_conj().resolve_neg()
        key, value = (name + MARK, torch.view_as_real(value)) if value.is_complex() else (name, value)
        stored[key] = value.clone(memory_format=torch.contiguous_format)
    return safetensors.torch.save(stored, metadata)


def unpack_tensors(data: bytes, where: str) -> dict[str, torch.Tensor]:
    """The tensors of `pack_tensors`, on the CPU.

    Raises:
        BundleError: the bytes are not safetensors, or a complex value lacks its last axis.
    """
    stored = _parsed(safetensors.torch.load, data, where)
    tensors = {}
    for key, value in stored.items():
        if key.endswith(MARK):
            _check_pairs(value.shape, value.is_floating_point(), key, where)
            value = torch.view_as_complex(value.contiguous())
        tensors[key.removesuffix(MARK)] = value
    return tensors


def unpack_metadata(data: bytes, where: str) -> dict[str, str]:
    """The texts of `pack_tensors`, from bytes that `unpack_tensors` accepted.

    Raises:
        BundleError: they are not among the bytes, or no texts.
    """
    length = int.from_bytes(data[:8], "little")
    header = parse_json(data[8 : 8 + length], where, "the header")
    texts = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise BundleError(f"{where}: its metadata are no texts; the file is damaged")
    return texts


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays of numbers or booleans.

    Raises:
        BundleError: an array holds text or Python objects.
    """
    stored = {}
    for name, array in arrays.items():
        _check_name(name)
        value = np.asarray(array)
        if value.dtype.kind not in "biufc" or value.dtype.itemsize > 8 * (1 + (value.dtype.kind == "c")):
            raise BundleError(f"array {name!r} has type {value.dtype}; a bundle holds numbers and booleans only")
        native = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
        if native.dtype.kind == "c":
            real = np.float32 if native.dtype == np.complex64 else np.float64
            stored[name + MARK] = native[..., None].view(real)
        else:
            stored[name] = native
    return safetensors.numpy.save(stored)


def unpack_arrays(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of `pack_arrays`.

    Raises:
        BundleError: the bytes are not safetensors, or a complex value lacks its last axis.
    """
    stored = _parsed(safetensors.numpy.load, data, where)
    arrays: dict[str, NDArray[Any]] = {}
    for key, value in stored.items():
        if key.endswith(MARK):
            _check_pairs(value.shape, value.dtype in (np.float32, np.float64), key, where)
            kind = np.complex64 if value.dtype == np.float32 else np.complex128
            value = np.ascontiguousarray(value).view(kind)[..., 0]
        arrays[key.removesuffix(MARK)] = value
    return arrays


def _check_name(name: str) -> None:
    if name.endswith(MARK):
        raise BundleError(f"name {name!r}: the ending {MARK!r} is reserved; use another name")


def _check_pairs(shape: tuple[int, ...], is_float: bool, key: str, where: str) -> None:
    if not is_float or not shape or shape[-1] != 2:
        raise BundleError(
            f"{where}: {shown(key)} does not end in an axis of real and imaginary parts; the bundle is damaged"
        )


def _parsed(load: Callable[[bytes], dict[str, Any]], data: bytes, where: str) -> dict[str, Any]:
    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BundleError(f"{where}: is no valid safetensors data ({shown(error)}); the bundle is damaged") from None
