"""Compare the time of a whole simulation with that of its two unavoidable parts.

Whole: object, probe, positions, patterns, counts, and the checks of the scan. Parts: one Fourier transform of as many
complex waves, and one Poisson draw of as many pixels with the same expected counts, by NumPy, which the simulator
uses. All are measured in turn in the same run; the ratio is the median over the rounds. The faster Poisson draw of
torch is measured for comparison. Several values of patterns, size and threads are several cases, one row each.

    python benchmarks/simulate.py [--patterns 10000] [--size 64] [--threads 2] [--rounds 5] [--device cpu]
    python benchmarks/simulate.py --patterns 10000 10000 2500 --size 64 64 128 --threads 2 1 2 --results FILE
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from record import add_results_option, record

from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.studies.spread import markdown_table

HEAD = [
    "patterns",
    "threads",
    "whole simulation, s",
    "transform + draw, s",
    "ratio",
    "ratio with torch's draw",
]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def configuration(patterns: int, size: int, device: str) -> SimulationConfig:
    """The default experiment on an object so large that its raster has at least so many positions."""
    default = SimulationConfig()
    side = int(np.ceil(np.sqrt(patterns)))
    room = (side - 1) * default.step_px + 2 * default.jitter_px
    return SimulationConfig(object_size_px=size + 3 + int(np.ceil(room)), probe_size_px=size, device=device)


def main() -> None:
    """Measure and print every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", type=int, nargs="+", default=[10_000])
    parser.add_argument("--size", type=int, nargs="+", default=[64])
    parser.add_argument("--threads", type=int, nargs="+", default=[torch.get_num_threads()])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    add_results_option(parser)
    arguments = parser.parse_args()
    rows = []
    for patterns, size, threads in cases(arguments.patterns, arguments.size, arguments.threads):
        torch.set_num_threads(threads)
        rows.append(measure(configuration(patterns, size, arguments.device), arguments.rounds))
    if arguments.results:
        note = f"Medians of {arguments.rounds} rounds."
        record(arguments.results, markdown_table(HEAD, rows), note, arguments.device)


def cases(*lists: list[int]) -> list[tuple[int, ...]]:
    """One case for each value; a list with one value gives it to all cases."""
    count = max(len(values) for values in lists)
    return list(zip(*(values * count if len(values) == 1 else values for values in lists), strict=True))


def measure(config: SimulationConfig, rounds: int) -> list[str]:
    """Print time, rate and ratio for one configuration; return its row of the table."""
    scan = simulate(config)
    assert scan.object_guess is not None
    expected = record_patterns(scan.object_guess, scan.probe, scan.positions_px, None)
    waves = torch.randn(expected.shape, dtype=torch.complex64)
    del scan

    def whole() -> None:
        simulate(config)

    def fourier() -> None:
        torch.fft.fft2(waves)

    def poisson() -> None:
        np.random.default_rng(0).poisson(expected)

    def torch_poisson() -> None:
        torch.poisson(torch.from_numpy(expected), generator=torch.Generator().manual_seed(0))

    works = (whole, fourier, poisson, torch_poisson)
    times = np.array([[seconds(work) for work in works] for _ in range(rounds + 1)])[1:]
    made, transformed, drawn, drawn_by_torch = np.median(times, axis=0)
    ratio, other_ratio = (np.median(times[:, 0] / (times[:, 1] + times[:, draw])) for draw in (2, 3))
    n, size, threads = expected.shape[0], expected.shape[-1], torch.get_num_threads()
    print(f"{n} patterns of {size} x {size} px, {threads} threads, device {config.device}")
    print(f"whole simulation {made:.2f} s: {n / made:.0f} patterns per second")
    print(f"one Fourier transform {transformed:.2f} s, one Poisson draw {drawn:.2f} s")
    print(f"ratio of the whole to these two: {ratio:.2f}")
    print(f"with a draw by torch instead, {drawn_by_torch:.2f} s: {other_ratio:.2f}")
    parts = f"{transformed:.2f} + {drawn:.2f}"
    return [f"{n} of {size} x {size}", str(threads), f"{made:.2f}", parts, f"{ratio:.2f}", f"{other_ratio:.2f}"]


if __name__ == "__main__":
    main()
