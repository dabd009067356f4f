"""Measure the anonymous memory that each command takes above that of the import, for few and for many patterns.

    python benchmarks/memory.py                                  # 5,000 and 50,000 patterns of 32 x 32 px
    python benchmarks/memory.py --formats npz,cxi,hdf5 --commands info,solver
    python benchmarks/memory.py --patterns 1000,10000 --other ../before

All scans cover the same canvas and lie on disk: `npz` uncompressed, `cxi` compressed by gzip, `hdf5` uncompressed. Each
measurement is one process on one thread. Anonymous memory (`RssAnon` of /proc) is what a process cannot give back
without swap; pages of files that are mapped into memory are not part of it. Its peak is sampled every 2 ms from
outside. The network is small, since its size does not matter here.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from record import add_results_option, record

import ptychopinn
from ptychopinn.data import Scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.io import write_scan

ROOT = Path(__file__).resolve().parents[1]
SIZE_PX, CANVAS_PX, PHOTONS = 32, 480, 1e5
TOGETHER = 500
"""Patterns that are simulated at once."""
NETWORK = (
    "'model.generator.architecture=cnn', 'model.generator.width=4', 'model.generator.levels=2', 'training.epochs=1'"
)
COMMANDS = {
    "info": "ptychopinn.info(scan)",
    "training": f"ptychopinn.train(scan, out, overrides=[{NETWORK}, 'data.n_groups=2000'])",
    "prediction": "ptychopinn.reconstruct(scan, model, out)",
    "solver": "ptychopinn.reconstruct(scan, None, out, refine=5, "
    "overrides=['reconstruction.refine.intensities=fitted'])",
    "positions": "ptychopinn.reconstruct(scan, None, out, refine=3, overrides=['reconstruction.refine.positions=true', "
    "'reconstruction.refine.positions_start=1'])",
    "run": f"ptychopinn.run(scan, out, overrides=[{NETWORK}, 'data.n_groups=2000', "
    "'reconstruction.refine.iterations=2'])",
}
ONE_RUN = """
import sys
import torch
torch.set_num_threads(1)
import ptychopinn
for name in ("info", "train", "reconstruct", "run"):
    getattr(ptychopinn, name)
