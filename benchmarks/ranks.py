"""Measure what two processes that share a run gain over one: training, prediction and solver, in the same run.

    python benchmarks/ranks.py                                   # 800 patterns of 64 x 64 px, five rounds
    python benchmarks/ranks.py --patterns 2000 --size 128 --rounds 9

Two processes with one thread each, which gloo joins on this machine. In each round the first one works alone, while the
other one sleeps, and then both work together, on the same simulated scan. Times are those of the work without import,
reading and writing. The ratio of a round is the throughput of two processes over that of one. Where other programs need
the cores, the wall-clock ratio says as much about them: two processes get twice the share of a busy machine. The second
ratio is of CPU time, one process over the busier of two, which other programs change less; it leaves out the time that
a process waits for the other one. The part of the wall-clock time in sums over both processes is that of the process
that waits less; training sums gradients within its backward pass, which is not measured.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from record import add_results_option, record

from ptychopinn.config import SimulationConfig
from ptychopinn.data.io import write_scan
from ptychopinn.simulation import simulate

STEP, PHOTONS = 0.12, 1e5
"""Step of the scan over the side of a pattern; photons of a pattern."""
Times = list[float]
"""Wall-clock time, CPU time, and time in sums over all processes, s; of two processes the longer one of the first two,
and the shorter one of the last."""
ONE_PROCESS = """
import json, sys, time
import torch
torch.set_num_threads(1)
from ptychopinn.api.solve import from_nothing
from ptychopinn.api.solver_work import iterated
from ptychopinn.config import Recipe
from ptychopinn.data.io import read_scan
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training import fit_prepared, prepare
from ptychopinn.training.environment import started_ranks

path, rounds, iterations, epochs = sys.argv[1], *map(int, sys.argv[2:5])
small = ["training.device=cpu", "model.generator.architecture=cnn", f"training.epochs={epochs}",
         f"reconstruction.refine.iterations={iterations}"]

exchanged = [0.0]
add_up = Ranks._reduce

def timed_sum(self, values):
    start = time.perf_counter()
    add_up(self, values)
    exchanged[0] += time.perf_counter() - start

Ranks._reduce = timed_sum

def timed(work):
    exchanged[0], wall, cpu = 0.0, time.perf_counter(), time.process_time()
    result = work()
    return result, [time.perf_counter() - wall, time.process_time() - cpu, exchanged[0]]

def stages(ranks):
    start = prepare(scan, recipe)
    fit, training = timed(lambda: fit_prepared(start, ranks=ranks))
    made = Reconstructor.for_scan(fit.trained, fit.tensors, probe="model", ranks=ranks)
    _, prediction = timed(made.image)
    task = from_nothing(scan, recipe, "cpu", ranks=ranks)
    _, solver = timed(lambda: iterated(task, task.tensors))
    return {"training": training, "prediction": prediction, "solver": solver}

with started_ranks() as ranks:
    scan, recipe = read_scan(path), Recipe().with_overrides(small)
    if ranks.is_first:
        stages(ALONE)  # what the first call imports and makes
    for _ in range(rounds):
        ranks.total(1.0)
        alone = stages(ALONE) if ranks.is_first else None
        ranks.total(1.0)
        print(json.dumps([alone, stages(ranks)]))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", type=int, default=800)
    parser.add_argument("--size", type=int, default=64, help="side of a pattern, px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1)
    add_results_option(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan = _scan(Path(folder) / "scan.npz", given.patterns, given.size)
        rounds = _measured(scan, given.rounds, given.iterations, given.epochs)
    passes = {"training": given.patterns * given.epochs, "prediction": given.patterns}
    table = _table(rounds, {**passes, "solver": given.patterns * given.iterations})
    print(table)
    if given.results is not None:
        note = (
            f"{given.patterns} patterns of {given.size} x {given.size} px, {given.rounds} rounds, one thread for each "
            "process. Throughput of two processes over that of one, wall-clock and CPU time of the busier process."
        )
        record(given.results, table, note)


def _scan(path: Path, patterns: int, size: int) -> Path:
    step = max(1, round(STEP * size))
    side = size + step * round(patterns**0.5)
    settings = SimulationConfig(object_size_px=side, probe_size_px=size, step_px=step, photons_per_pattern=PHOTONS)
    return write_scan(simulate(settings), path)


def _measured(scan: Path, rounds: int, iterations: int, epochs: int) -> list[tuple[dict[str, Times], dict[str, Times]]]:
    """For each round the times of each stage by one process, and by two."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", ONE_PROCESS, *map(str, (scan, rounds, iterations, epochs))]
    processes = [
        subprocess.Popen(words, env={**os.environ, **place, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    lines = [process.communicate()[0].splitlines()[-rounds:] for process in processes]
    found = []
    for first, second in zip(*lines, strict=True):
        (alone, ours), (_, theirs) = json.loads(first), json.loads(second)
        found.append((alone, {name: _of_both(ours[name], theirs[name]) for name in ours}))
    return found


def _of_both(one: Times, other: Times) -> Times:
    """Times of two processes: the longer wall-clock and CPU time, and the shorter time in sums."""
    return [max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2])]


def _table(rounds: list[tuple[dict[str, Times], dict[str, Times]]], passes: dict[str, int]) -> str:
    lines = [
        "| stage | CPU s of one process | of the busier of two | CPU ms per pattern and pass, one process "
        "| wall-clock ratio, best | median | CPU ratio, best | median | time in sums |",
        "| --- " * 9 + "|",
    ]
    for stage, number in passes.items():
        single, busier = (statistics.median(one[stage][1] for one in each) for each in zip(*rounds, strict=True))
        share = statistics.median(both[stage][2] / both[stage][0] for _, both in rounds)
        ratios = [[alone[stage][kind] / both[stage][kind] for alone, both in rounds] for kind in (0, 1)]
        cells = [f"{value:.2f}" for kind in ratios for value in (max(kind), statistics.median(kind))]
        times = f"{single:.2f} | {busier:.2f} | {1e3 * single / number:.2f}"
        in_sums = "not measured" if stage == "training" else f"{100 * share:.0f} %"
        lines.append(f"| {stage} | {times} | {' | '.join(cells)} | {in_sums} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
