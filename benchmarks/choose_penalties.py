"""Choose `smoothness` and `edge_preserving` by dose: every pair of a grid on simulated scans, scored against the truth.

    python benchmarks/choose_penalties.py --photons 1e4 --smoothness 4,16 --edges none,0.05 --seeds 1000,1001

A row is the mean over the seeds. `sum` is amplitude PSNR (peak 1, with the scale as it is) plus phase PSNR (peak 2 pi).
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from drawn_scans import drawn
from record import add_results_option, record

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.solver import refine

HEAD = "| photons | smoothness | edge | amplitude, dB | phase, dB | sum, dB | scale |\n|---|---|---|---|---|---|---|\n"


def main() -> None:
    """Print a row as soon as it is measured."""
    options = arguments()
    torch.set_num_threads(1)
    print(HEAD, end="", flush=True)
    lines = []
    for line in rows(options):
        print(line, flush=True)
        lines.append(line)
    if options.results:
        record(options.results, HEAD + "\n".join(lines))


def arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photons", default="1e3,1e4,1e5,1e6,1e7")
    parser.add_argument("--smoothness", default="4,16,64")
    parser.add_argument("--edges", default="none,0.03,0.1", help="of edge_preserving; none is quadratic")
    parser.add_argument("--seeds", default="1000,1001,1002,1003,1004,1005,1006,1007,1008,1009,1010,1011")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--size", type=int, default=132, help="side of the object, px")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="further numbers of `refine`")
    parser.add_argument("--poor", action="store_true", help="start every scan from a defocused probe")
    add_results_option(parser)
    return parser.parse_args()


def rows(options: Namespace) -> Iterator[str]:
    """A line of the table for each dose and each pair of penalties."""
    further: dict[str, Any] = dict(word.split("=") for word in options.set)
    edges = [None if word == "none" else float(word) for word in options.edges.split(",")]
    weights = [float(word) for word in options.smoothness.split(",")]
    for photons in map(float, options.photons.split(",")):
        scans = [
            drawn(int(seed), photons, options.size, poor=options.poor or None) for seed in options.seeds.split(",")
        ]
        for edge, weight in product(edges, weights):
            config = RefineConfig.model_validate(
                {"iterations": options.iterations, "smoothness": weight, "edge_preserving": edge, **further}
            )
            found = []
            for one in scans:
                image = refine(one.start(), ScanTensors(one.scan), config).reconstruction
                report = one.scores(image)
                names = ("psnr_amplitude_scale_kept", "psnr_phase", "object_scale")
                found.append([report[name] for name in names])
            amplitude, phase, scale = np.mean(found, axis=0)
            values = f"{amplitude:.2f} | {phase:.2f} | {amplitude + phase:.2f} | {scale:.3f} |"
            yield f"| {photons:g} | {weight:g} | {'none' if edge is None else f'{edge:g}'} | {values}"


if __name__ == "__main__":
    main()