import ptychopinn.training, ptychopinn.plotting
_, scan, out, model, command = sys.argv
print("imported", flush=True)
sys.stdin.readline()
exec(command)
"""


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", default="5000,50000")
    parser.add_argument("--formats", default="npz,cxi,hdf5")
    parser.add_argument("--commands", default="info,training,prediction,solver")
    parser.add_argument("--other", type=Path, help="another checkout of this project, measured on the same scans")
    parser.add_argument("--folder", type=Path, help="where the scans are kept for another time")
    parser.add_argument("--seed", type=int, default=4100)
    add_results_option(parser)
    options = parser.parse_args()
    counts = [int(text) for text in options.patterns.split(",")]
    checkouts = {"this": ROOT, **({"other": options.other} if options.other else {})}
    head = "| checkout | file | command | " + " | ".join(f"{n} patterns (MiB)" for n in counts) + " | ratio | seconds |"
    lines = [head, "| --- " * (5 + len(counts)) + "|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        model = _model(folder, options.seed)
        for kind in options.formats.split(","):
            scans = [scan_file(folder, kind, n, options.seed) for n in counts]
            for command in options.commands.split(","):
                for name, checkout in checkouts.items():
                    found = [measured(checkout, command, scan, model) for scan in scans]
                    lines.append(row(name, kind, command, found))
                    print(lines[-1], flush=True)
    if options.results:
        record(
            options.results, "\n".join(lines), f"Patterns of {SIZE_PX} x {SIZE_PX} px in uint16; peak above the import."
        )


def row(checkout: str, kind: str, command: str, found: list[tuple[float, float]]) -> str:
    """A line of the table, from memory in MiB and seconds for each number of patterns."""
    memory = [one for one, _ in found]
    cells = [checkout, kind, command, *(f"{one:.0f}" for one in memory), f"{memory[-1] / memory[0]:.2f}"]
    return "| " + " | ".join([*cells, f"{found[-1][1]:.1f}"]) + " |"


def measured(checkout: Path, command: str, scan: Path, model: Path) -> tuple[float, float]:
    """Peak of the anonymous memory of one process above that of the import, MiB, and its seconds."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(checkout.resolve() / "src")}
    with tempfile.TemporaryDirectory() as out:
        words = [sys.executable, "-c", ONE_RUN, str(scan), out, str(model), COMMANDS[command]]
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        imported = peak = anonymous_kib(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        started = time.perf_counter()
        while process.poll() is None:
            peak = max(peak, anonymous_kib(process.pid))
            time.sleep(0.002)
    if process.returncode:
        raise RuntimeError(f"{command} of {scan.name} ended with {process.returncode}")
    return (peak - imported) / 1024, time.perf_counter() - started


def anonymous_kib(process: int) -> int:
    """Anonymous memory of a process, KiB; 0 once it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon:")), 0)


def scan_file(folder: Path, kind: str, count: int, seed: int) -> Path:
    """A scan of so many patterns, made where it is not there yet."""
    path = folder / f"scan_{count}.{'h5' if kind == 'hdf5' else kind}"
    if path.exists():
        return path
    counts, positions, probe = simulated(folder / f"counts_{count}.npy", count, seed)
    y, x = positions.T
    if kind == "npz":
        np.savez(
            path, diff3d=counts, probeGuess=probe, xcoords=x, ycoords=y, _metadata='{"position_origin": "element"}'
        )
        return path
    if kind == "cxi":
        scan = Scan(
            counts, "counts", positions, probe[None], pixel_size_m=1e-8, geometry=Geometry(1e4, 1.0, (7.5e-5,) * 2)
        )
        return write_scan(scan, path)
    arrays = {"patterns": counts, "probe": probe[None], "object": np.ones((CANVAS_PX, CANVAS_PX), np.complex64)}
    arrays |= {"probe_position_x_px": x - 0.5, "probe_position_y_px": y - 0.5}
    arrays |= {"bad_pixels": np.zeros((SIZE_PX, SIZE_PX), np.bool_)}
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
    return path


def simulated(path: Path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of a smooth random sample on a canvas of fixed size, in a file that is mapped into memory."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.fftfreq(CANVAS_PX)
    smooth = np.exp(-2 * (np.pi * 2.0) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    height = np.fft.ifft2(np.fft.fft2(rng.normal(size=(CANVAS_PX, CANVAS_PX))) * smooth).real
    object_ = np.exp((-0.3 + 1.2j) * (height - height.min()) / np.ptp(height))
    axis = np.arange(SIZE_PX) - SIZE_PX // 2
    square = axis[:, None] ** 2 + axis**2
    probe = np.exp(-square / (2 * 5.0**2) + 0.02j * square)
    probe *= np.sqrt(PHOTONS / np.square(np.abs(probe)).sum())
    corner = rng.integers(0, CANVAS_PX - SIZE_PX, (count, 2))
    corner[:2] = 0, CANVAS_PX - SIZE_PX - 1
    windows = np.lib.stride_tricks.sliding_window_view(object_, (SIZE_PX, SIZE_PX))
    counts = np.lib.format.open_memmap(path, "w+", np.float32, (count, SIZE_PX, SIZE_PX))
    for start in range(0, count, TOGETHER):
        y, x = corner[start : start + TOGETHER].T
        waves = np.fft.fftshift(np.fft.fft2(windows[y, x] * probe, norm="ortho"), axes=(-2, -1))
        counts[start : start + TOGETHER] = rng.poisson(np.abs(waves) ** 2)
    return counts, corner + SIZE_PX / 2, probe.astype(np.complex64)


def _model(folder: Path, seed: int) -> Path:
    """A network trained for one epoch on a small scan of the same kind."""
    path = folder / "model" / "wts.h5.zip"
    if not path.exists():
        words = NETWORK.replace("'", "").split(", ")
        ptychopinn.train(scan_file(folder, "npz", 400, seed), folder / "model", overrides=words)
    return path


if __name__ == "__main__":
    main()
