"""Checkpoints of training, read without running anything that is in them."""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import torch

from ptychopinn.data.io.door import check_regular_file
from ptychopinn.data.io.memory import check_memory
from ptychopinn.errors import BundleError

UNREADABLE = (RuntimeError, LookupError, TypeError, EOFError, OSError, ValueError, AttributeError)
"""What a file raises whose parts are not those of a checkpoint."""
DAMAGED = (zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)
"""What a file raises that is no whole checkpoint."""


def read_checkpoint(path: Path, expected: str, way_out: str) -> dict[str, Any]:
    """The dictionary in a `.ckpt` file: plain values and tensors, on the CPU.

    Args:
        path: of the file.
        expected: what the message of the error calls such a file.
        way_out: what the message tells to do.

    Raises:
        BundleError: the file is damaged, no checkpoint, holds Python objects, or declares more data than it has.
    """
    try:
        check_regular_file(path, "give a .ckpt file")
        check_memory(path.stat().st_size, f"{path}: the checkpoint")
        with path.open("rb") as stream:
            return tensors_of(stream)
    except (*UNREADABLE, *DAMAGED) as error:
        raise BundleError(f"{path}: is not {expected} ({reason_of(error)}); {way_out}") from None


def tensors_of(stream: IO[bytes]) -> dict[str, Any]:
    """The dictionary in an open file of `torch.save`; raises any of `UNREADABLE` and `DAMAGED`."""
    with zipfile.ZipFile(stream) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise zipfile.BadZipFile("a member is compressed, which those of a checkpoint are not")
        if broken := archive.testzip():
            raise zipfile.BadZipFile(f"{broken} is damaged")
    stream.seek(0)
    values = torch.load(stream, map_location="cpu", weights_only=True)
    if not isinstance(values, dict):
        raise TypeError(f"it holds a {type(values).__name__}")
    return values


def reason_of(error: Exception) -> str:
    """The first line of an exception, or its name."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
