"""How well wrong scan positions are found, and what that costs: simulated scans, kinds of errors and doses.

    python benchmarks/positions.py --seeds 2106,2107,2108 --results benchmarks/results/positions.md
    python benchmarks/positions.py --seeds 1102 --cases single:1:1e6 --set iterations=40

A scan is that of `drawn_scans.drawn`: the seed decides sample, probe, step and contrast. A case is KIND:SIZE:PHOTONS:

    none      exact positions
    single    independent errors of every position, SIZE px rms along an axis
    drift     a smooth path over the scan, SIZE px from its first to its last pattern
    affine    scale, rotation and shear, SIZE px rms along an axis

What is left is the rms difference between found and true positions along an axis, after the common shift is removed,
and after the best affine map is removed. `expected` is what the run itself states. Each image is compared with that
from the true positions, which are not refined. CPU seconds are those of the iterations on one thread.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from drawn_scans import Drawn, drawn
from numpy.typing import NDArray
from record import add_results_option, record

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.solver import refine

CASES = "none:0:1e6,single:1:1e6,single:4:1e6,drift:6:1e6,affine:1:1e6,none:0:1e4,single:1:1e4"
SIZE_PX = 164
"""Of the object: about 225 patterns."""
COLUMNS = (
    "errors",
    "photons",
    "seed",
    "patterns",
    "left, px",
    "less affine part, px",
    "expected, px",
    "amplitude / phase, dB",
    "with true positions, dB",
    "CPU s",
    "with true positions, CPU s",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|" + " --- |" * len(COLUMNS)


@dataclass(frozen=True)
class Solved:
    """An image, and what it took."""

    image: Reconstruction
    amplitude_db: float
    phase_db: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="2106,2107,2108", help="separated by commas")
    parser.add_argument("--cases", default=CASES, help="KIND:SIZE:PHOTONS, separated by commas")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of reconstruction.refine")
    parser.add_argument("--size", type=int, default=SIZE_PX, help="of the object, px")
    add_results_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = RefineConfig(iterations=40).changed(**dict(read_setting(text) for text in arguments.set))
    print(HEAD, flush=True)
    lines = [HEAD]
    for line in lines_of(
        arguments.cases.split(","), [int(seed) for seed in arguments.seeds.split(",")], config, arguments.size
    ):
        print(line, flush=True)
        lines.append(line)
    if arguments.results:
        record(arguments.results, "\n".join(lines), note())


def note() -> str:
    """What the columns are."""
    assert __doc__ is not None
    return __doc__[__doc__.index("What is left") :].strip()


def read_setting(text: str) -> tuple[str, float | bool | str]:
    """A name and its value.

    >>> read_setting("iterations=30")
    ('iterations', 30)
    """
    name, _, value = text.partition("=")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.isdigit() else float(value)


def lines_of(cases: list[str], seeds: list[int], config: RefineConfig, size_px: int) -> Iterator[str]:
    """A line of the table for every case and seed."""
    known: dict[tuple[int, float], Solved] = {}
    for case in cases:
        kind, size, photons = case.split(":")
        for seed in seeds:
            true = drawn(seed, float(photons), size_px)
            key = seed, float(photons)
            if key not in known:
                known[key] = solved(true, true, config.changed(positions=False))
            wrong = misplaced(true, kind, float(size))
            found = solved(wrong, true, config.changed(positions=True))
            left = found.image.positions_px - true.scan.positions_px
            stated = found.image.metadata["refine"]["moved_positions"]["deviation_px"]
            cells = (
                f"{kind} {size} px" if float(size) else kind,
                f"{float(photons):.0e}",
                f"{seed}",
                f"{len(true.scan)}",
                f"{rms(left - left.mean(0)):.4f}",
                f"{rms(without_affine(left, true.scan.positions_px)):.4f}",
                f"{stated:.4f}",
                scores(found),
                scores(known[key]),
                f"{found.cpu_s:.1f}",
                f"{known[key].cpu_s:.1f}",
            )
            yield f"| {' | '.join(cells)} |"


def misplaced(true: Drawn, kind: str, size_px: float) -> Drawn:
    """The scan with errors in its recorded positions."""
    positions = true.scan.positions_px
    errors = errors_of(kind, positions, size_px, np.random.default_rng(7))
    return replace(true, scan=replace(true.scan, positions_px=positions + errors - errors.mean(0)))


def errors_of(
    kind: str, positions: NDArray[np.float64], size_px: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(N, 2), px."""
    if kind == "none":
        return np.zeros_like(positions)
    if kind == "single":
        errors = rng.normal(size=positions.shape)
    elif kind == "drift":
        along = np.linspace(0, 1, len(positions))
        path = np.stack((along, 0.5 * np.sin(np.pi * along)), 1)
        return size_px * path / np.linalg.norm(path[-1] - path[0])
    elif kind == "affine":
        errors = (positions - positions.mean(0)) @ np.array([[1.0, 0.4], [-0.6, -0.5]])
    else:
        raise SystemExit(f"the kind of errors must be none, single, drift or affine, got {kind}")
    return size_px * errors / rms(errors - errors.mean(0))


def solved(scan: Drawn, true: Drawn, config: RefineConfig) -> Solved:
    """The image of a scan, scored against the truth."""
    tensors, start = ScanTensors(scan.scan), scan.start()
    before = time.process_time()
    image = refine(start, tensors, config).reconstruction
    spent = time.process_time() - before
    found = true.scores(image)
    return Solved(image, found["psnr_amplitude"], found["psnr_phase"], spent)


def rms(vectors: NDArray[np.float64]) -> float:
    """Of vectors (N, 2), along an axis."""
    return float(np.sqrt(np.square(vectors).mean()))


def without_affine(errors: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors (N, 2) less the best affine map of the positions."""
    columns = np.column_stack((np.ones(len(positions)), positions))
    return errors - columns @ np.linalg.lstsq(columns, errors, rcond=None)[0]


def scores(found: Solved) -> str:
    """For the table."""
    return f"{found.amplitude_db:.2f} / {found.phase_db:.2f}"


if __name__ == "__main__":
    main()
