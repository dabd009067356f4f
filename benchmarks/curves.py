"""Quality against dose, overlap, number of patterns, probe error and position error, as in docs/dev/curves.md.

    python benchmarks/curves.py -o outputs/curves --prior default --seeds 3 --minutes 20
    python benchmarks/curves.py -o outputs/curves --prior default --seeds 3 --results benchmarks/results/curves.md

Every point is a file in the output folder and is measured once: the same command goes on where an earlier one ended.
The scans are simulated (144 patterns of 64 px at 1e4 photons unless the axis changes it), with seeds from 2000 on.
"""

import argparse
import warnings
from pathlib import Path

import torch
from record import add_results_option, record

from ptychopinn.studies.curves import AXES, METHODS, Curves, curves_markdown, measure_curves, write_curves
from ptychopinn.studies.curves.methods import Settings

NOTE = (
    "Mean ± standard deviation over simulated scans: other objects, positions and counts, every second one with "
    "unrelated amplitude and phase. All methods start from the true probe and positions unless the table varies them. "
    "The solver refines positions where they have errors; LSQML refines the probe only."
)


def main() -> None:
    """Measure, print the tables, and write them with `--results`."""
    arguments = read_arguments()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    curves = Curves(arguments.axes, arguments.methods, arguments.seeds, settings=Settings(prior=arguments.prior))
    cells = measure_curves(
        arguments.output, curves, minutes=arguments.minutes, tell=lambda text: print(text, flush=True)
    )
    for name, path in write_curves(arguments.output, cells).items():
        print(f"{name}: {path}")
    text = curves_markdown(cells)
    print(text)
    if arguments.results is not None:
        record(arguments.results, text, NOTE)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("outputs/curves"))
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    parser.add_argument("--methods", nargs="+", default=["solver", "pty-chi"], choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="scans for each point")
    parser.add_argument("--prior", default="none", metavar="none|default|FILE")
    parser.add_argument("--minutes", type=float, metavar="MIN", help="begin no point after this time")
    add_results_option(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
