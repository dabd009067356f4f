"""Read scans in 24 wrong geometries and list what `ptychopinn check` finds.

A wrong geometry is named if a change that undoes it, or its mirror image with the patterns, is among the readings that
the check calls best; `same` says that the patterns cannot tell it from the right one, as a flip across a line scan.

    python benchmarks/check_geometry.py DATA [--only line] [--results benchmarks/results/check_geometry.md]

DATA holds `siemens64.npz` and `synth_dev_1e6.npz`; the line scan is simulated.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from record import add_results_option, record

from ptychopinn.api.check import Checked, check_scan
from ptychopinn.config import Recipe
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.reading import EIGHT, Axes, ReadingConvention
from ptychopinn.simulation import simulate

LINE = ["object_size_px=[70,400]", "scan_kind=raster", "step_px=6", "photons_per_pattern=1e6", "seed=3300"]
TURNED = Axes(False, True, True)


def wrong_geometries(scan: Scan) -> dict[str, ReadingConvention]:
    """Name -> what is done to a right scan."""
    names = ("y flipped", "x flipped", "both flipped", "x and y exchanged")
    names += tuple(f"exchanged, {name}" for name in names[:3])
    orientations = {f"positions: {name}": ReadingConvention(axes) for name, axes in zip(names, EIGHT[1:], strict=True)}
    other = "counts" if scan.domain == "amplitude" else "amplitude"
    return {
        **orientations,
        "patterns: rows flipped": ReadingConvention(patterns=Axes(rows=True)),
        "patterns: columns flipped": ReadingConvention(patterns=Axes(columns=True)),
        "patterns: transposed": ReadingConvention(patterns=Axes(swap=True)),
        "order: one later": ReadingConvention(shift=1),
        "order: one earlier": ReadingConvention(shift=-1),
        "order: reversed": ReadingConvention(reverse=True),
        "probe conjugated": ReadingConvention(conjugate=True),
        "probe conjugated, y flipped": ReadingConvention(Axes(rows=True), conjugate=True),
        "probe conjugated, exchanged": ReadingConvention(Axes(swap=True), conjugate=True),
        f"domain: {other}": ReadingConvention(domain=other),
        "zero frequency at the corner": ReadingConvention(fftshift=True),
        **{
            f"positions times {factor:g}": ReadingConvention(scale=factor)
            for factor in (0.5, 1.25, 2.0, 1e-3, 1e3, 1e6)
        },
    }


def scans(data: Path) -> Iterator[tuple[str, Scan]]:
    """The three scans."""
    for name in ("siemens64", "synth_dev_1e6"):
        yield name, replace(read_scan(data / f"{name}.npz"), object_guess=None)
    line = simulate(Recipe().with_overrides([f"simulation.{setting}" for setting in LINE]).simulation)
    yield "line", replace(line, object_guess=None)


def outcome(wrong: ReadingConvention, right_domain: str, found: Checked) -> str:
    """What became of a wrong geometry."""
    undone = [one for one in found.trials if one.as_good and _is_right(wrong, right_domain, one.reading)]
    if not undone:
        return "missed"
    if found.verdict == "wrong":
        return "named"
    return "same" if found.verdict == "right" else "unknown"


def _is_right(wrong: ReadingConvention, right_domain: str, change: ReadingConvention) -> bool:
    """Whether a change undoes a wrong geometry, but for what no pattern tells."""
    both = wrong.then(change)
    if both.conjugate:
        both = replace(both, conjugate=False, positions=both.positions.then(TURNED))
    usual = ReadingConvention(both.positions, both.positions, domain=both.domain, scale=both.scale)
    return both == usual and abs(both.scale - 1) < 0.1 and both.domain in (None, right_domain)


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", help="one of the scans")
    add_results_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        "| scan | geometry | found | equally good readings | structure explained | as read | CPU time, s |",
        "|" + " --- |" * 7,
    ]
    for name, scan in scans(arguments.data):
        if arguments.only in (None, name):
            for row in _rows(name, scan):
                print(row, flush=True)
                rows.append(row)
    if arguments.results:
        note = "Each row is one scan read in one wrong geometry; the first row of a scan is the right one."
        record(arguments.results, "\n".join(rows), note)


def _rows(name: str, scan: Scan) -> Iterator[str]:
    for label, wrong in {"right": ReadingConvention(), **wrong_geometries(scan)}.items():
        started = time.process_time()
        found = check_scan(wrong.scan(scan), Recipe())
        seconds = time.process_time() - started
        here = next(one for one in found.trials if not one.settings)
        verdict = found.verdict if label == "right" else outcome(wrong, scan.domain, found)
        explained = [f"{100 * max(1 - one.unexplained, 0):.0f} %" for one in (found.trials[0], here)]
        cells = [name, label, verdict, str(len(found.equivalent)), *explained, f"{seconds:.1f}"]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
