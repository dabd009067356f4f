"""What does `watch` do with a scan that arrives out of order, with repeated and late frames?

    python benchmarks/live.py
    python benchmarks/live.py --patterns 1000 --rate 500
    python benchmarks/live.py --patterns 2500 --solve

A simulated scan is written to a folder in pieces of patterns and pieces of positions, in random order within 1,000
frames, at a constant rate. 2 % of the frames come twice, and 2 % at the very end. `watch` reads them in the same
process. The table states how many frames were placed, the latency, and the largest difference to the image that
`reconstruct` makes of the whole scan. With `--solve` the solver goes on while frames arrive, and the table states how
much better or worse the image at the end is than that of the solver alone on the whole scan.
"""

import argparse
import os
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from record import add_results_option, record

import ptychopinn
from ptychopinn.api.watch import watch
from ptychopinn.data import Scan
from ptychopinn.metrics import compare

SIZE, STEP = 32, 2.0
SHUFFLED = 1000
"""Frames within which the order is random."""
PIECE = 50
"""Frames of a piece."""
ODD = 0.02
"""Part of the frames that comes twice, and part that comes at the end."""
TRAINING = ["model.generator.width=8", "model.generator.levels=2", "training.epochs=1", "data.n_patterns=500"]
COLUMNS = ("patterns", "sent per s", "repeated", "late", "placed", "median s", "99 % s", "largest s", "difference")


def order_of(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Frame numbers in the order in which they are sent, the repeated ones twice."""
    blocks = [rng.permutation(np.arange(first, min(first + SHUFFLED, count))) for first in range(0, count, SHUFFLED)]
    order = np.concatenate(blocks)
    odd = rng.choice(count, 2 * round(ODD * count), replace=False)
    late, again = np.split(odd, 2)
    order = order[~np.isin(order, late)]
    order = np.insert(order, rng.integers(0, len(order), len(again)), again)
    return np.concatenate([order, late])


def send(scan: Scan, folder: Path, order: NDArray[np.int64], rate: float) -> None:
    """Write the pieces; positions and patterns of a frame are in two of them."""
    started = time.perf_counter()
    for first in range(0, len(order), PIECE):
        part = np.unique(order[first : first + PIECE])
        y, x = scan.positions_px[part].T
        for name, arrays in (("b", {"ycoords": y, "xcoords": x}), ("a", {"diffraction": scan.patterns[part]})):
            path = folder / f".{name}{first:07d}.npz"
            np.savez(path, frames=part, **arrays)
            os.replace(path, folder / f"{name}{first:07d}.npz")
        time.sleep(max(started + first / rate - time.perf_counter(), 0))


def quality(image: ptychopinn.Reconstruction, truth: NDArray[np.complex64]) -> tuple[float, float]:
    """PSNR of amplitude and phase, dB, between the outermost positions, less a quarter of a pattern."""
    low = image.positions_px.min(0).astype(int) + SIZE // 4
    high = image.positions_px.max(0).astype(int) - SIZE // 4
    found, _ = image.in_frame((0, 0), truth.shape)
    report = compare(found, truth, region=(low[0], high[0], low[1], high[1]))
    return report["psnr_amplitude"], report["psnr_phase"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=200.0, help="frames per second")
    parser.add_argument("--solve", action="store_true", help="let the solver go on between the pieces")
    add_results_option(parser)
    given = parser.parse_args()
    side = round(STEP * given.patterns**0.5) + 2 * SIZE
    drawn = [f"object_size_px={side}", f"probe_size_px={SIZE}", f"step_px={STEP}", "seed=0"]
    scan = ptychopinn.simulate(overrides=[f"simulation.{setting}" for setting in drawn]).scan
    truth = scan.object_guess
    scan = replace(scan, object_guess=None, truth_patches=None).select(slice(given.patterns))
    trained = ptychopinn.train(scan, overrides=TRAINING)
    order = order_of(len(scan), np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pieces"
        folder.mkdir()
        sender = threading.Thread(target=send, args=(scan, folder, order, given.rate))
        sender.start()
        done = watch(folder, trained, Path(place) / "out", idle_s=5, solve=given.solve)
        sender.join()
    image = done.reconstructed.reconstruction
    if given.solve:
        alone = ptychopinn.reconstruct(scan, overrides=["reconstruction.prior=none"]).reconstruction
        scores = [quality(one, truth) for one in (image, alone)]
        difference = ", ".join(f"{a - b:+.2f}" for a, b in zip(*scores, strict=True))
    else:
        whole = ptychopinn.reconstruct(scan, trained, probe="model").reconstruction
        difference = f"{np.abs(image.object_ - whole.object_).max():.1e}"
    report = done.report
    times = [f"{report[f'latency_{name}_s']:.2f}" for name in ("median", "p99", "largest")]
    counts = [round(ODD * len(scan))] * 2
    row = [len(scan), f"{given.rate:.0f}", *counts, report["placed"], *times, difference]
    names = (*COLUMNS[:-1], "amplitude, phase (dB)") if given.solve else COLUMNS
    lines = [names, ["---"] * len(COLUMNS), row]
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    print(table)
    if given.results:
        note = (
            f"Patterns of {SIZE} x {SIZE}, a network of 8 channels, one image of the scan so far at most every 5 s; "
            "sender and `watch` share one process."
        )
        record(given.results, table, note)


if __name__ == "__main__":
    main()
