"""Measure the cost of a pattern for scans of 1,000, 10,000 and 100,000 patterns, stage by stage.

    python benchmarks/scaling.py                                  # patterns of 16 x 16 px, as npz on the disk
    python benchmarks/scaling.py --patterns 1000,10000 --size 64

The image grows with the scan: positions lie on a square grid with jitter, at the same overlap. Each number of patterns
is one process on one thread, which does all once before on a small scan. Times are CPU time: reading with all checks;
grouping (groups of four
of six neighbours); the batches of an epoch of training, without the network; prediction and stitching by a small
network; one iteration of the solver. The sum should be the same for each number of patterns within 15 %.
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
STEP, PHOTONS, TOGETHER = 0.12, 1e4, 1000
"""Step of the scan over the side of a pattern; photons of a pattern; patterns that are simulated at once."""
STAGES = ("reading", "grouping", "training batches", "prediction", "solver")
ONE_RUN = """
import json, sys, time
import numpy as np
import torch
torch.set_num_threads(1)
import ptychopinn
from ptychopinn.api.solve import from_nothing
from ptychopinn.api.solver_work import iterated
from ptychopinn.config import Recipe
from ptychopinn.data import make_groups
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.models import build_model, prepare_probe
from ptychopinn.reconstruction.predict import predict_and_stitch
from ptychopinn.training.loader import GroupLoader
import ptychopinn.api.reconstruct

recipe = Recipe().with_overrides([
    "data.group_size=4", "data.neighbors=6", "model.generator.architecture=cnn", "model.generator.width=4",
    "model.generator.levels=2", "reconstruction.refine.iterations=1",
])

def stages(path):
    times = []

    def timed(work):
        started = time.process_time()
        made = work()
        times.append(time.process_time() - started)
        return made

    def loaded():
        for batch in GroupLoader(tensors, groups, 64, epoch=lambda: 0):
            batch.amplitude.sum()

    scan = timed(lambda: ptychopinn.read_scan(path))
    groups = timed(lambda: make_groups(scan.positions_px, recipe.data, np.random.default_rng(0))).index
    tensors = ScanTensors(scan)
    timed(loaded)
    model = build_model(recipe, prepare_probe(scan.probe, recipe.model.probe))
    alone = np.arange(len(scan))[:, None]
    timed(lambda: predict_and_stitch(model, tensors, alone, recipe.reconstruction))
    task = from_nothing(scan, recipe, "cpu")
    timed(lambda: iterated(task, tensors))
    return times

stages(sys.argv[2])  # what the first use imports and makes
rounds = [stages(sys.argv[1]) for _ in range(int(sys.argv[3]))]
print(json.dumps(np.median(rounds, axis=0).tolist()))
"""


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", default="1000,10000,100000")
    parser.add_argument("--size", type=int, default=16, help="side of a pattern, px")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken")
    parser.add_argument("--other", type=Path, help="another checkout of this project, measured on the same scans")
    parser.add_argument("--seed", type=int, default=4200)
    add_results_option(parser)
    options = parser.parse_args()
    counts = [int(text) for text in options.patterns.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        scans = [scan_file(Path(folder) / f"{n}.npz", n, options.size, options.seed) for n in counts]
        small = scan_file(Path(folder) / "small.npz", 100, options.size, options.seed)
        checkouts = {"this": ROOT, **({"other": options.other} if options.other else {})}
        parts = [
            table(name, counts, [measured(path, one, small, options.rounds) for one in scans])
            for name, path in checkouts.items()
        ]
    text = "\n\n".join(parts)
    print(text)
    if options.results:
        note = (
            f"CPU time of a pattern of {options.size} x {options.size} px in microseconds, medians of {options.rounds} "
            "rounds. The solver makes one iteration. The sum must be the same within 15 %."
        )
        record(options.results, text, note)


def table(checkout: str, counts: list[int], found: list[list[float]]) -> str:
    """A line for each stage and one for their sum; the last column is the largest over the smallest."""
    head = f"| {checkout} | " + " | ".join(f"{n} patterns (us)" for n in counts) + " | largest / smallest |"
    lines = [head, "| --- " * (2 + len(counts)) + "|"]
    each = np.array(found).T / np.array(counts) * 1e6
    for stage, values in zip((*STAGES, "together"), (*each, each.sum(axis=0)), strict=True):
        cells = [stage, *(f"{one:.1f}" for one in values), f"{values.max() / values.min():.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measured(checkout: Path, scan: Path, small: Path, rounds: int) -> list[float]:
    """CPU seconds of each stage, in a process of its own."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(checkout.resolve() / "src")}
    words = [sys.executable, "-c", ONE_RUN, str(scan), str(small), str(rounds)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def scan_file(path: Path, count: int, size: int, seed: int) -> Path:
    """Counts of a smooth random sample on a grid of positions, made some patterns at a time."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    grid = np.stack(np.divmod(np.arange(count), side), axis=1) * STEP * size
    corner = np.rint(grid + rng.uniform(0, 0.3 * STEP * size, grid.shape)).astype(int)
    extent = int(corner.max()) + size
    object_ = np.exp(1j * _smooth(rng, extent))
    axis = np.arange(size) - size // 2
    square = axis[:, None] ** 2 + axis**2
    probe = np.exp(-square / (2 * (size / 6) ** 2) + 0.3j * square / size)
    probe *= np.sqrt(PHOTONS / np.square(np.abs(probe)).sum())
    windows = np.lib.stride_tricks.sliding_window_view(object_, (size, size))
    counts = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.uint16, (count, size, size))
    for start in range(0, count, TOGETHER):
        y, x = corner[start : start + TOGETHER].T
        waves = np.fft.fftshift(np.fft.fft2(windows[y, x] * probe, norm="ortho"), axes=(-2, -1))
        counts[start : start + TOGETHER] = rng.poisson(np.abs(waves) ** 2)
    y, x = (corner + size / 2).T
    np.savez(path, diff3d=counts, probeGuess=probe.astype(np.complex64), xcoords=x, ycoords=y, _metadata="{}")
    return path


def _smooth(rng: np.random.Generator, extent: int) -> np.ndarray:
    """(extent, extent): noise of a few pixels, between 0 and 1."""
    frequency = np.fft.fftfreq(extent)
    smooth = np.exp(-2 * (np.pi * 2.0) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    height = np.fft.ifft2(np.fft.fft2(rng.normal(size=(extent, extent))) * smooth).real
    return np.asarray((height - height.min()) / np.ptp(height))


if __name__ == "__main__":
    main()
