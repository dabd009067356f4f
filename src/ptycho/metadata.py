"""NPZ files that carry metadata, under the legacy name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io import atomic_path
from ptychopinn.data.io.door import open_npz
from ptychopinn.errors import OutputError, ScanError

KEY = "_metadata"
"""Where the JSON text stands in a file."""


class MetadataManager:
    """Metadata are plain JSON values; nothing is pickled or unpickled."""

    @staticmethod
    def save_with_metadata(file_path: str | Path, data_dict: Mapping[str, Any], metadata: Mapping[str, Any]) -> Path:
        """Write arrays and metadata whole or not at all; returns the path.

        An `OutputError` for metadata that JSON cannot hold, arrays of Python objects, or a file that cannot be written.

        Raises:
            OutputError: metadata that JSON cannot hold, arrays of Python objects, or a file that cannot be written.
        """
        arrays = {key: np.asarray(value) for key, value in data_dict.items()}
        objects = [key for key, array in arrays.items() if array.dtype.hasobject]
        if objects:
            raise OutputError(f"{file_path}: {', '.join(objects)} are no arrays of numbers or text; convert them")
        try:
            text = json.dumps(dict(metadata))
        except (TypeError, ValueError) as error:
            raise OutputError(f"{file_path}: the metadata are no plain JSON values ({error}); convert them") from None
        with atomic_path(file_path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{**arrays, KEY: np.array(text)})  # type: ignore[arg-type]
        return Path(file_path)

    @staticmethod
    def load_with_metadata(file_path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
        """The arrays, and the metadata or None.

        A `ScanError` for arrays of Python objects, which are never unpickled, or metadata that are no JSON object.

        Raises:
            FileNotFoundError: no such file.
            ScanError: arrays of Python objects, which are never unpickled, or metadata that are no JSON object.
        """
        if not Path(file_path).exists():
            raise FileNotFoundError(f"{file_path}: no such file; give the path of an NPZ file")
        with open_npz(file_path) as archive:
            arrays = {key: archive[key] for key in archive.files}
        if KEY not in arrays:
            return arrays, None
        try:
            metadata = json.loads(str(arrays.pop(KEY)))
        except (ValueError, RecursionError):
            metadata = None
        if not isinstance(metadata, dict):
            raise ScanError(f"{file_path}: {KEY} is no JSON object; correct it or drop the key")
        return arrays, metadata
