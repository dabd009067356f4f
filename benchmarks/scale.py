"""The scale of the object: Re <truth, object> / <truth, truth> after phase, ramp and shift are removed.

    python benchmarks/scale.py --photons 1e3,1e5 --iterations 20,100 --seeds 2000,2001,2002

Rows of the solver: dose, iterations, start probe (exact, defocused with the same photons, or of unknown photons) and
penalty. Rows of the network: trained on the same scan. An absolute scale should be 1 within 2 % (5 % at 1e3 photons);
a relative one has no bar.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from drawn_scans import Drawn, drawn
from record import add_results_option, record

import ptychopinn
from ptychopinn.data.reconstruction import Reconstruction

HEAD = "| by | photons | iterations | probe | penalty | stated | scale | ± |\n|---|---|---|---|---|---|---|---|\n"
PENALTIES = {"by dose": (), "none": ("reconstruction.refine.smoothness=0",)}
ARBITRARY = 5.0
"""Factor on a probe of unknown photons."""


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
        record(options.results, HEAD + "\n".join(lines), "The column ± is the standard deviation over the seeds.")


def arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photons", default="1e3,1e4,1e5,1e6,1e7")
    parser.add_argument("--iterations", default="20,60,300")
    parser.add_argument("--probes", default="exact,poor,unknown")
    parser.add_argument("--penalties", default="by dose,none", help=f"of {', '.join(PENALTIES)}")
    parser.add_argument("--network", action="store_true", help="also train and use a network")
    parser.add_argument("--seeds", default="2000,2001,2002")
    parser.add_argument("--size", type=int, default=112, help="side of the object, px")
    add_results_option(parser)
    return parser.parse_args()


def rows(options: Namespace) -> Iterator[str]:
    """A line of the table for each case."""
    cases = product(options.photons.split(","), options.iterations.split(","), options.probes.split(","))
    for (photons, iterations, probe), penalty in product(cases, options.penalties.split(",")):

        def solved(one: Drawn, iterations: int = int(iterations), penalty: str = penalty) -> Reconstruction:
            made = ptychopinn.reconstruct(one.scan, None, refine=iterations, overrides=PENALTIES[penalty])
            return made.reconstruction

        yield row(options, ("solver", photons, iterations, probe, penalty), solved)
    if options.network:
        for photons, fitted in product(options.photons.split(","), ("false", "true")):

            def predicted(one: Drawn, fitted: str = fitted) -> Reconstruction:
                overrides = [f"model.probe.trainable={fitted}"]
                return ptychopinn.run(one.scan, solve=False, overrides=overrides).reconstruction

            yield row(options, ("network", photons, "", "poor" if fitted == "true" else "exact", ""), predicted)


def row(options: Namespace, case: tuple[str, str, str, str, str], make: Callable[[Drawn], Reconstruction]) -> str:
    """One line: mean and standard deviation over the seeds."""
    scales, stated = [], set()
    for seed in map(int, options.seeds.split(",")):
        one = drawn(seed, float(case[1]), options.size, poor=case[3] == "poor")
        if case[3] == "unknown":
            one = replace(one, scan=replace(one.scan, probe=ARBITRARY * one.scan.probe))
        image = make(one)
        scales.append(one.scores(image)["object_scale"])
        stated.add(image.metadata["gauge"]["scale"])
    return f"| {' | '.join(case)} | {', '.join(sorted(stated))} | {np.mean(scales):.3f} | {np.std(scales):.3f} |"


if __name__ == "__main__":
    main()
