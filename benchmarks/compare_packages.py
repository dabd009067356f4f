"""Compare the solver with those of other packages at equal CPU time, as in docs/other_packages.md.

    python benchmarks/compare_packages.py -o outputs/packages --objects 3
    python benchmarks/compare_packages.py -o outputs/packages --halves ../shared/data/siemens64.npz \
        --results benchmarks/results/other_packages.md

Every package is optional (pip install ptychi ptyrad cdtools-py ptylab); a line names each that is absent. All start
from the same probe, positions and an object of 1, on one thread. The CPU time is that of the iterations; that of the
import is stated, that of the preparation does not count. Images are compared on the rectangle that the positions span,
after shift, phase ramp and complex factor are fitted; the table shows the factor. A run that has finished in the output
folder is not repeated.
"""

import argparse
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from other_packages import METHODS
from other_packages.interface import Method
from other_packages.measure import against_the_object, halves_against_each_other, import_cpu_s, warm_up
from other_packages.scans import DOSES, OBJECTS, halves, simulated
from other_packages.tables import ahead_table, halves_table, methods_table, simulated_table
from record import add_results_option, record

from ptychopinn.studies.finished import read_finished, write_finished

OURS = "PtychoPINN"
Row = list[dict[str, Any]]


def main() -> None:
    """Measure, print the tables, and write them with `--results`."""
    arguments = read_arguments()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    methods = available(arguments.only or list(METHODS))
    rows: dict[tuple[str, str], Row] = {}
    doses = {f"{number}_{dose:.0e}": dose for number in range(arguments.objects) for dose in arguments.doses}
    for name, dose in doses.items():
        scan = simulated(int(name.split("_")[0]), dose, arguments.size, exact_probe=arguments.exact_probe)
        for method in methods:

            def run(method: Method = method, scan: Any = scan) -> Row:
                return against_the_object(method, scan, arguments.seconds, arguments.seed)

            probe = "exact" if arguments.exact_probe else "other defocus"
            decided = {"scan": name, "size": arguments.size, "probe": probe, "seconds": arguments.seconds}
            rows[name, method.name] = once(arguments, name, method, decided, run)
    listed = names(methods)
    body = [simulated_table(rows, doses, listed)]
    if any(not name.startswith(OURS) for name in listed) and OURS in listed:
        body.append(ahead_table(rows, doses, listed, OURS))
    if arguments.halves is not None:
        body.append(measured_halves(arguments, methods))
    imports = {method.module: import_time(arguments, method) for method in methods}
    body.append(methods_table(methods, imports))
    text = "\n\n".join(body)
    print(text)
    if arguments.results is not None:
        speeds = [values["reference_cpu_s"] for row in rows.values() for values in row]
        record(arguments.results, text, note(speeds))


def import_time(arguments: argparse.Namespace, method: Method) -> float:
    """CPU seconds of importing a method's package, measured once."""
    path, decided = arguments.output / "imports" / f"{method.module}.json", {"version": method.version}
    before = read_finished(path, decided)
    if before is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = {"cpu_s": import_cpu_s(method.module)}
        write_finished(path, decided, before)
    return float(before["cpu_s"])


def measured_halves(arguments: argparse.Namespace, methods: Sequence[Method]) -> str:
    """The table of a measured scan."""
    pair, name, rows = halves(arguments.halves), arguments.halves.stem, {}
    seconds = arguments.seconds[-2:]
    for method in methods:

        def run(method: Method = method) -> Row:
            return halves_against_each_other(method, pair, seconds, arguments.seed)

        rows[name, method.name] = once(arguments, name, method, {"scan": name, "seconds": seconds}, run)
    return halves_table(rows, name, names(methods))


def available(wanted: Sequence[str]) -> list[Method]:
    """The methods that can run; a line is printed for each that cannot."""
    unknown = [name for name in wanted if name not in METHODS]
    if unknown:
        raise SystemExit(f"--only must name some of {', '.join(METHODS)}; got {', '.join(unknown)}")
    problems = {name: METHODS[name].problem() for name in wanted}
    for problem in filter(None, problems.values()):
        print(f"not compared: {problem}", flush=True)
    return [METHODS[name] for name in wanted if problems[name] is None]


def once(
    arguments: argparse.Namespace, scan: str, method: Method, decided: dict[str, Any], run: Callable[[], Row]
) -> Row:
    """The values of a run, read where it has ended before."""
    folder = "".join(letter if letter.isalnum() else "_" for letter in method.name)
    path = arguments.output / scan / folder / "row.json"
    decided = {**decided, "seed": arguments.seed, "settings": method.settings}
    before = read_finished(path, decided)
    if before is not None:
        return before["values"]
    path.parent.mkdir(parents=True, exist_ok=True)
    warm_up(method)
    values = run()
    write_finished(path, decided, {"values": values})
    print(f"{scan} {method.name}: {values[-1]['psnr_amplitude']:.1f} / {values[-1]['psnr_phase']:.1f} dB", flush=True)
    return values


def names(methods: Sequence[Method]) -> list[str]:
    """As in the tables."""
    return [method.name for method in methods]


def note(speeds: Sequence[float]) -> str:
    """What a reader must know about the columns."""
    low, high = np.min(speeds), np.max(speeds)
    return (
        "Amplitude / phase PSNR in dB (modulus of the image over that of the object, as fitted), means over the "
        "objects, after CPU seconds of iterations on one thread; import and preparation do not count. All start from "
        f"the same probe. The machine was shared: 20 Fourier transforms of 64 patterns took {low:.2f} to {high:.2f} "
        "CPU s between the runs."
    )


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("outputs/packages"))
    parser.add_argument("--objects", type=int, default=len(OBJECTS), help="number of simulated objects")
    parser.add_argument("--doses", type=floats, default=list(DOSES), metavar="PHOTONS,...")
    parser.add_argument("--seconds", type=floats, default=[0.3, 1.0, 3.0, 10.0], metavar="S,...", help="CPU times")
    parser.add_argument("--size", type=int, default=176, metavar="PX", help="side of the simulated objects")
    parser.add_argument("--exact-probe", action="store_true", help="start from the true probe")
    parser.add_argument("--halves", type=Path, metavar="SCAN", help="also compare halves of a measured scan")
    parser.add_argument("--only", action="append", metavar="NAME", help="a method; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the patterns")
    add_results_option(parser)
    return parser.parse_args()


def floats(text: str) -> list[float]:
    """Numbers between commas."""
    return [float(word) for word in text.split(",")]


if __name__ == "__main__":
    main()
