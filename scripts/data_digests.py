"""Print a SHA-256 of the arrays of each NPZ file, so that two people can compare the scans that they made.

    python scripts/data_digests.py outputs/data/*.npz

The digest is of names, types, shapes and values. `_metadata` does not count: it lists all settings, also those
that later versions add.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np


def digest(path: Path) -> str:
    """SHA-256 over the arrays of a file, in the order of their names; those of names that begin with _ are left out."""
    total = hashlib.sha256()
    with np.load(path, allow_pickle=False) as arrays:
        for name in sorted(name for name in arrays.files if not name.startswith("_")):
            array = np.ascontiguousarray(arrays[name])
            total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            total.update(array.tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        sys.stdout.write(f"{digest(file)}  {file}\n")
