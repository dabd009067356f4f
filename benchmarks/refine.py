"""What refinement reaches, and how fast: rows 3 to 6 of the evidence in docs/refine.md, in one run.

    python benchmarks/refine.py shared/data [--rows 3,4,5,6] [--iterations 50] [--epochs 12]

Row 3: the image of a network that was trained on another dose of the sample, refined, beside pty-chi's LSQML where that
is installed, both with the poor start probe. Row 4: the measured star with one and three probe modes. Row 5: the poor
start probe and the true one. Row 6: positions with an error of 1 px rms along each axis. Times are CPU seconds of one
thread of this process.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import ptychopinn
from ptychopinn.api.reconstruct import Reconstructed
from ptychopinn.data import Scan, read_scan
from ptychopinn.metrics import compare
from ptychopinn.reconstruction import Reconstruction
from ptychopinn.studies.environment import environment, hardware_line
from ptychopinn.studies.iterative import has_ptychi, solve_with_ptychi

REGION = (40, 260, 40, 260)
"""Rows and columns of the simulated object that are scored, as in the references of the data."""
FEW = (10, 20)
"""Iterations of the short runs of row 3."""
HEADER = ("row", "scan", "what", "iterations", "CPU s", "amplitude dB", "phase dB", "FRC 0.5", "misfit", "positions px")


@dataclass(frozen=True)
class Case:
    """What all rows share."""

    data: Path
    iterations: int
    model: Path | None
    epochs: int
    pty_chi_epochs: int

    def scan(self, name: str, probe: str = "probeGuess") -> Scan:
        """A scan with one of the probes of its file."""
        path = self.data / f"{name}.npz"
        with np.load(path) as file:
            modes = file[probe].reshape(-1, *file[probe].shape[-2:])
        return replace(read_scan(path), probe=np.ascontiguousarray(modes))


def timed(work: Callable[[], Reconstructed | Reconstruction]) -> tuple[Reconstruction, dict[str, float], float]:
    """An image, its misfit where it has one, and CPU seconds."""
    start = time.process_time()
    made = work()
    seconds = time.process_time() - start
    if isinstance(made, Reconstruction):
        return made, {}, seconds
    return made.reconstruction, made.metrics["data"], seconds


def line(
    row: int,
    scan: Scan,
    what: str,
    iterations: int,
    made: tuple[Reconstruction, dict[str, float], float],
    truth_px: NDArray[np.float64] | None = None,
) -> tuple[str, ...]:
    """One line of the table; positions are compared with the true ones, less their common shift."""
    image, misfit, seconds = made
    name = Path(scan.source).stem
    scores = ["", "", ""]
    if name.startswith("synth") and scan.object_guess is not None:
        object_, _ = image.in_frame((0, 0), scan.object_guess.shape)
        report = compare(object_, scan.object_guess, region=REGION)
        scores = [f"{report['psnr_amplitude']:.2f}", f"{report['psnr_phase']:.2f}", f"{report['frc_0.5_nyquist']:.2f}"]
    shown = f"{misfit['amplitude_misfit']:.4f}" if misfit else ""
    left = "" if truth_px is None else f"{rms_of_error(image.positions_px, truth_px):.3f}"
    return (str(row), name, what, str(iterations), f"{seconds:.1f}", *scores, shown, left)


def rms_of_error(positions_px: NDArray[np.float64], truth_px: NDArray[np.float64]) -> float:
    """Root mean square along an axis, px, less the common shift."""
    error = positions_px - truth_px
    return float(np.sqrt(np.square(error - error.mean(0)).mean()))


def solved(scan: Scan, iterations: int, *overrides: str) -> tuple[Reconstruction, dict[str, float], float]:
    """The solver alone, from an object of 1."""
    return timed(lambda: ptychopinn.reconstruct(scan, None, refine=iterations, overrides=overrides))


def after_a_network(case: Case) -> Iterator[tuple[str, ...]]:
    """Row 3."""
    other = case.scan("synth_dev_1e4", "probeInitial")
    overrides = [f"training.epochs={case.epochs}", "training.threads=1"]
    start = time.process_time()
    model = case.model or ptychopinn.train(other, overrides=overrides)
    trained = time.process_time() - start
    scan = case.scan("synth_dev_1e6", "probeInitial")
    print(f"row 3: the network was trained on synth_dev_1e4 for {trained:.0f} CPU s", flush=True)
    for iterations in (0, *FEW, case.iterations):
        made = timed(partial(ptychopinn.reconstruct, scan, model, refine=iterations))
        yield line(3, scan, "network, refined" if iterations else "network", iterations, made)
    yield line(3, scan, "solver alone", case.iterations, solved(scan, case.iterations))
    if has_ptychi():
        epochs = case.pty_chi_epochs
        made = timed(lambda: solve_with_ptychi(scan, scan.probe, epochs=epochs, seed=0, fit_probe=True))
        yield line(3, scan, "pty-chi LSQML", epochs, made)


def measured_star(case: Case) -> Iterator[tuple[str, ...]]:
    """Row 4."""
    scan = case.scan("siemens64")
    for modes in (1, 3):
        made = solved(scan, case.iterations, f"model.probe.modes={modes}")
        yield line(4, scan, f"{modes} probe mode{'s' if modes > 1 else ''}", case.iterations, made)


def start_probes(case: Case) -> Iterator[tuple[str, ...]]:
    """Row 5."""
    for name in ("synth_dev_1e6", "synth_dev_1e4"):
        for probe, what in (("probeGuess", "true probe"), ("probeInitial", "poor probe")):
            scan = case.scan(name, probe)
            yield line(5, scan, what, case.iterations, solved(scan, case.iterations))


def wrong_positions(case: Case) -> Iterator[tuple[str, ...]]:
    """Row 6."""
    for name in ("synth_dev_1e6", "synth_dev_1e4"):
        scan = case.scan(name, "probeInitial")
        truth = scan.positions_px
        errors = np.random.default_rng(0).normal(size=truth.shape)
        wrong = replace(scan, positions_px=truth + errors)
        yield line(6, scan, "true positions", case.iterations, solved(scan, case.iterations), truth)
        yield line(6, wrong, "1 px rms of error", case.iterations, solved(wrong, case.iterations), truth)
        fitted = solved(wrong, case.iterations, "reconstruction.refine.positions=true")
        yield line(6, wrong, "the same, positions refined", case.iterations, fitted, truth)
        bent = ("reconstruction.refine.positions=true", "reconstruction.refine.positions_bend=true")
        fitted = solved(wrong, case.iterations, *bent)
        yield line(6, wrong, "the same, and the scan bent", case.iterations, fitted, truth)


ROWS: dict[int, Callable[[Case], Iterator[tuple[str, ...]]]] = {
    3: after_a_network,
    4: measured_star,
    5: start_probes,
    6: wrong_positions,
}


def show(columns: Sequence[str]) -> None:
    """One line of a Markdown table."""
    print("| " + " | ".join(columns) + " |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of synth_dev_*.npz and siemens64.npz")
    parser.add_argument("--rows", default="3,4,5,6")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=12, help="of the network of row 3")
    parser.add_argument("--pty-chi", type=int, default=60, metavar="EPOCHS", help="of LSQML in row 3")
    parser.add_argument("--model", type=Path, help="a bundle instead of that network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(hardware_line(environment("cpu")))
    case = Case(arguments.data, arguments.iterations, arguments.model, arguments.epochs, arguments.pty_chi)
    show(HEADER)
    show(["---"] * len(HEADER))
    for row in arguments.rows.split(","):
        for columns in ROWS[int(row)](case):
            show(columns)


if __name__ == "__main__":
    main()
