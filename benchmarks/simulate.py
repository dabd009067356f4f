"""What does a whole simulation cost beside its two unavoidable parts?

Whole: object, probe, positions, patterns, counts, and the checks of the scan. Parts: one Fourier transform of as many
complex waves, and one Poisson draw of as many pixels from the same expected counts, by the generator that the
simulator uses (NumPy's). All are measured in turn in this one run; the ratio is the median over the rounds. For
comparison the quicker draw of torch stands beside it.

    python benchmarks/simulate.py [--patterns 10000] [--size 64] [--threads 2] [--rounds 5] [--device cpu]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import record_patterns, simulate


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
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measure(configuration(arguments.patterns, arguments.size, arguments.device), arguments.rounds)


def measure(config: SimulationConfig, rounds: int) -> None:
    """Time, rate and ratio for one configuration."""
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
    n, size = expected.shape[0], expected.shape[-1]
    print(f"{n} patterns of {size} x {size} px, {torch.get_num_threads()} threads, device {config.device}")
    print(f"whole simulation {made:.2f} s: {n / made:.0f} patterns per second")
    print(f"one Fourier transform {transformed:.2f} s, one Poisson draw {drawn:.2f} s")
    print(f"ratio of the whole to these two: {ratio:.2f}")
    print(f"with a draw by torch instead, {drawn_by_torch:.2f} s: {other_ratio:.2f}")


if __name__ == "__main__":
    main()
