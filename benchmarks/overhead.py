"""Measure which fraction of the time the network itself takes.

Training: forward and backward pass of the network alone, as a fraction of a whole optimiser step (gathering, input,
network, merge, physics, loss, gradients, update). Prediction: the network alone, as a fraction of the time from the
scan file to the file of the stitched object: load, group, predict, stitch, write. Both times of a ratio are measured
alternately in the same run; on one thread they are CPU time.

    python benchmarks/overhead.py [scan.npz] [--threads 2] [--results benchmarks/results/overhead.md]
    python benchmarks/overhead.py --patterns 10000 --size 64 --threads 1
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from record import add_results_option, record
from scaling import scan_file

from ptychopinn.config import Recipe
from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.models import build_model, fit_statistics, prepare_probe
from ptychopinn.reconstruction import prediction_groups
from ptychopinn.reconstruction.predict import predict_and_stitch
from ptychopinn.simulation import simulate
from ptychopinn.training import split_groups


def seconds(work: Callable[[], object]) -> float:
    """Time of one call: of one thread its CPU time, on which other programs have no part, else wall time."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def alternate(whole: Callable[[], object], part: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median times of both, and the median of the ratio part / whole, over alternating rounds after two warm-ups."""
    pairs = [(seconds(whole), seconds(part)) for _ in range(rounds + 2)][2:]
    wholes, parts = zip(*pairs, strict=True)
    ratio = statistics.median(b / a for a, b in pairs)
    return statistics.median(wholes), statistics.median(parts), ratio


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", nargs="?", type=Path, help="a scan file; without it a scan is simulated")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--patterns", type=int, help="simulate a scan of so many patterns")
    parser.add_argument("--size", type=int, default=64, help="of that scan: side of a pattern, px")
    add_results_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scan.npz"
        if arguments.scan is not None:
            file = arguments.scan
        elif arguments.patterns is not None:
            scan_file(file, arguments.patterns, arguments.size, seed=4200)
        else:
            write_scan(simulate(Recipe().simulation), file)
        text = measure(file, arguments.rounds)
    print(text)
    if arguments.results:
        record(arguments.results, f"```\n{text}\n```")


def measure(path: Path, rounds: int) -> str:
    """Both ratios for the default recipe on one scan, as text."""
    recipe = Recipe()
    tensors = ScanTensors(read_scan(path))
    groups, _ = split_groups(tensors.scan, recipe)
    model = build_model(recipe, prepare_probe(tensors.scan.probe, recipe.model.probe))
    fitted = fit_statistics(model, [(tensors, groups)])
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    per_step = max(1, recipe.training.patterns_per_step // recipe.data.group_size)
    rng = np.random.default_rng(0)

    def step() -> None:
        batch = tensors.gather(groups[rng.choice(len(groups), per_step, replace=False)])
        loss = torch.stack(list(model.losses(batch, fitted.mean_count).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    with torch.no_grad():
        image = model.generator.network_input(model.view(tensors.gather(groups[:per_step])))
    target = torch.randn(image.shape[0], image.shape[1], *image.shape[3:], dtype=torch.complex64)

    def generator_step() -> None:
        patches = model.generator.patches_from(image)
        patches.backward(target)

    whole, part, ratio = alternate(step, generator_step, rounds)
    lines = [
        f"scan: {len(tensors)} patterns of {tensors.pattern_size} px; {torch.get_num_threads()} threads",
        f"training step {whole * 1e3:.1f} ms, generator alone {part * 1e3:.1f} ms: {ratio:.0%} of the step",
    ]

    alone = np.arange(len(tensors))[:, None]
    batch_size = recipe.reconstruction.batch_size

    def load_to_written() -> None:
        scan = read_scan(path)
        groups = prediction_groups(scan, recipe)
        image, _ = predict_and_stitch(model, ScanTensors(scan), groups, recipe.reconstruction)
        with tempfile.TemporaryDirectory() as folder:
            image.save(folder)

    with torch.inference_mode():
        images = [model.generator.network_input(model.view(b)) for b in tensors.batches(alone, batch_size)]

    @torch.inference_mode()
    def generator_only() -> None:
        for one in images:
            model.generator.patches_from(one)

    whole, part, ratio = alternate(load_to_written, generator_only, max(1, rounds // 3))
    lines += [
        f"load to written image {whole:.3f} s, generator alone {part:.3f} s: {ratio:.0%} of it",
        f"{len(tensors) / whole:.0f} patterns per second from file to image",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
