"""Turn the measured Siemens star of the repository tike into the scans siemens128.npz and siemens64.npz.

    python scripts/siemens_star.py siemens-star-small.npz.bz2 outputs/data

docs/dev/data.md names the source of the file. It holds photon counts with the zero frequency at the corner, positions
in object pixels about the middle of the scan, and a probe in units of its own, which is scaled to the mean counts of a
pattern.
"""

import bz2
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARGIN_PX = 72
"""Distance of the outermost positions from the edge of the object frame: half a pattern of 128 px, and 8 px beyond."""

Arrays = dict[str, NDArray[Any]]


def read_source(path: Path) -> Arrays:
    """The scan of 128 px: counts (N, 128, 128), positions in px and a probe (128, 128), sqrt(photons)."""
    with np.load(io.BytesIO(bz2.decompress(path.read_bytes())), allow_pickle=False) as source:
        data, scan, probe = source["data"][0], source["scan"][0].astype(float), source["probe"].squeeze()
    counts = np.fft.fftshift(np.rint(data), axes=(-2, -1)).astype(np.uint16)
    rows, columns = (scan - scan.min(axis=0) + MARGIN_PX).T
    return {"diff3d": counts, "ycoords": rows, "xcoords": columns, "probeGuess": scaled(probe, counts)}


def cropped(scan: Arrays) -> Arrays:
    """The scan with the central half of the detector: half as many pixels, each twice as wide, in the object too."""
    size = scan["probeGuess"].shape[-1]
    middle = slice(size // 4, size // 4 + size // 2)
    counts = scan["diff3d"][:, middle, middle]
    far = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(scan["probeGuess"])))[middle, middle]
    probe = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(far)))
    halved = {name: scan[name] / 2 for name in ("ycoords", "xcoords")}
    return {"diff3d": counts, **halved, "probeGuess": scaled(probe, counts)}


def scaled(probe: NDArray[Any], counts: NDArray[np.uint16]) -> NDArray[np.complex64]:
    """The probe with as many photons as a pattern has counts in the mean."""
    factor = np.sqrt(counts.sum(axis=(1, 2)).mean() / np.sum(np.abs(probe) ** 2))
    return np.asarray(probe * factor, dtype=np.complex64)


def main(source: Path, folder: Path) -> None:
    """Write both scans."""
    folder.mkdir(parents=True, exist_ok=True)
    scan = read_source(source)
    for name, arrays in (("siemens128.npz", scan), ("siemens64.npz", cropped(scan))):
        np.savez(folder / name, **arrays)  # type: ignore[arg-type]
        sys.stdout.write(f"{folder / name}: {len(arrays['diff3d'])} patterns of {arrays['diff3d'].shape[-1]} px\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/siemens_star.py siemens-star-small.npz.bz2 FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
