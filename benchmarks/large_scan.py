"""Measure what `reconstruct` costs on a large scan: CPU seconds of the iterations, of all else, and peak memory.

    python benchmarks/large_scan.py                                 # 15,876 patterns of 64 x 64 px, 20 iterations
    python benchmarks/large_scan.py --side 63 --iterations 2        # a quarter of them
    python benchmarks/large_scan.py --other ../before               # and the same with another checkout

The scan is simulated once: a grid of `side` x `side` positions with jitter over a random sample, in uint16 counts.
Each measurement is one process of the Python function on one thread, with an output folder, so that reading, image,
metrics and figure are included. Memory is the peak of the resident memory above that after the import, in units of
the patterns as float32.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from record import add_results_option, record

ROOT = Path(__file__).resolve().parents[1]
STEP_PX, SIZE_PX, MARGIN_PX, PHOTONS = 6.0, 64, 4, 1e5
ONE_RUN = """
import json, resource, sys, time
import torch
torch.set_num_threads(1)
import ptychopinn
ptychopinn.reconstruct
MIB_PER_UNIT = 1 / 1024 if sys.platform != "darwin" else 1 / 1024**2
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MIB_PER_UNIT
imported_s, imported_mib = time.process_time(), peak()
ends = []
made = ptychopinn.reconstruct(
    sys.argv[1], None, sys.argv[2], refine=int(sys.argv[3]), on_iteration=lambda *_: ends.append(time.process_time())
)
ended = time.process_time()
one = (ends[-1] - ends[0]) / (len(ends) - 1)
print(json.dumps({
    "import_s": imported_s,
    "iterations_s": one * len(ends),
    "else_s": ended - one * len(ends),
    "memory_mib": peak() - imported_mib,
    "deviance": made.metrics["data"]["poisson_deviance_per_pixel"],
}))
"""


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=126, help="positions along each axis")
    parser.add_argument("--iterations", type=int, default=20, help="at least 2")
    parser.add_argument("--other", type=Path, help="another checkout of this project, measured on the same scan")
    parser.add_argument("--seed", type=int, default=4000)
    add_results_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan = write_scan(Path(folder) / "scan.npz", arguments.side, arguments.seed)
        data_mib = arguments.side**2 * SIZE_PX**2 * 4 / 2**20
        checkouts = {"this": ROOT, **({"other": arguments.other} if arguments.other else {})}
        rows = [row(name, measured(path, scan, arguments.iterations), data_mib) for name, path in checkouts.items()]
    head = (
        "| checkout | import (CPU s) | iterations (CPU s) | all else, import included (CPU s) | all else / iterations "
        "| memory above import (MiB) | memory / data as float32 | deviance |"
    )
    text = "\n".join([head, "| --- " * 8 + "|", *rows])
    print(text)
    if arguments.results:
        count = arguments.side**2
        record(
            arguments.results, text, f"{count} patterns of {SIZE_PX} x {SIZE_PX} px, {arguments.iterations} iterations."
        )


def measured(checkout: Path, scan: Path, iterations: int) -> dict[str, float]:
    """One run of `reconstruct` in a process of its own."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(checkout.resolve() / "src")}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ONE_RUN, str(scan), folder, str(iterations)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def row(name: str, found: dict[str, float], data_mib: float) -> str:
    """A line of the table."""
    cells = [
        name,
        f"{found['import_s']:.1f}",
        f"{found['iterations_s']:.1f}",
        f"{found['else_s']:.1f}",
        f"{found['else_s'] / found['iterations_s']:.0%}",
        f"{found['memory_mib']:.0f}",
        f"{found['memory_mib'] / data_mib:.2f}",
        f"{found['deviance']:.4f}",
    ]
    return "| " + " | ".join(cells) + " |"


def write_scan(path: Path, side: int, seed: int) -> Path:
    """Counts of a smooth random sample under a defocused probe; made and kept a few frames at a time."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2) * STEP_PX
    positions = grid + rng.uniform(-2, 2, grid.shape) + SIZE_PX / 2 + MARGIN_PX
    extent = int(np.ceil(positions.max())) + SIZE_PX // 2 + MARGIN_PX
    object_, probe = sample(rng, extent), beam()
    corner = np.round(positions).astype(int) - SIZE_PX // 2
    frequency = np.fft.fftfreq(SIZE_PX)
    spectrum = np.fft.fft2(probe)
    counts = np.empty((len(positions), SIZE_PX, SIZE_PX), np.uint16)
    for n, ((y, x), rest) in enumerate(zip(corner, positions - np.round(positions), strict=True)):
        phase = np.exp(-2j * np.pi * (frequency[:, None] * rest[0] + frequency * rest[1]))
        shifted = np.fft.ifft2(spectrum * phase)
        wave = np.fft.fftshift(np.fft.fft2(shifted * object_[y : y + SIZE_PX, x : x + SIZE_PX], norm="ortho"))
        counts[n] = rng.poisson(np.abs(wave) ** 2)
    np.savez(
        path,
        diffraction=counts,
        probeGuess=probe.astype(np.complex64),
        xcoords=positions[:, 1],
        ycoords=positions[:, 0],
    )
    return path


def sample(rng: np.random.Generator, extent: int) -> np.ndarray:
    """Transmission (extent, extent): noise of a few pixels, absorption and phase in a constant ratio."""
    frequency = np.fft.fftfreq(extent)
    smooth = np.exp(-2 * (np.pi * 2.0) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    height = np.fft.ifft2(np.fft.fft2(rng.normal(size=(extent, extent))) * smooth).real
    height = (height - height.min()) / np.ptp(height)
    return np.exp((-0.3 + 1.2j) * height)


def beam() -> np.ndarray:
    """A Gaussian of 9 px with a curved phase, `PHOTONS` in all."""
    axis = np.arange(SIZE_PX) - SIZE_PX // 2
    square = axis[:, None] ** 2 + axis**2
    probe = np.exp(-square / (2 * 9.0**2) + 0.01j * square)
    return probe * np.sqrt(PHOTONS / np.square(np.abs(probe)).sum())


if __name__ == "__main__":
    main()
